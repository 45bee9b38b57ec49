//! Table `connection`: one account's grant for an app, a connector and a flow.

use sea_orm::entity::prelude::*;

/// A row of `connection`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "connection")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Tenant.
    pub app: String,
    /// Kind of API.
    pub connector: String,
    /// Which of several.
    pub flow: String,
    /// `active`, `misconfigured`, `reauthorization_required` or `revoked`.
    pub state: String,
    /// Why a new consent is needed.
    pub reason: Option<String>,
    /// Microseconds since 1970.
    pub state_since: i64,
    /// The current token set.
    pub token_set_id: Option<Uuid>,
    /// The set its last consent, import or undo brought; refreshes leave it.
    pub adopted_set_id: Option<Uuid>,
    /// The current set's; the first is 1.
    pub generation: i64,
    /// The highest given to a set; above `generation` where a refresh came too late to be current.
    pub last_generation: i64,
    /// Actor who connected it.
    pub owner: Option<String>,
    /// What people call them.
    pub owner_label: Option<String>,
    /// Whether app members may exchange for it.
    pub shared: bool,
    /// Keyed hash of that.
    pub shared_mac: Option<Vec<u8>>,
    /// Keyed hash of the owner.
    pub owner_mac: Option<Vec<u8>>,
    /// Keyed hash of the account's id at the provider.
    pub account_fingerprint: Option<Vec<u8>>,
    /// What people call the account.
    pub account_label: Option<String>,
    /// URL variables.
    pub variables: Json,
    /// Keyed hash over whose they are and the variables.
    pub own_mac: Vec<u8>,
    /// As granted last.
    pub granted_scope: Option<String>,
    /// Whether the last answer granted less than the one before.
    pub scope_narrowed: bool,
    /// When the access token dies; null: not known.
    pub access_expires_at: Option<i64>,
    /// When the refresh token dies; null: not known.
    pub refresh_expires_at: Option<i64>,
    /// When the background refreshes.
    pub refresh_due_at: Option<i64>,
    /// Longest lifetime an answer of the provider gave.
    pub lifetime_us: Option<i64>,
    /// Learnt: false once a refresh answer brought no new refresh token.
    pub rotates: Option<bool>,
    /// Microseconds since 1970.
    pub last_refresh_at: Option<i64>,
    /// Stable code.
    pub last_error_code: Option<String>,
    /// Microseconds since 1970.
    pub last_error_at: Option<i64>,
    /// Consecutive failures; drives the back-off.
    pub failures: i32,
    /// No refresh before (back-off).
    pub retry_at: Option<i64>,
    /// Who refreshes.
    pub lease_id: Option<Uuid>,
    /// When the lease lapses.
    pub lease_until: Option<i64>,
    /// Sends of the current refresh token without a definite answer.
    pub sends: i32,
    /// Hold-off.
    pub resend_after: Option<i64>,
    /// Whether the current set came from a resend or over `lost_rotation`.
    pub after_resend: bool,
    /// Until when no other replica takes it on unasked.
    pub swept_until: Option<i64>,
    /// Refreshes caused by `rejected`, in the window.
    pub rejected_count: i32,
    /// Start of that window.
    pub rejected_since: Option<i64>,
    /// Credentials it was made with.
    pub credentials_id: Option<Uuid>,
    /// And their version.
    pub credentials_version: Option<i64>,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
