//! Table `refresh_token`: refresh tokens of ours, used once each.

use sea_orm::entity::prelude::*;

/// A row of `refresh_token`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_token")]
pub struct Model {
    /// The first half of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The family.
    pub grant_id: Uuid,
    /// Keyed hash of the second half.
    pub token_hash: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// When it ends unused.
    pub expires_at: i64,
    /// When it was used.
    pub used_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
