//! What came with a consent, an import or an undo beside tokens: whose account it is, and where it is used.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::model::secret::KeyedHash;
use crate::model::token_set::TokenSetId;
use crate::store::entity::adoption;
use crate::store::{AppRows, Error};

use super::NewConnection;

impl AppRows<'_> {
    /// Keeps it for an undo: the connection's row has room for the current one alone.
    pub(super) async fn insert_adoption(&self, new: &NewConnection, set: TokenSetId) -> Result<(), Error> {
        let row = adoption::ActiveModel {
            id: Set(set.0),
            connection_id: Set(new.id),
            owner: Set(Some(new.owner.clone())),
            owner_label: Set(new.owner_label.clone()),
            account_fingerprint: Set(new.account_fingerprint.map(KeyedHash::to_vec)),
            account_label: Set(new.account_label.clone()),
            variables: Set(serde_json::json!(new.variables)),
            own_mac: Set(new.own_mac.to_vec()),
            credentials_id: Set(new.credentials.map(|(id, _)| id)),
            credentials_version: Set(new.credentials.map(|(_, version)| version)),
        };
        adoption::Entity::insert(row).exec_without_returning(&self.conn.db()).await?;
        Ok(())
    }
}
