//! Table `signup_link`: links by which a service provider sends its people.

use sea_orm::entity::prelude::*;

/// A row of `signup_link`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "signup_link")]
pub struct Model {
    /// UUIDv7; the first half of the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Keyed hash of the second half.
    pub token_hash: Vec<u8>,
    /// Who sends.
    pub client_id: String,
    /// For which app.
    pub app: String,
    /// To connect what.
    pub connector: String,
    /// As which connection.
    pub flow: String,
    /// Whom, as the client calls them.
    pub external_id: String,
    /// Whom, for people.
    pub label: String,
    /// Where the person goes afterwards.
    pub return_to: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// When it ends unused.
    pub expires_at: i64,
    /// When it was used.
    pub used_at: Option<i64>,
    /// Makes the row ours.
    pub own_mac: Vec<u8>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
