//! Table `connector`: custom definitions; built-in ones are files of the catalog.

use sea_orm::entity::prelude::*;

/// A row of `connector`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "connector")]
pub struct Model {
    /// Slug, never reused.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The definition as in the REST: a text, since the hash covers it to the letter.
    pub definition: String,
    /// Origins that may receive secrets and tokens, space-separated.
    pub confirmed_origins: String,
    /// Counts changes.
    pub version: i64,
    /// Keyed hash over what stands above; empty in a tombstone.
    pub own_mac: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// When it became a tombstone.
    pub deleted_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
