//! Table `password_link`: one-time links that set a password.

use sea_orm::entity::prelude::*;

/// A row of `password_link`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "password_link")]
pub struct Model {
    /// UUIDv7; first half of the link's token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Person.
    pub user_id: Uuid,
    /// Keyed hash of the second half.
    pub token_hash: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub expires_at: i64,
    /// When it was used.
    pub used_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
