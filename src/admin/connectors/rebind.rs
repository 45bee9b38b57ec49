//! How do refresh tokens follow a connector to a confirmed new origin?

use tracing::warn;

use super::{Connectors, Error};
use crate::model::connector::ConnectorId;
use crate::model::secret::Sealed;
use crate::store::Conn;
use crate::store::connectors::BoundToken;
use crate::vault::Place;

impl Connectors {
    /// Seals every refresh token of the connector that is bound to another origin for `origin`. What does not
    /// open stays as it is: it was not made here, and the keeper reports it when it is used.
    pub(super) async fn rebind(&self, conn: Conn<'_>, id: &ConnectorId, origin: &str) -> Result<(), Error> {
        // What lands afterwards is bound to the new origin by whoever stores it.
        conn.lock_connections_of(id).await?;
        for token in conn.list_tokens_bound_elsewhere(id, origin).await? {
            match self.reseal(conn, id, &token, origin).await? {
                Some(sealed) => conn.rebind_token(token.id, &sealed, origin).await?,
                None => warn!(token_set = %token.id, "a refresh token does not open and was not rebound"),
            }
        }
        Ok(())
    }

    async fn reseal(
        &self,
        conn: Conn<'_>,
        connector: &ConnectorId,
        token: &BoundToken,
        origin: &str,
    ) -> Result<Option<Sealed>, Error> {
        let Some(key) = conn.app(&token.app).find_app_key().await? else { return Ok(None) };
        let old = place(token, connector, &token.origin);
        let new = place(token, connector, origin);
        let opened = self.tools.vault.open(&key, &old, &token.sealed);
        Ok(opened.and_then(|secret| self.tools.vault.seal(&key, &new, &secret)).ok())
    }
}

fn place<'a>(token: &'a BoundToken, connector: &'a ConnectorId, origin: &'a str) -> Place<'a> {
    Place {
        token_set: Some(token.id),
        origin: Some(origin),
        ..Place::of("token_set", "sealed_refresh", token.connection).in_app(&token.app, connector)
    }
}
