//! Table `app`: tenants. Ids are never reused: a deleted one stays as a tombstone.

use sea_orm::entity::prelude::*;

/// A row of `app`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "app")]
pub struct Model {
    /// Slug.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// For people.
    pub name: String,
    /// `active`, `disabled` or `deleted`.
    pub state: String,
    /// Its data key; null once destroyed.
    pub data_key_id: Option<Uuid>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// When it became a tombstone.
    pub deleted_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
