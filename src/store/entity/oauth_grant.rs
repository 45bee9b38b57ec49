//! Table `oauth_grant`: what clients were granted.

use sea_orm::entity::prelude::*;

/// A row of `oauth_grant`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_grant")]
pub struct Model {
    /// UUIDv7; the claim `grant_id`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// To whom.
    pub client_id: String,
    /// By whom; null: the client speaks for itself.
    pub user_id: Option<Uuid>,
    /// The `grant_type` it began with.
    pub begun_by: String,
    /// Space-separated.
    pub scopes: String,
    /// Null: the broker.
    pub resource: Option<String>,
    /// When the person signed in.
    pub auth_time: Option<i64>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// When it ends by itself.
    pub expires_at: i64,
    /// Makes the row ours.
    pub own_mac: Vec<u8>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
