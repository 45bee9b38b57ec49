//! Table `authorization_code`: authorization codes, used once each.

use sea_orm::entity::prelude::*;

/// A row of `authorization_code`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_code")]
pub struct Model {
    /// The first half of the code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Keyed hash of the second half, over all it stands for.
    pub code_hash: Vec<u8>,
    /// The grant it makes.
    pub grant_id: Uuid,
    /// For whom.
    pub client_id: String,
    /// By whom.
    pub user_id: Uuid,
    /// Where it was sent.
    pub redirect_uri: String,
    /// Space-separated.
    pub scopes: String,
    /// Null: the broker.
    pub resource: Option<String>,
    /// S256.
    pub code_challenge: String,
    /// For the ID token.
    pub nonce: Option<String>,
    /// When the person signed in.
    pub auth_time: i64,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// When it ends unused.
    pub expires_at: i64,
    /// When it was used.
    pub used_at: Option<i64>,
}

/// None: rows are joined by hand where they are.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
