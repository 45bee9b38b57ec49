//! Table `client`: oAuth clients.

use sea_orm::entity::prelude::*;

/// A row of `client`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "client")]
pub struct Model {
    /// Public id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// For people; unique.
    pub identifier: String,
    /// `service`, `programmatic` or `provider`.
    pub kind: String,
    /// `superadmin` or null.
    pub role: Option<String>,
    /// Space-separated; the broker's and other resource servers'.
    pub scopes: String,
    /// Locations it is confined to; null: not confined.
    pub allow: Option<Json>,
    /// Resource servers it may ask tokens for.
    pub resources: Json,
    /// Exact.
    pub redirect_uris: Json,
    /// For private_key_jwt.
    pub jwks: Option<String>,
    /// Null: the instance's default.
    pub token_lifetime_s: Option<i32>,
    /// Whether it gets refresh tokens.
    pub refresh_tokens: bool,
    /// Gets and uses nothing.
    pub disabled: bool,
    /// Tokens issued before are refused.
    pub not_before: Option<i64>,
    /// Counts changes.
    pub version: i64,
    /// Makes the row ours.
    pub own_mac: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
