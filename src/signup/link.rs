//! A service provider sends its own person here to connect an account, and takes the person back.
//!
//! Whoever opens a link connects for the person it names: so the grant goes live only when the client says that this
//! very person came back to it. A link that somebody else was made to open ends in a browser that the client knows as
//! another's, and nothing is connected.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};
use url::Url;
use uuid::Uuid;

use super::start::check_variables;
use super::{Connected, Error, Proposal, Signup, Visitor, Wish};
use crate::identity::{Denied, SendsPeople};
use crate::model::app::{App, AppId, AppState};
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event};
use crate::model::link::SignupLink;
use crate::model::principal::UserId;
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;
use crate::model::uri::RedirectUri;
use crate::vault::Vault;

/// How long a link may be used, once.
const LIFE: Duration = Duration::minutes(30);

/// Whom a client sends, to connect what.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// For which app.
    pub app: AppId,
    /// To connect what, by its id or an alias.
    pub connector: ConnectorId,
    /// As which connection.
    pub flow: Flow,
    /// Whom, as the client calls them.
    pub external_id: String,
    /// Whom, for people.
    pub label: String,
    /// Where the person goes afterwards.
    pub return_to: Option<String>,
}

/// A link just made, shown this once.
#[derive(Debug)]
pub struct MadeLink {
    /// To confirm by.
    pub id: Uuid,
    /// The address the person opens.
    pub url: Secret,
    /// When it ends unused.
    pub expires_at: OffsetDateTime,
}

/// A link as whoever opens it sees it.
#[derive(Clone, Debug)]
pub struct OpenLink {
    /// What it is for.
    pub link: SignupLink,
    /// What people call the client.
    pub client: String,
    /// What a click would ask for.
    pub proposal: Proposal,
}

/// A connection that its client has confirmed.
#[derive(Clone, Debug)]
pub struct ConfirmedLink {
    /// What is connected.
    pub connected: Connected,
    /// The person, as we call them.
    pub user: UserId,
    /// When.
    pub at: OffsetDateTime,
}

impl Signup {
    /// Makes a link; the caller sends its person there.
    pub async fn make_link(&self, by: &SendsPeople, new: NewLink) -> Result<MadeLink, Error> {
        let canonical = self.registry.find(new.connector.as_str()).await?;
        by.check(&new.app, canonical.as_ref().map_or(&new.connector, |definition| &definition.id))?;
        self.active_app(&new.app).await?;
        let connector = self.resolve(&new.app, new.connector.as_str()).await?.definition.id.clone();
        let return_to = match new.return_to {
            Some(text) => Some(self.read_return(by, &text).await?),
            None => None,
        };
        let ticket = Ticket::new(uuid(&*self.clock, &*self.entropy), &*self.entropy);
        let link = SignupLink {
            id: ticket.id,
            client_id: by.client().clone(),
            app: new.app,
            connector,
            flow: new.flow,
            external_id: new.external_id,
            label: new.label,
            return_to,
        };
        let expires_at = self.clock.now() + LIFE;
        let hashes = (self.link_hash(&ticket), self.vault.sign(&link));
        let event = Event {
            app: Some(link.app.clone()),
            connector: Some(link.connector.clone()),
            flow: Some(link.flow.to_string()),
            subject: Some(format!("link:{}", link.id)),
            ..by.principal().event(Action::SignupLink)
        };
        let tx = self.store.begin().await?;
        tx.conn().insert_signup_link(&link, hashes, expires_at).await?;
        self.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        Ok(MadeLink { id: ticket.id, url: self.link_url(&ticket), expires_at })
    }

    /// What a link is for; reads only.
    pub async fn open_link(&self, token: &str) -> Result<OpenLink, Error> {
        let ticket = Ticket::parse(token).ok_or(Error::LinkUnusable)?;
        let stored = self.store.conn().find_signup_link(ticket.id).await?.ok_or(Error::LinkUnusable)?;
        let row = Vault::row(&[ticket.id.as_bytes()]);
        if !stored.open
            || !self.vault.hash_matches("signup_link", "token_hash", &row, &ticket.secret, &stored.hash)
        {
            return Err(Error::LinkUnusable);
        }
        let link = self.vault.check(stored.link)?;
        let client = self.store.conn().find_client(&link.client_id).await?;
        let client = client.map(|client| self.vault.check(client)).transpose()?;
        let client = client.filter(|client| !client.disabled).ok_or(Error::LinkUnusable)?.identifier;
        let app = self.active_app(&link.app).await?;
        let proposal = self.proposal(app, link.connector.as_str(), link.flow.clone()).await?;
        Ok(OpenLink { link, client, proposal })
    }

