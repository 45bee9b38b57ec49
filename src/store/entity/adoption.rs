//! Table `adoption`: what a consent, an import or an undo brought beside tokens.

use sea_orm::entity::prelude::*;

/// A row of `adoption`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "adoption")]
pub struct Model {
    /// The token set it brought; those that refreshes made of it name it too.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Of which connection.
    pub connection_id: Uuid,
    /// Actor who connected it.
    pub owner: Option<String>,
    /// What people call them.
    pub owner_label: Option<String>,
    /// Keyed hash of the account's id at the provider.
    pub account_fingerprint: Option<Vec<u8>>,
    /// What people call the account.
    pub account_label: Option<String>,
    /// URL variables.
    pub variables: Json,
    /// Keyed hash over whose they are and the variables.
    pub own_mac: Vec<u8>,
    /// Credentials it was made with.
    pub credentials_id: Option<Uuid>,
    /// And their version.
    pub credentials_version: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
