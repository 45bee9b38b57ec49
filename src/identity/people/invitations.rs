//! Invitations: a link that gives a membership or a role to who opens it and says yes.

use time::Duration;
use uuid::Uuid;

use super::{Error, Link, Part, People, after, covered, event, part};
use crate::identity::Superadmin;
use crate::identity::password::check_rules;
use crate::identity::session::{Opened, SignedIn};
use crate::model::app::AppId;
use crate::model::client::Role;
use crate::model::connector::ConnectorId;
use crate::model::event::{Action, Event, Origin};
use crate::model::name::DisplayName;
use crate::model::person::{Email, Invitation, Offer, User};
use crate::model::principal::{Actor, UserId};
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;
use crate::model::time::to_micros;
use crate::store::Conn;
use crate::store::users::UserChange;
use crate::vault::Vault;

/// Unless another time is asked for.
const LIFE: Duration = Duration::days(7);
const LONGEST: Duration = Duration::days(90);

/// What an invitation is made of.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// What it gives.
    pub offer: Offer,
    /// Whom it is for.
    pub email: Email,
    /// What the person is asked to connect.
    pub connectors: Vec<ConnectorId>,
    /// How long it lives; 7 days unless given.
    pub expires_in: Option<Duration>,
}

/// What a new person writes into the form.
#[derive(Clone, Debug)]
pub struct Joining {
    /// For people.
    pub display_name: DisplayName,
    /// Login name, where the invitation leaves it open.
    pub email: Option<Email>,
    /// Twelve characters at least.
    pub password: Secret,
}

/// An invitation as its link finds it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The invitation.
    pub invitation: Invitation,
    /// Its login name, or for an open one a free one to begin with.
    pub email: Email,
    /// Whether somebody has an account under that name.
    pub known: bool,
    /// What people call the app.
    pub app_name: Option<String>,
}

/// How an invitation ended well.
#[derive(Clone)]
pub struct Answer {
    /// The app to go on with.
    pub app: Option<AppId>,
    /// A session for a new person; who was signed in stays so.
    pub opened: Option<Opened>,
}

impl People {
    /// Makes an invitation; the link is shown once and sent by nobody but the caller.
    pub async fn invite(&self, by: &Superadmin, new: NewInvitation) -> Result<Link, Error> {
        covered(by, matches!(new.offer, Offer::Superadmin).then_some(Role::Superadmin))?;
        let life = new.expires_in.unwrap_or(LIFE);
        if life < Duration::minutes(1) || life > LONGEST {
            return Err(Error::Invalid { field: "expires_in_s", why: "must be 60 to 7776000" });
        }
        let tx = self.tools.store.begin().await?;
        if let Some(app) = new.offer.app() {
            tx.conn().app(app).find_app().await?.ok_or(Error::NoApp)?;
        }
        let actor = by.principal().actor().clone();
        let link =
            self.insert(tx.conn(), new.offer.clone(), Some(new.email), new.connectors, &actor, life).await?;
        let event = event(by, Action::MemberChange, link.id);
        self.tools.audit.record_in(tx.conn(), Event { app: new.offer.app().cloned(), ..event }).await?;
        tx.commit().await?;
        Ok(link)
    }

    /// The invitation of the first superadmin, for `init` and `recover`, inside the caller's transaction (which
    /// records it); earlier ones end. Without an address whoever opens it chooses a login name.
    pub async fn first_superadmin_invitation(
        &self,
        conn: Conn<'_>,
        email: Option<Email>,
    ) -> Result<Link, Error> {
        conn.delete_instance_invitations().await?;
        self.insert(conn, Offer::Superadmin, email, Vec::new(), &Actor::System, LIFE).await
    }

    /// An app's invitations that wait.
    pub async fn list_invitations(
        &self,
        _by: &Superadmin,
        app: &AppId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Part<Invitation>, Error> {
        let conn = self.tools.store.conn();
        conn.app(app).find_app().await?.ok_or(Error::NoApp)?;
        let items = conn.app(app).list_invitations(after(cursor)?, u64::from(limit) + 1).await?;
        Ok(part(items, limit, |invitation| invitation.id))
    }

    /// Withdraws an app's invitation.
    pub async fn delete_invitation(&self, by: &Superadmin, app: &AppId, id: Uuid) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        tx.conn().app(app).find_app().await?.ok_or(Error::NoApp)?;
        if !tx.conn().app(app).delete_invitation(id).await? {
            return Err(Error::NotFound);
        }
        let event = Event { app: Some(app.clone()), ..event(by, Action::MemberChange, id) };
        self.tools.audit.record_in(tx.conn(), event).await?;
        Ok(tx.commit().await?)
    }

    /// What a link offers; reads only.
    pub async fn open_invitation(&self, token: &str) -> Result<Found, Error> {
        let ticket = Ticket::parse(token).ok_or(Error::Unusable)?;
        let conn = self.tools.store.conn();
        let (invitation, hash) = conn.find_open_invitation(ticket.id).await?.ok_or(Error::Unusable)?;
        if !self.tools.fits("invitation", &ticket, &subject(&invitation), &hash) {
            return Err(Error::Unusable);
        }
        let app_name = match invitation.offer.app() {
            Some(app) => Some(conn.app(app).find_app().await?.ok_or(Error::Unusable)?.name),
            None => None,
        };
        let email = match &invitation.email {
            Some(email) => email.clone(),
            None => self.free_name(conn).await?,
        };
        let known = conn.find_login(&email).await?.is_some();
        Ok(Found { invitation, email, known, app_name })
    }

