//! Refresh tokens of ours (RFC 6749 §6): each used once; one used twice ends its family (RFC 9700 §4.14.2).

use crate::model::client::Client;
use crate::model::event::{Action, Event, Origin};
use crate::model::grant::{Grant, GrantId, GrantType, GrantedScope};
use crate::model::person::User;
use crate::model::principal::{Actor, UserId};
use crate::model::secret::Secret;

use super::client_credentials::Asked;
use super::code::parse;
use super::mint::{IssuedTokens, Minted, Minting};
use super::target::{given_by, within};
use super::{Error, Issuer, NOTHING_LEFT};

const UNKNOWN: Error = Error::InvalidGrant("the refresh token is unknown, used, revoked or expired");

impl Issuer {
    /// Answers a client that brings a refresh token.
    pub async fn refresh(
        &self,
        client: &Client,
        token: &Secret,
        asked: &Asked,
        origin: Origin,
    ) -> Result<IssuedTokens, Error> {
        self.demand(client, GrantType::RefreshToken)?;
        let ticket = parse(token).ok_or(UNKNOWN)?;
        let Some((grant, used)) = self.find_family(token).await? else { return Err(UNKNOWN) };
        if grant.client_id != client.client_id {
            return Err(UNKNOWN);
        }
        if used {
            return Err(self.reused(client, grant.id, origin).await?);
        }
        let target = self.same_target(grant.resource.as_ref(), asked.resource.as_deref()).await?;
        let user = match grant.user {
            Some(user) => Some(self.person(user).await?),
            None => None,
        };
        let left = left(&grant, user.as_ref(), client).narrowed_to(&target.available(client));
        if asked.scope.is_none() && left.is_empty() && !grant.scope.is_empty() {
            return Err(NOTHING_LEFT);
        }
        let scope = within(left, asked.scope.as_deref())?;
        let minting =
            Minting { client, target: &target, scope, grant: Some(&grant), user: user.as_ref(), nonce: None };
        let Minted { mut tokens, event } = self.mint(minting, origin).await?;
        let tx = self.store.begin().await?;
        if !tx.conn().take_refresh_token(ticket.id).await? {
            drop(tx);
            return Err(self.reused(client, grant.id, origin).await?);
        }
        if !tx.conn().lock_grant(grant.id).await? {
            return Err(UNKNOWN);
        }
        tokens.refresh_token = Some(self.insert_refresh_token(tx.conn(), &grant).await?);
        self.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        Ok(tokens)
    }

    /// The grant of a refresh token that has not ended, and whether the token was used.
    pub(super) async fn find_family(&self, token: &Secret) -> Result<Option<(Grant, bool)>, Error> {
        let Some(ticket) = parse(token) else { return Ok(None) };
        let Some(stored) = self.store.conn().find_refresh_token(ticket.id).await? else { return Ok(None) };
        if !self.tools().fits("refresh_token", &ticket, stored.grant.0.as_bytes(), &stored.hash) {
            return Ok(None);
        }
        let Some(grant) = self.store.conn().find_grant(stored.grant).await? else { return Ok(None) };
        let grant = self.vault.check(grant)?;
        let expired = !stored.used && stored.expires_at <= self.clock.now();
        Ok((!expired).then_some((grant, stored.used)))
    }

    /// Ends a grant whose code or refresh token came a second time: one of those who have it should not.
    pub(super) async fn reused(
        &self,
        client: &Client,
        grant: GrantId,
        origin: Origin,
    ) -> Result<Error, Error> {
        let actor = Actor::Client(client.client_id.clone());
        self.end_grant(actor, grant, "reused", origin).await?;
        tracing::warn!(
            client.id = %client.client_id, grant.id = %grant.0,
            "a code or refresh token came a second time; all tokens of its grant are refused from now on"
        );
        Ok(UNKNOWN)
    }

    /// Ends a grant with all its tokens.
    pub(super) async fn end_grant(
        &self,
        actor: Actor,
        grant: GrantId,
        result: &'static str,
        origin: Origin,
    ) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        if tx.conn().end_grant(grant).await? {
            let event = Event::new(actor, Action::GrantEnd, origin);
            let event = Event { subject: Some(format!("grant:{}", grant.0)), result, ..event };
            self.audit.record_in(tx.conn(), event).await?;
        }
        tx.commit().await?;
        self.recent.forget_grant(grant);
        Ok(())
    }

    /// A person who may still be spoken for.
    pub(super) async fn person(&self, id: UserId) -> Result<User, Error> {
        let user = self.store.conn().find_user(id).await?.filter(|user| !user.disabled);
        user.ok_or(Error::InvalidGrant("the person is disabled or gone"))
    }
}

fn left(grant: &Grant, user: Option<&User>, client: &Client) -> GrantedScope {
    match user {
        Some(user) => given_by(user, client, grant.begun_by, &grant.scope),
        None => grant.scope.clone(),
    }
}
