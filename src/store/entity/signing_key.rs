//! Table `signing_key`: keys that sign our tokens.

use sea_orm::entity::prelude::*;

/// A row of `signing_key`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_key")]
pub struct Model {
    /// Key id in the JWKS.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kid: String,
    /// JWS algorithm.
    pub algorithm: String,
    /// PKCS#8, sealed; empty once it was destroyed.
    pub sealed_private: Vec<u8>,
    /// Data key that sealed it.
    pub key_id: Uuid,
    /// Public members: JSON, byte by byte as it was made.
    pub public_jwk: String,
    /// Keyed hash of them.
    pub public_mac: Vec<u8>,
    /// `pending`, `active` or `retired`.
    pub state: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Since when it signs no more.
    pub retired_at: Option<i64>,
    /// When it begins to sign, where it had to wait.
    pub activates_at: Option<i64>,
    /// Since when it signs.
    pub activated_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
