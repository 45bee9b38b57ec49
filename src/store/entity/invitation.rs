//! Table `invitation`: one-time links that make memberships.

use sea_orm::entity::prelude::*;

/// A row of `invitation`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "invitation")]
pub struct Model {
    /// UUIDv7; first half of the link's token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Keyed hash of the second half.
    pub token_hash: Vec<u8>,
    /// Tenant; null: none (first superadmin).
    pub app: Option<String>,
    /// Login name it is for; null: who opens it chooses one.
    pub email: Option<String>,
    /// `member`, `app_admin` or `superadmin`.
    pub role: String,
    /// Connectors to show first.
    pub connectors: Option<Json>,
    /// Actor.
    pub invited_by: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub expires_at: i64,
    /// When it was used.
    pub accepted_at: Option<i64>,
    /// Who used it.
    pub accepted_by: Option<Uuid>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
