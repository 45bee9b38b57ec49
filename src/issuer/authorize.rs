//! Authorization requests in the browser (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2): judged, agreed to, answered.
//!
//! Promises that nobody is sent to an address that the client did not register, and that a code is made only for the
//! person whose browser said yes, or had said so before.

mod hint;
mod request;
#[cfg(test)]
mod tests;

use time::{Duration, OffsetDateTime};

use crate::identity::session::SignedIn;
use crate::model::client::ClientKind;
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event};
use crate::model::grant::{AuthorizationCode, GrantId, GrantType, GrantedScope};
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;

use super::target::given_by;
use super::{Error, Issuer};

pub use self::request::{AuthorizationParams, AuthorizationRequest, Refusal};

/// How long a code is good.
const LIFE: Duration = Duration::seconds(60);

/// What comes before a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The person must sign in (again).
    SignIn,
    /// The person must be asked for this.
    Ask(GrantedScope),
    /// Nothing.
    Answer(GrantedScope),
}

impl Issuer {
    /// What comes next for this request in a browser where this person is signed in.
    ///
    /// # Errors
    /// [`Refusal::Sent`] where it may ask nobody, or the person has nothing to give.
    pub async fn next(
        &self,
        request: &AuthorizationRequest,
        person: Option<&SignedIn>,
    ) -> Result<Next, Refusal> {
        if person.is_some_and(|person| request.is_back_without(person.user.id)) {
            return Err(request.refuse("login_required", "another person signed in than id_token_hint names"));
        }
        let signed_in = person.filter(|person| {
            request.is_for(person.user.id)
                && !request.needs_sign_in(person.signed_in_at)
                && person.may_let_in(&request.client.client_id)
        });
        let Some(person) = signed_in else {
            return if request.may_ask() {
                Ok(Next::SignIn)
            } else {
                Err(request
                    .refuse("login_required", "the person is not signed in here, or not lately enough"))
            };
        };
        let scope = self.offered(request, person)?;
        let client = &request.client;
        let resource = request.target.uri();
        let agreed = match client.kind {
            // Anybody can pretend to be a client that keeps no secret (RFC 8252 §8.6).
            ClientKind::Programmatic => false,
            ClientKind::Service | ClientKind::Provider => {
                let agreed = self.store.conn();
                let agreed = agreed.find_consent(person.user.id, &client.client_id, resource);
                agreed.await.map_err(Error::from)?.covers(&scope)
            }
        };
        match agreed && !request.asks_for_consent() {
            true => Ok(Next::Answer(scope)),
            false if request.may_ask() => Ok(Next::Ask(scope)),
            false => Err(request.refuse("consent_required", "the person must be asked")),
        }
    }

    /// Makes a code; the person has just said yes, or did before. Where to send the browser.
    pub async fn grant_code(
        &self,
        request: &AuthorizationRequest,
        person: &SignedIn,
        asked: bool,
    ) -> Result<String, Refusal> {
        let scope = self.offered(request, person)?;
        let made = self.insert_code(request, person, scope, asked).await?;
        Ok(request.answer(&made))
    }

    /// Where to send a browser whose person said no.
    pub async fn deny(&self, request: &AuthorizationRequest, person: &SignedIn) -> Refusal {
        let subject = Some(format!("client:{} {}", request.client.client_id, request.scope));
        let event = Event { subject, result: "denied", ..person.principal.event(Action::GrantApprove) };
        match self.audit.record(event).await {
            Ok(()) => request.refuse("access_denied", "the person said no"),
            Err(error) => Error::from(error).into(),
        }
    }

    /// What of the request this person can give.
    fn offered(&self, request: &AuthorizationRequest, person: &SignedIn) -> Result<GrantedScope, Refusal> {
        let scope = given_by(&person.user, &request.client, GrantType::AuthorizationCode, &request.scope);
        if scope.is_empty() && !request.scope.is_empty() {
            return Err(request.refuse("access_denied", "this person has none of the rights asked for"));
        }
        Ok(scope)
    }

    async fn insert_code(
        &self,
        request: &AuthorizationRequest,
        person: &SignedIn,
        scope: GrantedScope,
        asked: bool,
    ) -> Result<Secret, Error> {
        let now: OffsetDateTime = self.clock.now();
        let ticket = Ticket::new(uuid(&*self.clock, &*self.entropy), &*self.entropy);
        let resource = request.target.uri().cloned();
        let code = AuthorizationCode {
            id: ticket.id,
            grant: GrantId(uuid(&*self.clock, &*self.entropy)),
            client_id: request.client.client_id.clone(),
            user: person.user.id,
            redirect_uri: request.redirect_uri.clone(),
            scope,
            resource,
            code_challenge: request.code_challenge.clone(),
            nonce: request.nonce.clone(),
            auth_time: person.signed_in_at,
            expires_at: now + LIFE,
        };
        let hash = self.tools().hash("authorization_code", &ticket, &code.subject());
        let tx = self.store.begin().await?;
        if !tx.conn().hold_session(person.session_id).await? {
            return Err(Error::SignedOut);
        }
        tx.conn().insert_code(&code, hash).await?;
        if asked && request.client.kind.is_confidential() {
            let resource = code.resource.as_ref();
            tx.conn().put_consent(code.user, &code.client_id, resource, &code.scope).await?;
        }
        let subject = Some(format!("client:{} grant:{} {}", code.client_id, code.grant.0, code.scope));
        let event = person.principal.event(Action::GrantApprove);
        self.audit.record_in(tx.conn(), Event { subject, ..event }).await?;
        tx.commit().await?;
        Ok(ticket.text())
    }
}
