//! Table `connector_credentials`: client ids and secrets at providers.

use sea_orm::entity::prelude::*;

/// A row of `connector_credentials`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "connector_credentials")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Which connector.
    pub connector: String,
    /// Owner; the empty text: the instance.
    pub app: String,
    /// Our client id there.
    pub client_id: String,
    /// Null for public clients.
    pub sealed_secret: Option<Vec<u8>>,
    /// A second live secret of the same client id.
    pub sealed_previous: Option<Vec<u8>>,
    /// Data key of the sealed columns.
    pub key_id: Uuid,
    /// Asked for instead of the definition's.
    pub scopes: Option<Json>,
    /// URL variables these credentials fix.
    pub params: Json,
    /// Token endpoint's origin the secret is bound to.
    pub origin: String,
    /// Counts changes; signups and refusals are bound to it.
    pub version: i64,
    /// Whether new consents use it; false: replaced by another client id.
    pub current: bool,
    /// Keyed hash over whose they are and all that is plain; empty once removed.
    pub own_mac: Vec<u8>,
    /// Until when the provider limits them, at most 60 s ahead.
    pub held_until: Option<i64>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// Since when the secrets are erased; a row written anew is in use again.
    pub removed_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
