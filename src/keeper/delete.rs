//! Deleting a connection: never served again, and its tokens revoked at the provider.

use tracing::warn;

use crate::connectors::{Revocation, Tokens};
use crate::identity::Superadmin;
use crate::model::app::AppId;
use crate::model::connection::{Connection, Flow};
use crate::model::connector::{ConnectorId, Definition};
use crate::model::event::{Action, Event};
use crate::model::secret::Secret;
use crate::store::token_sets::PendingRevocation;
use crate::vault::Place;

use super::{Error, SecretsKeeper, seal};

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
}

impl RevocationResult {
    /// As answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Failed => "failed",
            Self::Unsupported => "unsupported",
            Self::Skipped => "skipped",
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
        let connection = self.find_any(app, connector, flow).await?.held.connection;
        let tx = self.core.parts.store.begin().await?;
        tx.conn().app(app).revoke_connection(connection.id).await?;
        let principal = by.principal();
        let event = Event {
            app: Some(app.clone()),
            connector: Some(connector.clone()),
            flow: Some(connection.flow.to_string()),
            token_set: connection.token_set.as_ref().map(|set| set.id),
            ..Event::new(principal.actor().clone(), Action::ConnectionDelete, principal.origin())
        };
        self.core.parts.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        let revocation = self.revoke_pending(&definition, &connection).await?;
        Ok(Deletion { flow: connection.flow, revocation })
    }

    /// Revokes what deletions left marked: a provider that was down then, or a refresh that landed afterwards.
    /// Says how many connections have nothing marked any more.
    pub async fn revoke_leftovers(&self) -> Result<usize, Error> {
        let mut done = 0;
        for connection in self.core.parts.store.conn().list_connections_to_revoke(100).await? {
            let definition = match self.core.definition(&connection.connector).await {
                Ok(definition) => definition,
                Err(Error::ConnectorNotFound | Error::Unreadable(_)) => continue,
                Err(error) => return Err(error),
            };
            let result = self.revoke_pending(&definition, &connection).await?;
            done += usize::from(result != RevocationResult::Failed);
        }
        Ok(done)
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
            let tx = parts.store.begin().await?;
            tx.conn().app(&connection.app).clear_revoke_pending(set.id).await?;
            tx.commit().await?;
        }
        Ok(result)
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
