//! What happens when the browser comes back? Every check first, then one exchange, sealed before all else.

use std::sync::Arc;

use time::OffsetDateTime;
use tracing::{Instrument, warn};

use crate::connectors::{self, Exchange};
use crate::identity::{Denied, Principal};
use crate::keeper::{self, Adoption, AdoptionKind, Judged};
use crate::model::app::{App, AppId};
use crate::model::connector::{Account, ConnectorId, fill, origin_of};
use crate::model::event::{Action, Event};
use crate::model::principal::Actor;
use crate::model::secret::{Secret, WrappedKey};
use crate::model::ticket::Ticket;
use crate::signup::exchanged::Exchanged;
use crate::signup::resolve::Resolved;
use crate::signup::{Connected, Error, PENDING, Signup, Visitor};
use crate::store::signups::{Browser, Stage, StoredSignup, TABLE};
use crate::vault::Place;

/// At which address a callback came in.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The path's connector.
    pub connector: String,
    /// The path's app, at addresses for credentials an app owns.
    pub app: Option<String>,
}

/// What a callback brought (RFC 6749 §4.1.2, RFC 9207).
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The state, when it is one of ours.
    pub state: Option<Ticket>,
    /// To be swapped for tokens.
    pub code: Option<Secret>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The provider's sentence about it.
    pub error_description: Option<String>,
    /// Which provider says so.
    pub iss: Option<String>,
}

/// How a callback ended, when it did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The set is live.
    Connected(Connected),
    /// A person must confirm it first.
    Confirm(uuid::Uuid),
    /// The service provider whose link this was must confirm it; the person goes back there.
    Return(Connected, uuid::Uuid),
}

impl Signup {
    /// Answers a callback. The work is a task of its own: a browser that hangs up loses neither code nor set.
    pub async fn callback(
        self: &Arc<Self>,
        visitor: &Visitor,
        arrival: Arrival,
        answer: Answer,
    ) -> Result<Outcome, Error> {
        let permit = Arc::clone(&self.flights).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let (this, visitor) = (Arc::clone(self), visitor.clone());
        let work = async move {
            let outcome = this.complete(&visitor, &arrival, &answer).await;
            drop(permit);
            outcome
        };
        tokio::spawn(work.in_current_span()).await.unwrap_or(Err(Error::Interrupted))
    }

