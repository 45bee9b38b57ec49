//! Table `membership`: who may do what in which app.

use sea_orm::entity::prelude::*;

/// A row of `membership`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "membership")]
pub struct Model {
    /// Tenant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub app: String,
    /// Person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// `member` or `app_admin`: the higher of the two below.
    pub role: String,
    /// What claims of the upstream provider give; null: nothing, and `role` was granted.
    pub claimed_role: Option<String>,
    /// What an admin or an invitation gave, where claims give something too.
    pub granted_role: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Keyed hash of what it says ([`crate::store::own`]).
    pub own_mac: Option<Vec<u8>>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
