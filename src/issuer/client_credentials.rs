//! The grant of machines: a client gets a token for itself (RFC 6749 §4.4).

use crate::model::client::Client;
use crate::model::entropy::uuid;
use crate::model::event::Origin;
use crate::model::grant::{Grant, GrantId, GrantType};

use super::mint::{IssuedTokens, Minted, Minting};
use super::target::{within, without_openid};
use super::{Error, Issuer};

/// What a client asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `scope`; absent: all of the client's.
    pub scope: Option<String>,
    /// `resource` (RFC 8707); absent: the client's only one, else the broker.
    pub resource: Option<String>,
}

impl Issuer {
    /// Answers a client that asks for a token for itself. Only one that is flagged for it gets a refresh token.
    pub async fn client_credentials(
        &self,
        client: &Client,
        asked: &Asked,
        origin: Origin,
    ) -> Result<IssuedTokens, Error> {
        self.demand(client, GrantType::ClientCredentials)?;
        let target = self.target(client, asked.resource.as_deref()).await?;
        let scope = within(without_openid(target.available(client)), asked.scope.as_deref())?;
        let scope = without_openid(scope);
        if !client.refresh_tokens {
            let minting = Minting { client, target: &target, scope, grant: None, user: None, nonce: None };
            let Minted { tokens, event } = self.mint(minting, origin).await?;
            self.audit.record(event).await?;
            return Ok(tokens);
        }
        let grant = Grant {
            id: GrantId(uuid(&*self.clock, &*self.entropy)),
            client_id: client.client_id.clone(),
            user: None,
            begun_by: GrantType::ClientCredentials,
            scope: scope.clone(),
            resource: target.uri().cloned(),
            auth_time: None,
            created_at: self.clock.now(),
            expires_at: self.grant_ends(client, true),
        };
        let minting =
            Minting { client, target: &target, scope, grant: Some(&grant), user: None, nonce: None };
        let Minted { mut tokens, event } = self.mint(minting, origin).await?;
        let tx = self.store.begin().await?;
        let ended = self.insert_grant(tx.conn(), &grant, origin).await?;
        tokens.refresh_token = Some(self.insert_refresh_token(tx.conn(), &grant).await?);
        self.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        self.forget_grants(ended);
        Ok(tokens)
    }
}
