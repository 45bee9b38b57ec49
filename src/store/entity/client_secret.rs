//! Table `client_secret`: up to two live secrets a client.

use sea_orm::entity::prelude::*;

/// A row of `client_secret`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "client_secret")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub client_id: String,
    /// Keyed hash over this row's id.
    pub secret_hash: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// About when it was last used since a newer one was made.
    pub used_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
