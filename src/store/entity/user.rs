//! Table `user`: people.

use sea_orm::entity::prelude::*;

/// A row of `user`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Login name, lower case.
    pub email: String,
    /// For people.
    pub display_name: String,
    /// `superadmin` or null.
    pub role: Option<String>,
    /// The same, as claims of the upstream provider give it.
    pub claimed_role: Option<String>,
    /// argon2id over a keyed hash of password and user id; null: none set.
    pub password_hash: Option<String>,
    /// Signs in no more.
    pub disabled: bool,
    /// Counts changes.
    pub version: i64,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Keyed hash of what it says ([`crate::store::own`]).
    pub own_mac: Option<Vec<u8>>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
