//! Table `token_set`: what one answer of a provider left us with.

use sea_orm::entity::prelude::*;

/// A row of `token_set`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "token_set")]
pub struct Model {
    /// Drawn before the first attempt to store.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Of which connection.
    pub connection_id: Uuid,
    /// Counts within it, also those that never were current.
    pub generation: i64,
    /// Null once purged.
    pub sealed_access: Option<Vec<u8>>,
    /// Null: none, or purged.
    pub sealed_refresh: Option<Vec<u8>>,
    /// Null: none, or purged.
    pub sealed_extra: Option<Vec<u8>>,
    /// Data key of the sealed columns.
    pub key_id: Uuid,
    /// Token endpoint's origin the refresh token is bound to.
    pub origin: String,
    /// Keyed hash; unique among current sets.
    pub refresh_fingerprint: Option<Vec<u8>>,
    /// Keyed hash, named by audit records.
    pub access_fingerprint: Option<Vec<u8>>,
    /// When the access token dies; null: not known.
    pub expires_at: Option<i64>,
    /// Life left when stored.
    pub initial_life_us: Option<i64>,
    /// When the refresh token dies; null: not known.
    pub refresh_expires_at: Option<i64>,
    /// As granted.
    pub scope: Option<String>,
    /// The set that its consent, import or undo brought: names the row of `adoption`.
    pub adopted_set_id: Option<Uuid>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Whether it is its connection's current set.
    pub current: bool,
    /// Whether its refresh token was ever sent.
    pub spent: bool,
    /// Since when it is no longer current.
    pub superseded_at: Option<i64>,
    /// Whether the provider said that it is of another account than its connection's.
    pub other_account: bool,
    /// Whether its connection was deleted while it was current or unspent.
    pub deleted: bool,
    /// Whether it must be revoked at the provider.
    pub revoke_pending: bool,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
