//! Table `upstream_identity`: who somebody at the upstream provider is here.

use sea_orm::entity::prelude::*;

/// A row of `upstream_identity`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "upstream_identity")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `iss`, byte for byte.
    pub issuer: String,
    /// `sub`, byte for byte; unique with the issuer.
    pub subject: String,
    /// Person; at most one identity of an issuer each.
    pub user_id: Uuid,
    /// What the provider calls them.
    pub label: String,
    /// Keyed hash of id, issuer, subject and person: a row turned to somebody else is not believed.
    pub own_mac: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// When it was signed in with last, microseconds since 1970.
    pub used_at: i64,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
