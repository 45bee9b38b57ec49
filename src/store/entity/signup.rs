//! Table `signup`: consents under way.

use sea_orm::entity::prelude::*;

/// A row of `signup`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "signup")]
pub struct Model {
    /// UUIDv7; first half of the state.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Keyed hash of the second half.
    pub state_hash: Vec<u8>,
    /// The browser that started it.
    pub session_id: Uuid,
    /// The person who did.
    pub user_id: Uuid,
    /// What people call them.
    pub user_label: String,
    /// Tenant.
    pub app: String,
    /// Kind of API.
    pub connector: String,
    /// Which connection.
    pub flow: String,
    /// As sent.
    pub redirect_uri: String,
    /// As used.
    pub credentials_id: Uuid,
    /// As used.
    pub credentials_version: i64,
    /// Keyed hash of the definition as used, and of all in this row that says whose, of what, and where to.
    pub definition_hash: Vec<u8>,
    /// Proof key.
    pub sealed_verifier: Vec<u8>,
    /// Data key of the sealed columns.
    pub key_id: Uuid,
    /// URL variables.
    pub variables: Json,
    /// Where to go afterwards.
    pub return_to: Option<String>,
    /// The service provider's link that it began with, whose client confirms it.
    pub link_id: Option<Uuid>,
    /// `started`, `taken` (callback came), `exchanged` (not live yet), `revoking` (given up), `done` or `failed`.
    pub stage: String,
    /// The exchanged set and its account, until the stage is `done` or `failed`.
    pub sealed_grant: Option<Vec<u8>>,
    /// When the code was sent, microseconds since 1970.
    pub sent_at: Option<i64>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub expires_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
