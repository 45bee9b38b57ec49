//! How does a flow begin? One row, then the provider's address; the row says what the callback must agree with.

use std::collections::BTreeMap;

use url::Url;

use crate::connectors::Authorize;
use crate::identity::{Denied, Member};
use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::Violation;
use crate::model::entropy::{token, uuid};
use crate::model::link::SignupLink;
use crate::model::principal::UserId;
use crate::model::secret::{KeyedHash, Secret};
use crate::model::ticket::Ticket;
use crate::signup::resolve::Resolved;
use crate::signup::{Error, PENDING, PENDING_PER_SESSION, Signup, Visitor};
use crate::store::signups::{Stage, StoredSignup, TABLE};
use crate::vault::Place;

/// What a person wants to connect.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// As which connection.
    pub flow: Flow,
    /// Where to go afterwards.
    pub return_to: Option<String>,
    /// Values for the URL variables the credentials don't fix.
    pub variables: BTreeMap<String, String>,
}

impl Signup {
    /// Starts a flow; the answer is where to send the browser.
    pub async fn start(&self, by: &Member, visitor: &Visitor, name: &str, wish: Wish) -> Result<Url, Error> {
        let user = by.principal().user().ok_or(Error::Denied(Denied::Forbidden))?;
        let app = self.require_app(by).await?.id;
        self.begin((app, user), visitor, name, wish, None).await
    }

    /// The same, where a service provider's link may lead; then the way back is the link's, and its person belongs to the
    /// app only once the client has confirmed.
    pub(super) async fn begin(
        &self,
        (app, user): (AppId, UserId),
        visitor: &Visitor,
        name: &str,
        wish: Wish,
        link: Option<&SignupLink>,
    ) -> Result<Url, Error> {
        let resolved = self.resolve(&app, name).await?;
        check_variables(&resolved, &wish.variables)?;
        let return_to =
            wish.return_to.as_deref().map(|text| self.settings.read_return_to(text)).transpose()?;
        let wish = Wish { return_to, ..wish };
        let state = Ticket::new(uuid(&*self.clock, &*self.entropy), &*self.entropy);
        let verifier = Secret::new(token::<32>(&*self.entropy));
        let mut row = self.row(&app, user, visitor, &resolved, wish, (&state, &verifier)).await?;
        if let Some(link) = link {
            row.link = Some(link.id);
            row.return_to.clone_from(&link.return_to);
        }
        row.definition_hash = self.definition_hash(&row, &resolved.definition);
        let redirect_uri = Url::parse(&row.redirect_uri).map_err(|_| Error::OtherFlow)?;
        let url = resolved
            .connector
            .authorize_url(&Authorize {
                credentials: &resolved.credentials(&row.variables),
                redirect_uri: &redirect_uri,
                state: &state.text(),
                verifier: &verifier,
            })
            .map_err(|error| Error::ProviderMisconfigured { code: error.to_string() })?;
        self.insert(row).await?;
        Ok(url)
    }

    async fn row(
        &self,
        app: &AppId,
        user: UserId,
        visitor: &Visitor,
        resolved: &Resolved,
        wish: Wish,
        (state, verifier): (&Ticket, &Secret),
    ) -> Result<StoredSignup, Error> {
        let connector = &resolved.definition.id;
        let conn = self.store.conn();
        let key = conn.app(app).find_app_key().await?.ok_or(Error::AppNotFound)?;
        let place = Place::of(TABLE, "sealed_verifier", state.id).in_app(app, connector);
        let now = conn.signup_clock().await?;
        Ok(StoredSignup {
            id: state.id,
            state_hash: self.state_hash(state),
            session: visitor.session,
            user,
            user_label: visitor.label.clone(),
            app: app.clone(),
            connector: connector.clone(),
            flow: wish.flow,
            redirect_uri: self.settings.public_url.redirect_uri(connector, resolved.owner(app)),
            credentials: (resolved.opened.id, resolved.opened.version),
            // Covers the whole row: made once it is filled in.
            definition_hash: Vec::new(),
            sealed_verifier: self.vault.seal(&key, &place, verifier)?,
            variables: wish.variables,
            return_to: wish.return_to,
            link: None,
            stage: Stage::Started,
            sealed_grant: None,
            sent_at: None,
            created_at: now,
            expires_at: now + PENDING,
        })
    }

    pub(super) fn state_hash(&self, state: &Ticket) -> KeyedHash {
        self.vault.hash_secret(TABLE, "state_hash", state.id.as_bytes(), &state.secret)
    }

    async fn insert(&self, row: StoredSignup) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        let now = row.created_at;
        if tx.conn().count_signups_of_session(row.session, now).await? >= PENDING_PER_SESSION {
            return Err(Error::TooManyPending);
        }
        if tx.conn().app(&row.app).count_signups(now).await? >= self.settings.bounds.pending_per_app {
            return Err(Error::Overloaded);
        }
        tx.conn().insert_signup(&row).await?;
        Ok(tx.commit().await?)
    }
}

pub(super) fn check_variables(resolved: &Resolved, given: &BTreeMap<String, String>) -> Result<(), Error> {
    let asked = resolved.open_variables();
    let violation =
        |name: &str, detail: &str| Violation { pointer: format!("/{name}"), detail: detail.to_owned() };
    let missing = asked.iter().filter(|(name, _)| !given.contains_key(name));
    let mut wrong: Vec<Violation> = missing.map(|(name, _)| violation(name, "is needed")).collect();
    let extra = given.keys().filter(|name| !asked.iter().any(|(own, _)| own == *name));
    wrong.extend(extra.map(|name| violation(name, "is not asked for")));
    if wrong.is_empty() {
        let all = resolved.credentials(given).variables;
        wrong = resolved.definition.check_variables(&all).err().unwrap_or_default();
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Variables(wrong)) }
}
