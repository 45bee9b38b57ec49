//! Makes the tokens themselves: signed, recorded, kept.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::identity::tools::Tools;
use crate::model::client::Client;
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event, Origin};
use crate::model::grant::{Grant, GrantId, GrantedScope};
use crate::model::person::User;
use crate::model::principal::Actor;
use crate::model::scope::Scope;
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;
use crate::store::Conn;

use super::claims::{self, AccessToken, IdToken};
use super::target::{Target, gives_role};
use super::{Error, Issuer, keys};

/// A refresh token that is not used for so long ends.
pub(super) const IDLE: Duration = Duration::days(30);
/// And so do all of a grant, used or not.
pub(super) const ABSOLUTE: Duration = Duration::days(90);

/// What a token request is answered with (RFC 6749 §5.1).
#[derive(Debug)]
pub struct IssuedTokens {
    /// The JWT.
    pub access_token: Secret,
    /// Seconds it lives.
    pub expires_in_s: u32,
    /// What it grants.
    pub scope: GrantedScope,
    /// To get the next one.
    pub refresh_token: Option<Secret>,
    /// Who the person is (OpenID Connect Core §3.1.3.3).
    pub id_token: Option<Secret>,
}

/// Whom tokens are for, and what they say.
pub(super) struct Minting<'a> {
    pub(super) client: &'a Client,
    pub(super) target: &'a Target,
    pub(super) scope: GrantedScope,
    /// `None`: the client for itself, once.
    pub(super) grant: Option<&'a Grant>,
    pub(super) user: Option<&'a User>,
    pub(super) nonce: Option<&'a str>,
}

/// Signed tokens whose record is still to be written.
pub(super) struct Minted {
    pub(super) tokens: IssuedTokens,
    pub(super) event: Event,
}

impl Issuer {
    /// Signs; stores nothing.
    pub(super) async fn mint(&self, minting: Minting<'_>, origin: Origin) -> Result<Minted, Error> {
        let Minting { client, target, scope, grant, user, nonce } = minting;
        let now = self.clock.now();
        let jti = uuid(&*self.clock, &*self.entropy);
        let expires_in_s = client.token_lifetime_s.unwrap_or(self.settings.token_lifetime_s);
        let signer = self.keys.current(now).await.signer.clone();
        let role = match (user, grant) {
            (None, _) => client.role,
            (Some(user), Some(grant)) if gives_role(user, client, grant.begun_by) => user.role,
            (Some(_), _) => None,
        };
        let broker = *target == Target::Broker;
        let access = AccessToken {
            iss: self.url(),
            sub: user.map_or_else(|| client.client_id.to_string(), |user| user.id.to_string()),
            aud: target.uri().map_or(self.url(), |uri| uri.as_str()),
            client_id: &client.client_id,
            iat: claims::issued_at(client, now),
            exp: claims::issued_at(client, now).saturating_add(expires_in_s.into()),
            jti: jti.to_string(),
            scope: of_target(&scope, broker).to_string(),
            role: role.filter(|_| broker),
            authorization_details: client.allow.0.as_deref().filter(|_| broker).map(claims::binb_token),
            grant_id: grant.map(|grant| grant.id.0.to_string()),
            auth_time: grant.and_then(|grant| grant.auth_time).map(OffsetDateTime::unix_timestamp),
        };
        let access_token = signer.sign(claims::ACCESS_TOKEN, &access).map_err(|_| keys::Error::Crypto)?;
        let id_token = match user.filter(|_| scope.own.contains(Scope::Openid)) {
            None => None,
            Some(user) => {
                let auth_time = access.auth_time;
                let hash = claims::left_half_hash(&access_token);
                let token = IdToken::of(self.url(), client, user, &scope.own, (access.iat, access.exp), jti)
                    .with(nonce, auth_time, hash);
                Some(signer.sign(claims::ID_TOKEN, &token).map_err(|_| keys::Error::Crypto)?)
            }
        };
        let event = issued(client, user, grant.map(|grant| grant.id), jti, origin);
        let tokens = IssuedTokens { access_token, expires_in_s, scope, refresh_token: None, id_token };
        Ok(Minted { tokens, event })
    }

    /// A refresh token of this grant, stored inside the caller's transaction.
    pub(super) async fn insert_refresh_token(&self, conn: Conn<'_>, grant: &Grant) -> Result<Secret, Error> {
        let tools = self.tools();
        let ticket = Ticket::new(uuid(&*self.clock, &*self.entropy), &*self.entropy);
        let hash = tools.hash("refresh_token", &ticket, grant.id.0.as_bytes());
        let expires_at = grant.expires_at.min(self.clock.now() + IDLE);
        conn.insert_refresh_token(ticket.id, grant.id, hash, expires_at).await?;
        Ok(ticket.text())
    }

    /// When a grant made now ends: with its refresh tokens, or with its only access token.
    pub(super) fn grant_ends(&self, client: &Client, refreshes: bool) -> OffsetDateTime {
        let lifetime = client.token_lifetime_s.unwrap_or(self.settings.token_lifetime_s);
        // Verifiers forgive clocks that differ by a minute.
        let once = Duration::seconds(i64::from(lifetime) + 60);
        self.clock.now() + if refreshes { ABSOLUTE } else { once }
    }

    pub(super) fn tools(&self) -> Tools {
        Tools {
            store: self.store.clone(),
            vault: self.vault.clone(),
            audit: self.audit.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }
}

/// The scope of the access token itself: one for another resource server says nothing of the broker's.
fn of_target(scope: &GrantedScope, broker: bool) -> GrantedScope {
    if broker {
        return scope.clone();
    }
    GrantedScope { own: Default::default(), of_resource: scope.of_resource.clone() }
}

fn issued(client: &Client, user: Option<&User>, grant: Option<GrantId>, jti: Uuid, origin: Origin) -> Event {
    let own = Actor::Client(client.client_id.clone());
    let actor = user.map_or(own, |user| Actor::User(user.id));
    let subject = match (user, grant) {
        (None, None) => jti.to_string(),
        (_, grant) => {
            let grant = grant.map(|grant| format!(" grant:{}", grant.0)).unwrap_or_default();
            format!("{jti} client:{}{grant}", client.client_id)
        }
    };
    Event { subject: Some(subject), ..Event::new(actor, Action::TokenIssue, origin) }
}
