//! Redeems authorization codes (RFC 6749 §4.1.3, RFC 7636): once each; a second time ends what the first made.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use crate::model::client::Client;
use crate::model::event::Origin;
use crate::model::grant::{AuthorizationCode, Grant, GrantType};
use crate::model::scope::Scope;
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;

use super::mint::{IssuedTokens, Minted, Minting};
use super::target::given_by;
use super::{Error, Issuer, NOTHING_LEFT};

/// What a client brings.
#[derive(Debug)]
pub struct Redemption {
    /// As it came.
    pub code: Secret,
    /// As it came.
    pub redirect_uri: Option<String>,
    /// PKCE's.
    pub code_verifier: Secret,
    /// The same as with the code, where it is said again.
    pub resource: Option<String>,
}

impl Issuer {
    /// Answers a client that brings a code.
    pub async fn redeem_code(
        &self,
        client: &Client,
        redemption: &Redemption,
        origin: Origin,
    ) -> Result<IssuedTokens, Error> {
        self.demand(client, GrantType::AuthorizationCode)?;
        let code = self.find_code(client, &redemption.code, origin).await?;
        let sent = redemption.redirect_uri.as_deref() == Some(code.redirect_uri.as_str());
        if !sent || !proves(&redemption.code_verifier, &code.code_challenge) {
            return Err(Error::InvalidGrant("redirect_uri or code_verifier is not the one of the request"));
        }
        let target = self.same_target(code.resource.as_ref(), redemption.resource.as_deref()).await?;
        let user = self.person(code.user).await?;
        let scope = given_by(&user, client, GrantType::AuthorizationCode, &code.scope)
            .narrowed_to(&target.available(client));
        if scope.is_empty() && !code.scope.is_empty() {
            return Err(NOTHING_LEFT);
        }
        let offline = client.refresh_tokens || scope.own.contains(Scope::OfflineAccess);
        let refreshes = offline && client.may_use(GrantType::RefreshToken);
        let grant = Grant {
            id: code.grant,
            client_id: code.client_id.clone(),
            user: Some(code.user),
            begun_by: GrantType::AuthorizationCode,
            scope: scope.clone(),
            resource: code.resource.clone(),
            auth_time: code.auth_time,
            created_at: self.clock.now(),
            expires_at: self.grant_ends(client, refreshes),
        };
        let nonce = code.nonce.as_deref();
        let minting =
            Minting { client, target: &target, scope, grant: Some(&grant), user: Some(&user), nonce };
        let Minted { mut tokens, event } = self.mint(minting, origin).await?;
        let tx = self.store.begin().await?;
        if !tx.conn().take_code(code.id).await? {
            drop(tx);
            return Err(self.reused(client, code.grant, origin).await?);
        }
        let ended = self.insert_grant(tx.conn(), &grant, origin).await?;
        if refreshes {
            tokens.refresh_token = Some(self.insert_refresh_token(tx.conn(), &grant).await?);
        }
        self.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        self.forget_grants(ended);
        Ok(tokens)
    }

    /// A code of this client that can still be used.
    async fn find_code(
        &self,
        client: &Client,
        code: &Secret,
        origin: Origin,
    ) -> Result<AuthorizationCode, Error> {
        let unknown = Error::InvalidGrant("the code is unknown, used or expired");
        let Some(ticket) = parse(code) else { return Err(unknown) };
        let Some(stored) = self.store.conn().find_code(ticket.id).await? else { return Err(unknown) };
        let own = stored.code.client_id == client.client_id;
        if !own || !self.tools().fits("authorization_code", &ticket, &stored.code.subject(), &stored.hash) {
            return Err(unknown);
        }
        if stored.used {
            return Err(self.reused(client, stored.code.grant, origin).await?);
        }
        if stored.code.expires_at <= self.clock.now() { Err(unknown) } else { Ok(stored.code) }
    }
}

/// A ticket of ours, from what a client sent.
#[expect(clippy::disallowed_methods, reason = "door: what a client sent is split into id and secret")]
pub(super) fn parse(secret: &Secret) -> Option<Ticket> {
    Ticket::parse(secret.expose_secret())
}

/// Whether `challenge` is the S256 of this verifier (RFC 7636 §4.6).
#[expect(clippy::disallowed_methods, reason = "door: the verifier is hashed")]
fn proves(verifier: &Secret, challenge: &str) -> bool {
    let verifier = verifier.expose_secret().as_bytes();
    let unreserved = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    if !(43..=128).contains(&verifier.len()) || !verifier.iter().all(unreserved) {
        return false;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier);
    URL_SAFE_NO_PAD.encode(digest.as_ref()).as_bytes().ct_eq(challenge.as_bytes()).into()
}
