//! Table `resource`: resource servers.

use sea_orm::entity::prelude::*;

/// A row of `resource`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "resource")]
pub struct Model {
    /// As `resource` and `aud` say it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uri: String,
    /// For people.
    pub name: String,
    /// Space-separated.
    pub scopes: String,
    /// Counts changes.
    pub version: i64,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
