//! Table `device_code`: device codes.

use sea_orm::entity::prelude::*;

/// A row of `device_code`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "device_code")]
pub struct Model {
    /// The first half of the code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Keyed hash of the second half.
    pub code_hash: Vec<u8>,
    /// Keyed hash of what the person types.
    pub user_code_hash: Vec<u8>,
    /// For whom.
    pub client_id: String,
    /// Space-separated.
    pub scopes: String,
    /// Null: the broker.
    pub resource: Option<String>,
    /// `pending`, `approved` or `denied`.
    pub state: String,
    /// Who answered.
    pub user_id: Option<Uuid>,
    /// When the person signed in.
    pub auth_time: Option<i64>,
    /// How far polls must lie apart.
    pub interval_us: i64,
    /// When the device asked last.
    pub polled_at: Option<i64>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: i64,
    /// Makes the row ours.
    pub own_mac: Vec<u8>,
    /// Keyed hash of the device's network; null where the row is older than that.
    pub network_hash: Option<Vec<u8>>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
