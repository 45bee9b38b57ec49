//! Table `delivery`: where a client's credential was delivered to.

use sea_orm::entity::prelude::*;

/// A row of `delivery`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// Which secret of which store.
    pub reference: String,
    /// Counts the credentials that were made for it.
    pub version: i64,
    /// `document` or `pair`.
    pub form: String,
    /// `pending` or `delivered`.
    pub state: String,
    /// The secret that is or shall be there.
    pub secret_id: Uuid,
    /// The one before, which lives until nobody uses it.
    pub previous_secret_id: Option<Uuid>,
    /// Microseconds since 1970.
    pub changed_at: i64,
    /// Makes the row ours.
    pub own_mac: Vec<u8>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
