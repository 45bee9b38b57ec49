//! Which sets must still be revoked at their provider?

use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;
use uuid::Uuid;

use crate::model::secret::{Sealed, WrappedKey};
use crate::model::token_set::TokenSetId;
use crate::store::entity::token_set;
use crate::store::{AppRows, Error};

use super::tenant::of_tenant;

/// A set that has to be revoked at the provider.
#[derive(Clone, Debug)]
pub struct PendingRevocation {
    /// Which.
    pub id: TokenSetId,
    /// Sealed access token.
    pub access: Option<Sealed>,
    /// Sealed refresh token.
    pub refresh: Option<Sealed>,
    /// Their data key; `None` once destroyed.
    pub key: Option<WrappedKey>,
    /// Origin the refresh token is bound to.
    pub origin: String,
}

impl AppRows<'_> {
    /// Sets of a connection that must be revoked at the provider, newest first.
    pub async fn list_revoke_pending(&self, connection: Uuid) -> Result<Vec<PendingRevocation>, Error> {
        let rows = self
            .token_sets()
            .filter(token_set::Column::ConnectionId.eq(connection))
            .filter(token_set::Column::RevokePending.eq(true))
            .order_by_desc(token_set::Column::Id)
            .all(&self.conn.db())
            .await?;
        let mut pending = Vec::with_capacity(rows.len());
        for row in rows {
            let sealed = |bytes: Vec<u8>| Sealed { key_id: row.key_id, bytes };
            pending.push(PendingRevocation {
                id: TokenSetId(row.id),
                access: row.sealed_access.map(sealed),
                refresh: row.sealed_refresh.map(sealed),
                key: self.conn.find_data_key(row.key_id).await?,
                origin: row.origin,
            });
        }
        Ok(pending)
    }

    /// Clears the mark after the provider call, and forgets the tokens: they are dead.
    pub async fn clear_revoke_pending(&self, set: TokenSetId) -> Result<(), Error> {
        let sql = format!(
            "UPDATE token_set SET revoke_pending = FALSE, spent = TRUE, sealed_access = NULL, \
             sealed_refresh = NULL, sealed_extra = NULL WHERE id = $1 AND {}",
            of_tenant(2)
        );
        self.conn.run(sql, vec![set.0.into(), self.app.as_str().into()]).await?;
        Ok(())
    }
}
