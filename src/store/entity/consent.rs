//! Table `consent`: what people agreed to.

use sea_orm::entity::prelude::*;

/// A row of `consent`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "consent")]
pub struct Model {
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// To which client.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// For which resource server; empty: the broker.
    #[sea_orm(primary_key, auto_increment = false)]
    pub resource: String,
    /// Space-separated.
    pub scopes: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Keyed hash of what it says ([`crate::store::own`]).
    pub own_mac: Option<Vec<u8>>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