    async fn complete(
        &self,
        visitor: &Visitor,
        arrival: &Arrival,
        answer: &Answer,
    ) -> Result<Outcome, Error> {
        let row = self.take(visitor, answer).await?;
        match self.receive(visitor, &row, arrival, answer).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                self.end(&visitor.principal, &row, &error).await;
                Err(error)
            }
        }
    }

    /// Uses the state up; only the browser it was made for can.
    async fn take(&self, visitor: &Visitor, answer: &Answer) -> Result<StoredSignup, Error> {
        let state = answer.state.as_ref().ok_or(Error::State)?;
        let user = visitor.principal.user().ok_or(Error::Denied(Denied::Forbidden))?;
        let browser = Browser { session: visitor.session, user };
        let tx = self.store.begin().await?;
        let now = tx.conn().signup_clock().await?;
        let row = tx.conn().take_signup(state.id, &self.state_hash(state), browser, now).await?;
        tx.commit().await?;
        row.ok_or(Error::State)
    }

    async fn receive(
        &self,
        visitor: &Visitor,
        row: &StoredSignup,
        arrival: &Arrival,
        answer: &Answer,
    ) -> Result<Outcome, Error> {
        self.check_arrival(row, arrival)?;
        self.require_entry(&visitor.principal, row).await?;
        let resolved = self.resolve_row(row).await?;
        let code = check_answer(row, &resolved, answer)?;
        let key = self.key_of(row).await?;
        let mut set = self.exchange(row, &resolved, &key, code).await?;
        self.identify(row, &resolved, &key, &mut set).await?;
        let doubts = self.doubts(row, &resolved, set.account.as_ref()).await?;
        if doubts.none() && row.link.is_none() {
            return self.adopt(&visitor.principal, row.id, set, doubts.judged).await.map(Outcome::Connected);
        }
        set.judged = Some(doubts.judged);
        set.agreed = doubts.none();
        self.reseal(row, &resolved, &key, &set).await?;
        match row.link.filter(|_| set.agreed) {
            Some(link) => Ok(Outcome::Return(connected(row), link)),
            None => Ok(Outcome::Confirm(row.id)),
        }
    }

    /// The right to the row's app: a member's, or that of the link which led here, to who followed it.
    pub(super) async fn require_entry(&self, by: &Principal, row: &StoredSignup) -> Result<App, Error> {
        match row.link {
            Some(_) if by.user() == Some(row.user) => self.active_app(&row.app).await,
            _ => self.require_app(&by.member(&row.app)?).await,
        }
    }

    /// The address is the very one this flow was started with, before anything is sent anywhere.
    fn check_arrival(&self, row: &StoredSignup, arrival: &Arrival) -> Result<(), Error> {
        let connector = ConnectorId::parse(&arrival.connector).map_err(|_| Error::OtherFlow)?;
        let app = arrival.app.as_deref().map(AppId::parse).transpose().map_err(|_| Error::OtherFlow)?;
        let here = self.settings.public_url.redirect_uri(&connector, app.as_ref());
        if connector == row.connector && here == row.redirect_uri { Ok(()) } else { Err(Error::OtherFlow) }
    }

    /// The one exchange of this code; what came is sealed before anything else is called.
    async fn exchange(
        &self,
        row: &StoredSignup,
        resolved: &Resolved,
        key: &WrappedKey,
        code: &Secret,
    ) -> Result<Exchanged, Error> {
        let place = Place::of(TABLE, "sealed_verifier", row.id).in_app(&row.app, &row.connector);
        let verifier = self.open_audited(row, key, &place, &row.sealed_verifier).await?;
        let redirect_uri = row.redirect_uri.parse().map_err(|_| Error::OtherFlow)?;
        let credentials = resolved.credentials(&row.variables);
        let sent_at = self.clock.now();
        let request =
            Exchange { credentials: &credentials, redirect_uri: &redirect_uri, code, verifier: &verifier };
        let grant = resolved.connector.exchange(&request).await.map_err(|error| refusal(row, error))?;
        let set = Exchanged { grant, account: None, judged: None, agreed: false };
        match self.keep(row, resolved, key, &set, sent_at).await {
            Ok(()) => Ok(set),
            Err(error) => {
                self.revoke_unkept(row, resolved, &set).await;
                Err(error)
            }
        }
    }

    async fn keep(
        &self,
        row: &StoredSignup,
        resolved: &Resolved,
        key: &WrappedKey,
        set: &Exchanged,
        sent_at: OffsetDateTime,
    ) -> Result<(), Error> {
        let sealed = self.seal_exchanged(key, row, &resolved.definition, set)?;
        let tx = self.store.begin().await?;
        let expires_at = tx.conn().signup_clock().await? + PENDING;
        let kept = tx.conn().keep_exchanged(row.id, &sealed, sent_at, expires_at).await?;
        tx.commit().await?;
        if kept { Ok(()) } else { Err(Error::State) }
    }

    /// Asks whose account it is, where the provider can be asked.
    async fn identify(
        &self,
        row: &StoredSignup,
        resolved: &Resolved,
        key: &WrappedKey,
        set: &mut Exchanged,
    ) -> Result<(), Error> {
        let credentials = resolved.credentials(&row.variables);
        let asked = resolved.connector.identify(&credentials, &set.grant.access_token).await;
        set.account = asked.map_err(|error| {
            warn!(signup.id = %row.id, connector = %row.connector, %error, "an account was not identified");
            Error::NotIdentified
        })?;
        if set.account.is_none() { Ok(()) } else { self.reseal(row, resolved, key, set).await }
    }

    /// Keeps what has become known of an exchanged set.
    pub(super) async fn reseal(
        &self,
        row: &StoredSignup,
        resolved: &Resolved,
        key: &WrappedKey,
        set: &Exchanged,
    ) -> Result<(), Error> {
        let sealed = self.seal_exchanged(key, row, &resolved.definition, set)?;
        let tx = self.store.begin().await?;
        let kept = tx.conn().reseal_exchanged(row.id, &sealed).await?;
        tx.commit().await?;
        if kept { Ok(()) } else { Err(Error::NothingPending) }
    }

    /// Makes the set live; the row ends in the same transaction.
    pub(super) async fn adopt(
        &self,
        by: &Principal,
        id: uuid::Uuid,
        set: Exchanged,
        judged: Judged,
    ) -> Result<Connected, Error> {
        let row = self.store.conn().find_signup(id).await?.ok_or(Error::NothingPending)?;
        self.definition_of(&row).await?;
        let connected = connected(&row);
        let adoption = Adoption {
            app: row.app,
            connector: row.connector,
            flow: row.flow,
            grant: set.grant,
            account: set.account,
            by: by.actor().clone(),
            owner: Actor::User(row.user),
            owner_label: Some(row.user_label),
            credentials: Some(row.credentials),
            variables: row.variables,
            sent_at: row.sent_at.unwrap_or(row.created_at),
            origin: by.origin(),
            kind: AdoptionKind::Consent(judged),
            signup: Some(id),
        };
        match self.keeper.adopt(adoption).await {
            Ok(_) => Ok(connected),
            Err(keeper::Error::SignupGone) => Err(Error::NothingPending),
            Err(keeper::Error::AppDisabled) => Err(Error::AppDisabled),
            Err(keeper::Error::AppNotFound) => Err(Error::AppNotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a consent that failed: the audit trail says how, and a set that had come is revoked.
    pub(super) async fn end(&self, by: &Principal, row: &StoredSignup, error: &Error) {
        let ended = self.end_in_store(row, ended_event(by, row, error.result())).await;
        if let Err(cause) = ended {
            // The sweep revokes what the row holds once its time is over.
            warn!(signup.id = %row.id, error = %cause, "a failed consent could not be ended now");
            return;
        }
        if let Err(cause) = self.give_up(row.id, None).await {
            warn!(signup.id = %row.id, error = %cause, "the set of a failed consent could not be revoked now");
        }
    }

    async fn end_in_store(&self, row: &StoredSignup, event: Event) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        tx.conn().fail_signup(row.id, Stage::Taken).await?;
        self.audit.record_in(tx.conn(), event).await?;
        Ok(tx.commit().await?)
    }
}

/// The issuer first (RFC 9207 §2.4 covers errors too), then whether there is a code at all.
fn check_answer<'a>(
    row: &StoredSignup,
    resolved: &Resolved,
    answer: &'a Answer,
) -> Result<&'a Secret, Error> {
    if answer.iss.as_deref().is_some_and(|iss| !is_issuer(row, resolved, iss)) {
        return Err(Error::Issuer);
    }
    if let Some(code) = &answer.error {
        let description = answer.error_description.as_deref().map(|text| cut(text, 300));
        return Err(Error::NoConsent { app: row.app.clone(), code: cut(code, 64), description });
    }
    answer.code.as_ref().filter(|code| !code.is_empty()).ok_or(Error::NoCode)
}

