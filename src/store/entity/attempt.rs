//! Table `attempt`: failures of what people type, counted over all replicas.

use sea_orm::entity::prelude::*;

/// A row of `attempt`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    /// Keyed hash of what is limited (login name and address range).
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: Vec<u8>,
    /// In the window.
    pub failures: i32,
    /// Microseconds since 1970.
    pub window_ends_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