    /// Whether these values fit the URL variables that a link's connector asks for; before the link is used up.
    pub async fn check_link_variables(
        &self,
        link: &SignupLink,
        variables: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        check_variables(&self.resolve(&link.app, link.connector.as_str()).await?, variables)
    }

    /// Starts the flow of a link whose person has just arrived; where to send the browser.
    pub async fn start_linked(
        &self,
        visitor: &Visitor,
        link: &SignupLink,
        variables: BTreeMap<String, String>,
    ) -> Result<Url, Error> {
        let app = self.active_app(&link.app).await?;
        let user = visitor.principal.user().ok_or(Error::Denied(Denied::Forbidden))?;
        let wish = Wish { flow: link.flow.clone(), return_to: None, variables };
        self.begin((app.id, user), visitor, link.connector.as_str(), wish, Some(link)).await
    }

    /// Makes live what a link's person has connected: its client says that the person came back.
    pub async fn confirm_link(
        &self,
        by: &SendsPeople,
        app: &AppId,
        id: Uuid,
    ) -> Result<ConfirmedLink, Error> {
        let stored = self.store.conn().find_signup_link(id).await?.ok_or(Error::NotReturned)?;
        let link = self.vault.check(stored.link)?;
        if link.client_id != *by.client() || link.app != *app {
            return Err(Error::NotReturned);
        }
        let row = self.store.conn().find_signup_of_link(id).await?.ok_or(Error::NotReturned)?;
        let (signup, user) = (row.id, row.user);
        // The row's own columns are not believed: another's grant must not go live by this person's return.
        let person = self.store.conn().find_provider_user(&link.client_id, &link.external_id).await?;
        let person = self.vault.check(person.ok_or(Error::NotReturned)?)?;
        if person.user != user
            || (&row.app, &row.connector, &row.flow) != (&link.app, &link.connector, &link.flow)
        {
            tracing::error!(signup.id = %signup, link.id = %id, "a consent under way was changed behind our back");
            return Err(Error::NotReturned);
        }
        by.check(&row.app, &row.connector)?;
        let connected = self.confirm_returned(by.principal(), row).await?;
        tracing::info!(signup.id = %signup, link.id = %id, "a service provider confirmed a connection");
        Ok(ConfirmedLink { connected, user, at: self.clock.now() })
    }

    /// An address the person may be sent to: at the client's own redirect URIs, or where the operator allows it.
    async fn read_return(&self, by: &SendsPeople, text: &str) -> Result<String, Error> {
        if let Ok(listed) = self.settings.read_return_to(text) {
            return Ok(listed);
        }
        let client =
            self.store.conn().find_client(by.client()).await?.ok_or(Error::Denied(Denied::Forbidden))?;
        let client = self.vault.check(client)?;
        let own = client.redirect_uris.iter().map(RedirectUri::as_str);
        self.settings.read_address_at(text, own)
    }

    pub(super) async fn active_app(&self, id: &AppId) -> Result<App, Error> {
        let app = self.store.conn().app(id).find_app().await?.ok_or(Error::AppNotFound)?;
        if app.state == AppState::Active { Ok(app) } else { Err(Error::AppDisabled) }
    }

    fn link_hash(&self, ticket: &Ticket) -> crate::model::secret::KeyedHash {
        let row = Vault::row(&[ticket.id.as_bytes()]);
        self.vault.hash_secret("signup_link", "token_hash", &row, &ticket.secret)
    }

    #[expect(clippy::disallowed_methods, reason = "door: the ticket goes into a link that is shown once")]
    fn link_url(&self, ticket: &Ticket) -> Secret {
        let path = format!("/connect/links/{}", ticket.text().expose_secret());
        Secret::new(self.settings.public_url.join(&path))
    }
}