    /// A new person accepts: account, membership or role, and session are one transaction.
    ///
    /// # Errors
    /// [`Error::SignInFirst`] where somebody has the login name already.
    pub async fn join(&self, token: &str, joining: &Joining, origin: Origin) -> Result<Answer, Error> {
        let found = self.open_invitation(token).await?;
        let email = match (&found.invitation.email, &joining.email) {
            (Some(email), _) => email,
            (None, chosen) => chosen.as_ref().unwrap_or(&found.email),
        };
        check_rules(&joining.password, email)?;
        if self.tools.store.conn().find_login(email).await?.is_some() {
            return Err(Error::SignInFirst);
        }
        let id = UserId(self.tools.id());
        let hash = self.passwords.hash(id, &joining.password).await?;
        let tx = self.tools.store.begin().await?;
        let name = joining.display_name.as_str();
        let user = match tx.conn().insert_user(id, email, name, None, Some(hash)).await {
            Err(crate::store::Error::AlreadyExists) => return Err(Error::SignInFirst),
            other => other?,
        };
        self.give(tx.conn(), &found.invitation, &user, origin).await?;
        let opened = self.sessions.open_in(tx.conn(), &user, None, origin).await?;
        tx.commit().await?;
        Ok(Answer { app: found.invitation.offer.app().cloned(), opened: Some(opened) })
    }

    /// Somebody signed in accepts.
    ///
    /// # Errors
    /// [`Error::SomebodyElse`] where the invitation names another login name.
    pub async fn accept(&self, token: &str, person: &SignedIn, origin: Origin) -> Result<Answer, Error> {
        let found = self.open_invitation(token).await?;
        if found.invitation.email.as_ref().is_some_and(|email| *email != person.user.email) {
            return Err(Error::SomebodyElse);
        }
        let tx = self.tools.store.begin().await?;
        let user = tx.conn().find_user(person.user.id).await?.filter(|user| !user.disabled);
        self.give(tx.conn(), &found.invitation, &user.ok_or(Error::Unusable)?, origin).await?;
        tx.commit().await?;
        Ok(Answer { app: found.invitation.offer.app().cloned(), opened: None })
    }

    /// Uses the invitation up and gives what it offers; never takes away what the person has.
    async fn give(
        &self,
        conn: Conn<'_>,
        invitation: &Invitation,
        user: &User,
        origin: Origin,
    ) -> Result<(), Error> {
        if !conn.take_invitation(invitation.id, user.id).await? {
            return Err(Error::Unusable);
        }
        match &invitation.offer {
            Offer::App(app, role) => {
                conn.hold_user(user.id).await?;
                conn.app(app).grant_member(user.id, *role).await?;
            }
            Offer::Superadmin => {
                let change = UserChange { role: Some(Some(Role::Superadmin)), ..UserChange::default() };
                conn.update_user(user.id, &change).await?;
            }
        }
        let event = Event {
            app: invitation.offer.app().cloned(),
            subject: Some(invitation.id.to_string()),
            ..Event::new(Actor::User(user.id), Action::MemberChange, origin)
        };
        Ok(self.tools.audit.record_in(conn, event).await?)
    }

    async fn insert(
        &self,
        conn: Conn<'_>,
        offer: Offer,
        email: Option<Email>,
        connectors: Vec<ConnectorId>,
        by: &Actor,
        life: Duration,
    ) -> Result<Link, Error> {
        let ticket = self.tools.ticket();
        let created_at = self.now();
        let expires_at = created_at + life;
        let invited_by = by.to_string();
        let new = Invitation {
            id: ticket.id,
            offer,
            email,
            connectors,
            invited_by,
            created_at,
            expires_at,
            accepted_at: None,
        };
        let hash = self.tools.hash("invitation", &ticket, &subject(&new));
        conn.insert_invitation(&new, hash).await?;
        Ok(self.link("/invitations", &ticket, expires_at))
    }

    /// `superadmin@<host>`, or the first of `superadmin-2@<host>`, … that nobody has.
    async fn free_name(&self, conn: Conn<'_>) -> Result<Email, Error> {
        let host = url::Url::parse(self.public_url.as_str()).ok();
        let host = host.as_ref().and_then(url::Url::host_str).unwrap_or("localhost");
        let mut name = Email::parse(&format!("superadmin@{host}")).ok_or(Error::Unusable)?;
        for n in 2..1000 {
            if conn.find_login(&name).await?.is_none() {
                break;
            }
            name = Email::parse(&format!("superadmin-{n}@{host}")).ok_or(Error::Unusable)?;
        }
        Ok(name)
    }
}

/// What the link of an invitation speaks for: what it gives, and to whom.
fn subject(invitation: &Invitation) -> Vec<u8> {
    let app = invitation.offer.app().map(AppId::as_str).unwrap_or_default();
    let email = invitation.email.as_ref().map(Email::as_str).unwrap_or_default();
    let until = to_micros(invitation.expires_at).to_be_bytes();
    Vault::row(&[app.as_bytes(), email.as_bytes(), invitation.offer.role().as_bytes(), &until])
}
