//! Table `upstream_login`: browsers that were sent to the upstream provider.

use sea_orm::entity::prelude::*;

/// A row of `upstream_login`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "upstream_login")]
pub struct Model {
    /// UUIDv7; first half of the state.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Keyed hash of the second half, the browser, and issuer and client as they were.
    pub state_hash: Vec<u8>,
    /// The session that wants to be linked; null: a sign-in.
    pub session_id: Option<Uuid>,
    /// Keyed hash of the network it came from, to count by.
    pub network_hash: Vec<u8>,
    /// Proof key, and where to go afterwards.
    pub sealed_flow: Vec<u8>,
    /// Data key of the sealed column.
    pub key_id: Uuid,
    /// Microseconds since 1970.
    pub expires_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
