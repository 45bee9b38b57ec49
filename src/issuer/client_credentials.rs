//! The grant of machines: a client gets a token for itself (RFC 6749 §4.4).

use crate::model::client::{Client, ClientKind};
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::scope::Scopes;
use crate::model::secret::Secret;

use super::authentication::Presented;
use super::claims::{AccessToken, TYPE};
use super::{Error, Issuer, keys};

/// What a client asks for.
#[derive(Debug)]
pub struct Request {
    /// Who it is.
    pub client: Presented,
    /// `scope`; absent: all of the client's.
    pub scope: Option<String>,
    /// `resource` (RFC 8707); absent: the broker itself.
    pub resource: Option<String>,
}

/// An access token of ours.
#[derive(Debug)]
pub struct IssuedToken {
    /// The JWT.
    pub access_token: Secret,
    /// Seconds it lives.
    pub expires_in_s: u32,
    /// What it grants.
    pub scopes: Scopes,
}

impl Issuer {
    /// Answers a client that asks for a token for itself.
    pub async fn client_credentials(&self, request: &Request, origin: Origin) -> Result<IssuedToken, Error> {
        let client = self.authenticate_client(&request.client, origin).await?;
        match client.kind {
            ClientKind::Service | ClientKind::Provider => {}
            ClientKind::Programmatic => return Err(Error::UnauthorizedClient),
        }
        if request.resource.as_deref().is_some_and(|resource| resource != self.url()) {
            return Err(Error::InvalidTarget);
        }
        let scopes = granted(&client, request.scope.as_deref())?;
        self.issue(&client, scopes, origin).await
    }

    async fn issue(&self, client: &Client, scopes: Scopes, origin: Origin) -> Result<IssuedToken, Error> {
        let (jti, now) = (uuid(&*self.clock, &*self.entropy), self.clock.now());
        let expires_in_s = client.token_lifetime_s.unwrap_or(self.settings.token_lifetime_s);
        let claims = AccessToken::of_client(self.url(), client, &scopes, expires_in_s, jti, now);
        let signer = self.keys.current(now).await.signer.clone();
        let access_token = signer.sign(TYPE, &claims).map_err(|_| keys::Error::Crypto)?;
        let actor = Actor::Client(client.client_id.clone());
        let event = Event { subject: Some(jti.to_string()), ..Event::new(actor, Action::TokenIssue, origin) };
        self.audit.record(event).await?;
        Ok(IssuedToken { access_token, expires_in_s, scopes })
    }
}

/// What is asked for, where it is within the client's.
fn granted(client: &Client, asked: Option<&str>) -> Result<Scopes, Error> {
    let Some(asked) = asked else { return Ok(client.scopes.clone()) };
    let scopes = Scopes::parse(asked).map_err(|_| Error::InvalidScope)?;
    let within = !scopes.is_empty() && client.scopes.covers(&scopes);
    if within { Ok(scopes) } else { Err(Error::InvalidScope) }
}
