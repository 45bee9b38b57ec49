//! Deleting a connection: never served again, and its tokens revoked at the provider.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tracing::{info, warn};
use uuid::Uuid;

use crate::connectors::{Revocation, Tokens};
use crate::identity::Superadmin;
use crate::model::app::AppId;
use crate::model::connection::{Connection, Flow, State};
use crate::model::connector::{ConnectorId, Definition};
use crate::model::event::Action;
use crate::model::secret::Secret;
use crate::model::token_set::TokenSetId;
use crate::store::token_sets::PendingRevocation;
use crate::vault::Place;

use super::{Error, ListFilter, SecretsKeeper, seal};

/// Connections marked between two look-ups.
const BATCH: u64 = 100;
/// Revocations under way at once.
const AT_ONCE: usize = 8;

/// What came of the revocation at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationResult {
    /// The provider has revoked the tokens.
    Revoked,
    /// The provider did not take it; the sets stay marked.
    Failed,
    /// The provider has no way to revoke.
    Unsupported,
    /// There was nothing to revoke.
    Skipped,
    /// Left alone: the provider would have ended the grant of a connection that lives, to the same account.
    Spared,
}

impl RevocationResult {
    /// As answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Failed => "failed",
            Self::Unsupported => "unsupported",
            Self::Skipped | Self::Spared => "skipped",
        }
    }
}

/// A deletion that is done here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Which connection.
    pub flow: Flow,
    /// What came of it at the provider.
    pub revocation: RevocationResult,
}

/// A deleted connection whose tokens the provider did not take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// At which provider.
    pub connector: ConnectorId,
    /// Which connection.
    pub flow: Flow,
}

impl SecretsKeeper {
    /// Deletes a connection: the row stays as `revoked`, every unspent set is marked in the same transaction,
    /// then revoked at the provider.
    pub async fn delete(
        &self,
        by: &Superadmin,
        app: &AppId,
        connector: &ConnectorId,
        flow: Option<&Flow>,
    ) -> Result<Deletion, Error> {
        let definition = self.core.definition(connector).await?;
        let connection = self.mark_deleted(by, app, connector, flow).await?;
        let revocation = self.revoke_pending(&definition, &connection).await?;
        Ok(Deletion { flow: connection.flow, revocation })
    }

    /// Deletes every connection of an app, then revokes at the providers what can be within `limit`, earlier
    /// deletions' leftovers too. Returns what lives on.
    pub async fn delete_all(
        &self,
        by: &Superadmin,
        app: &AppId,
        limit: Duration,
    ) -> Result<Vec<Leftover>, Error> {
        let mut filter = ListFilter { app: Some(app.clone()), limit: BATCH, ..ListFilter::default() };
        loop {
            let batch = self.list(by, &filter).await?;
            for living in batch.iter().filter(|status| status.state != State::Revoked) {
                self.mark_deleted(by, app, &living.connector, Some(&living.flow)).await?;
            }
            let Some(last) = batch.last() else { break };
            filter.after = Some(last.id);
        }
        let store = &self.core.parts.store;
        let marked = store.conn().app(app).list_connections_to_revoke(i64::MAX).await?;
        let revoking = stream::iter(&marked).for_each_concurrent(AT_ONCE, |connection| async move {
            if let Err(error) = self.revoke_marked(connection).await {
                warn!(app.id = %app, connector = %connection.connector, %error, "a token could not be revoked");
            }
        });
        // What is late is among the leftovers.
        let _ = tokio::time::timeout(limit, revoking).await;
        let left = store.conn().app(app).list_connections_to_revoke(i64::MAX).await?;
        Ok(left.into_iter().map(|left| Leftover { connector: left.connector, flow: left.flow }).collect())
    }

    async fn mark_deleted(
        &self,
        by: &Superadmin,
        app: &AppId,
        connector: &ConnectorId,
        flow: Option<&Flow>,
    ) -> Result<Connection, Error> {
        let connection = self.find_any(app, connector, flow).await?.held.connection;
        let tx = self.core.parts.store.begin().await?;
        tx.conn().app(app).revoke_connection(connection.id).await?;
        let event = by.principal().event(Action::ConnectionDelete).about(&connection);
        self.core.parts.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        Ok(connection)
    }

