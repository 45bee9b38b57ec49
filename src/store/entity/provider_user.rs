//! Table `provider_user`: people that service providers sent.

use sea_orm::entity::prelude::*;

/// A row of `provider_user`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_user")]
pub struct Model {
    /// By whom.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// As the client calls them.
    #[sea_orm(primary_key, auto_increment = false)]
    pub external_id: String,
    /// Who they are here.
    pub user_id: Uuid,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Makes the row ours.
    pub own_mac: Vec<u8>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
