//! Revocation (RFC 7009) and what only the issuer knows of refresh tokens for introspection (RFC 7662).

use crate::identity::bearer::GoodToken;
use crate::model::client::Client;
use crate::model::event::{Action, Event, Origin};
use crate::model::grant::Grant;
use crate::model::principal::Actor;
use crate::model::secret::Secret;

use super::{Error, Issuer};

impl Issuer {
    /// Ends the grant of a refresh token of this client; nothing happens for any other. Whether it was one.
    pub async fn revoke_refresh_token(
        &self,
        client: &Client,
        token: &Secret,
        origin: Origin,
    ) -> Result<bool, Error> {
        let Some((grant, _)) = self.find_family(token).await? else { return Ok(false) };
        if grant.client_id != client.client_id {
            return Ok(true);
        }
        let actor = Actor::Client(client.client_id.clone());
        self.end_grant(actor, grant.id, "ok", origin).await?;
        Ok(true)
    }

    /// Refuses an access token of this client from now on; nothing happens for another's. Its grant lives on.
    pub async fn revoke_access_token(
        &self,
        client: &Client,
        token: &GoodToken,
        origin: Origin,
    ) -> Result<(), Error> {
        if token.client.client_id != client.client_id {
            return Ok(());
        }
        let event = Event::new(Actor::Client(client.client_id.clone()), Action::TokenRevoke, origin);
        let tx = self.store.begin().await?;
        // As long as the most forgiving verifier takes it.
        let until = token.claims.expires_at + time::Duration::minutes(1);
        tx.conn().revoke_token(token.jti, until).await?;
        self.audit.record_in(tx.conn(), Event { subject: Some(token.jti.to_string()), ..event }).await?;
        tx.commit().await?;
        self.recent.forget_token(token.jti);
        Ok(())
    }

    /// The grant of a refresh token of this client that can still be used.
    pub async fn introspect_refresh_token(
        &self,
        client: &Client,
        token: &Secret,
    ) -> Result<Option<Grant>, Error> {
        let found = self.find_family(token).await?;
        let usable = |(grant, used): &(Grant, bool)| !used && grant.client_id == client.client_id;
        Ok(found.filter(usable).map(|(grant, _)| grant))
    }
}
