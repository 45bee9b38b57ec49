//! Table `data_key`: data keys, wrapped by a key of the keyring.

use sea_orm::entity::prelude::*;

/// A row of `data_key`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_key")]
pub struct Model {
    /// Stands beside each ciphertext it made.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Names the keyring's key that wraps it.
    pub kek_id: String,
    /// Nonce, ciphertext, tag.
    pub wrapped: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