/// Whether this is the name of the provider the flow was started with. Where the definition tells none, it must at
/// least live where the browser was sent or where the code goes: else a connector could bounce the browser to an
/// honest provider and be handed that one's code.
fn is_issuer(row: &StoredSignup, resolved: &Resolved, iss: &str) -> bool {
    let definition = &resolved.definition;
    if let Some(expected) = &definition.issuer {
        return expected == iss;
    }
    let variables = resolved.credentials(&row.variables).variables;
    let lives_at = |template: &String| {
        fill(template, &variables).is_ok_and(|url| url.origin().ascii_serialization() == origin_of(iss))
    };
    [&definition.authorization_url, &definition.token_url].into_iter().any(lives_at)
}

/// At most `most` characters of what a provider says.
fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

fn refusal(row: &StoredSignup, error: connectors::Error) -> Error {
    warn!(signup.id = %row.id, connector = %row.connector, %error, "a code was not exchanged");
    match error {
        connectors::Error::Refused { code } => Error::CodeRefused { code: cut(&code, 64) },
        connectors::Error::ClientRejected { code } | connectors::Error::RequestRejected { code, .. } => {
            Error::ProviderMisconfigured { code: cut(&code, 64) }
        }
        connectors::Error::Definition(code) => Error::ProviderMisconfigured { code },
        connectors::Error::RateLimited { .. }
        | connectors::Error::NotSent { .. }
        | connectors::Error::Ambiguous { .. } => Error::ProviderUnavailable,
    }
}

pub(super) fn connected(row: &StoredSignup) -> Connected {
    let (app, connector, flow) = (row.app.clone(), row.connector.clone(), row.flow.clone());
    Connected { app, connector, flow, return_to: row.return_to.clone() }
}

/// A person ends a consent, their own or the one named.
pub(super) fn ended_event(by: &Principal, row: &StoredSignup, result: &'static str) -> Event {
    let starter = Actor::User(row.user);
    Event {
        result,
        app: Some(row.app.clone()),
        connector: Some(row.connector.clone()),
        flow: Some(row.flow.to_string()),
        subject: (*by.actor() != starter).then(|| starter.to_string()),
        ..by.event(Action::ConnectionConnect)
    }
}

/// What people call an account, where its provider tells.
pub(super) fn label(account: Option<&Account>) -> Option<String> {
    account.map(|account| account.label.clone())
}
