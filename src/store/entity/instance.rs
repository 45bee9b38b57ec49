//! Table `instance`: the one row that says which instance this is and holds its hash key.

use sea_orm::entity::prelude::*;

/// A row of `instance`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "instance")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// Instance name; a clone with another is fenced.
    pub name: String,
    /// As stored by `init`.
    pub public_url: Option<String>,
    /// The data key for what belongs to no app.
    pub data_key_id: Uuid,
    /// Key of all keyed hashes, sealed with the instance's data key; never changed.
    pub sealed_hash_key: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
