//! Table `audit_event`: what happened.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// A row of `audit_event`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "audit_event")]
pub struct Model {
    /// UUIDv7; replays are idempotent by it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Microseconds since 1970.
    pub at: i64,
    /// Which process, from its start to its end.
    pub boot: Uuid,
    /// Counts within the boot; gaps are visible.
    pub seq: i64,
    /// `client:…`, `user:…` or `system`.
    pub actor: String,
    /// What.
    pub action: String,
    /// `ok` or a stable code.
    pub result: String,
    /// In which app.
    pub app: Option<String>,
    /// With which connector.
    pub connector: Option<String>,
    /// Which connection.
    pub flow: Option<String>,
    /// Which token set.
    pub token_set: Option<Uuid>,
    /// What else it was done to.
    pub subject: Option<String>,
    /// Where from.
    pub address: Option<String>,
    /// Of the request.
    pub trace_id: Uuid,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