    /// Revokes what deletions left marked: a provider that was down then, or a refresh that landed afterwards.
    /// Says how many connections have nothing marked any more. Once the process ends it goes no further than the
    /// one it is at.
    pub async fn revoke_leftovers(&self) -> Result<usize, Error> {
        let mut done = 0;
        for connection in self.core.parts.store.conn().list_connections_to_revoke(100).await? {
            let result = match self.revoke_marked(&connection).await {
                Err(Error::Unreadable(_)) => continue,
                revoked => revoked?,
            };
            done += usize::from(result != RevocationResult::Failed);
            if self.is_closing() {
                break;
            }
        }
        Ok(done)
    }

    async fn revoke_marked(&self, connection: &Connection) -> Result<RevocationResult, Error> {
        match self.core.definition(&connection.connector).await {
            Ok(definition) => self.revoke_pending(&definition, connection).await,
            Err(Error::ConnectorNotFound) => Ok(RevocationResult::Failed),
            Err(error) => Err(error),
        }
    }

    /// Revokes the marked sets of a connection at the provider and clears the mark of those that are done.
    async fn revoke_pending(
        &self,
        definition: &std::sync::Arc<Definition>,
        connection: &Connection,
    ) -> Result<RevocationResult, Error> {
        let parts = &self.core.parts;
        let pending = parts.store.conn().app(&connection.app).list_revoke_pending(connection.id).await?;
        if pending.is_empty() {
            return Ok(RevocationResult::Skipped);
        }
        let Ok(opened) = self.core.credentials_of(connection, definition).await else {
            return Ok(RevocationResult::Failed);
        };
        if definition.revokes_all_grants && self.is_shared(connection, opened.id).await? {
            info!(app.id = %connection.app, connector = %connection.connector, flow = %connection.flow,
                "not revoked at the provider: that would end another connection to the same account");
            for set in pending {
                self.clear_pending(connection, set.id).await?;
            }
            return Ok(RevocationResult::Spared);
        }
        let connector = parts.registry.connector(definition);
        let mut result = RevocationResult::Skipped;
        for set in pending {
            let Some((access, refresh)) = self.open_pending(definition, connection, &set) else {
                return Ok(RevocationResult::Failed);
            };
            let tokens = Tokens { access_token: access.as_ref(), refresh_token: refresh.as_ref() };
            match connector.revoke(&opened.credentials, &tokens).await {
                Ok(Revocation::Revoked) => result = RevocationResult::Revoked,
                Ok(Revocation::Unsupported) => result = RevocationResult::Unsupported,
                Err(error) => {
                    warn!(app.id = %connection.app, connector = %connection.connector, %error,
                        "a token could not be revoked at the provider");
                    return Ok(RevocationResult::Failed);
                }
            }
            self.clear_pending(connection, set.id).await?;
        }
        Ok(result)
    }

    /// Whether a connection lives, of whatever tenant, or this one again, to the same account by the same client.
    async fn is_shared(&self, connection: &Connection, credentials: Uuid) -> Result<bool, Error> {
        let Some(account) = &connection.account_fingerprint else { return Ok(false) };
        let conn = self.core.parts.store.conn();
        let living = conn.list_uses_of_account(&connection.connector, credentials, account).await?;
        Ok(!living.is_empty())
    }

    async fn clear_pending(&self, connection: &Connection, set: TokenSetId) -> Result<(), Error> {
        let tx = self.core.parts.store.begin().await?;
        tx.conn().app(&connection.app).clear_revoke_pending(set).await?;
        Ok(tx.commit().await?)
    }

    fn open_pending(
        &self,
        definition: &Definition,
        connection: &Connection,
        set: &PendingRevocation,
    ) -> Option<(Option<Secret>, Option<Secret>)> {
        let vault = &self.core.parts.vault;
        let key = set.key.as_ref()?;
        let origin = definition.token_origin();
        let refresh_place = seal::refresh_place(connection, set.id, &origin);
        let access_place = Place { column: "sealed_access", origin: None, ..refresh_place };
        let access =
            set.access.as_ref().map(|sealed| vault.open(key, &access_place, sealed)).transpose().ok()?;
        let refresh =
            set.refresh.as_ref().map(|sealed| vault.open(key, &refresh_place, sealed)).transpose().ok()?;
        Some((access, refresh))
    }
}
