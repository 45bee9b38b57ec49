//! Who is somebody at the provider here? Known by issuer and subject; let in by claims or an invitation; linked by
//! themselves.

use uuid::Uuid;

use super::claims::Said;
use super::{Error, Upstream};
use crate::identity::people;
use crate::identity::session::{Opened, SignedIn};
use crate::model::client::Role;
use crate::model::event::{Action, Event, Origin};
use crate::model::person::{Email, OpenedBy, User};
use crate::model::principal::{Actor, UserId};
use crate::model::secret::KeyedHash;
use crate::store::Conn;
use crate::store::upstream::{IDENTITIES, StoredIdentity};
use crate::vault::Vault;

/// How a session comes to be.
#[derive(Clone)]
pub(super) enum Way {
    /// Back from the provider, in place of the browser's former one.
    Back(OpenedBy, Option<Uuid>),
    /// By this forwarded token.
    AtProxy(OpenedBy, KeyedHash),
}

impl Upstream {
    /// A session for whoever this is here.
    pub(super) async fn sign_in(
        &self,
        who: (&str, &Said),
        invitation: Option<&str>,
        way: Way,
        origin: Origin,
    ) -> Result<Opened, Error> {
        let invited = self.invited(invitation).await?;
        match self.open(who, invited.clone(), way.clone(), origin).await {
            // Another browser of theirs was faster: then they are known now.
            Err(Error::Store(crate::store::Error::AlreadyExists)) => {
                self.open(who, invited, way, origin).await
            }
            opened => opened,
        }
    }

    async fn open(
        &self,
        (subject, said): (&str, &Said),
        invited: Option<Option<Email>>,
        way: Way,
        origin: Origin,
    ) -> Result<Opened, Error> {
        let tx = self.tools.store.begin().await?;
        let conn = tx.conn();
        let known = self.find(conn, subject).await?;
        let user = match &known {
            Some(identity) => conn.find_user(identity.user).await?.ok_or(Error::Disabled)?,
            None => self.welcome(conn, said, invited).await?,
        };
        if user.disabled {
            drop(tx);
            let event = Event::new(Actor::System, Action::Login, origin);
            let event = Event { result: "refused", subject: Some(user.id.to_string()), ..event };
            self.tools.audit.record(event).await?;
            return Err(Error::Disabled);
        }
        let (opened, is_new) = match way {
            Way::Back(by, former) => (self.sessions.open(conn, &user, by, former, origin).await?, true),
            Way::AtProxy(by, token) => self.sessions.open_at_proxy(conn, &user, (by, token), origin).await?,
        };
        if !is_new {
            return Ok(opened);
        }
        let is_known = known.is_some();
        match known {
            Some(identity) => conn.touch_upstream_identity(identity.id, &said.label).await?,
            None => self.insert_identity(conn, subject, said, user.id).await?,
        }
        if !(said.partial && is_known) {
            self.give(conn, user.id, said, origin).await?;
        }
        let event = Event::new(Actor::User(user.id), Action::Login, origin);
        self.tools.audit.record_in(conn, event).await?;
        tx.commit().await?;
        Ok(opened)
    }

    /// Links the identity to a person who is signed in.
    pub(super) async fn link(
        &self,
        person: &SignedIn,
        subject: &str,
        said: &Said,
        origin: Origin,
    ) -> Result<(), Error> {
        let id = person.user.id;
        let tx = self.tools.store.begin().await?;
        let conn = tx.conn();
        conn.hold_user(id).await?;
        if conn.find_user(id).await?.is_none_or(|user| user.disabled) {
            return Err(Error::Disabled);
        }
        match self.find(conn, subject).await? {
            Some(identity) if identity.user != id => return Err(Error::LinkedToAnother),
            Some(identity) => conn.touch_upstream_identity(identity.id, &said.label).await?,
            None => {
                if conn.find_upstream_identity_of(&self.settings.issuer, id).await?.is_some() {
                    return Err(Error::LinkedBefore);
                }
                self.insert_identity(conn, subject, said, id).await?;
                self.note(conn, id, origin).await?;
            }
        }
        self.give(conn, id, said, origin).await?;
        Ok(tx.commit().await?)
    }

    /// What the provider calls a person, where they are linked.
    pub async fn linked_label(&self, person: &SignedIn) -> Result<Option<String>, Error> {
        let conn = self.tools.store.conn();
        let found = conn.find_upstream_identity_of(&self.settings.issuer, person.user.id).await?;
        Ok(found.map(|identity| identity.label))
    }

    /// Ends a person's link, and what claims gave with it.
    ///
    /// # Errors
    /// [`Error::OnlyWayIn`] where the person has no password.
    pub async fn unlink(&self, person: &SignedIn, origin: Origin) -> Result<(), Error> {
        let id = person.user.id;
        let tx = self.tools.store.begin().await?;
        let conn = tx.conn();
        conn.hold_user(id).await?;
        let identity = conn.find_upstream_identity_of(&self.settings.issuer, id).await?;
        let identity = identity.ok_or(Error::NotLinked)?;
        if conn.find_user(id).await?.is_none_or(|user| !user.has_password) {
            return Err(Error::OnlyWayIn);
        }
        conn.delete_upstream_identity(identity.id).await?;
        self.give(conn, id, &Said::default(), origin).await?;
        self.note(conn, id, origin).await?;
        Ok(tx.commit().await?)
    }

    /// An identity of the provider, believed only where this instance linked it.
    pub(super) async fn find(&self, conn: Conn<'_>, subject: &str) -> Result<Option<StoredIdentity>, Error> {
        let found = conn.find_upstream_identity(&self.settings.issuer, subject).await?;
        if let Some(identity) = &found {
            self.tools.vault.check_row(IDENTITIES, &row(identity), &identity.own_mac)?;
        }
        Ok(found)
    }

    async fn insert_identity(
        &self,
        conn: Conn<'_>,
        subject: &str,
        said: &Said,
        user: UserId,
    ) -> Result<(), Error> {
        let new = StoredIdentity {
            id: self.tools.id(),
            issuer: self.settings.issuer.clone(),
            subject: subject.to_owned(),
            user,
            label: said.label.clone(),
            own_mac: Vec::new(),
        };
        let mac = self.tools.vault.hash_row(IDENTITIES, &row(&new));
        Ok(conn.insert_upstream_identity(&new, mac).await?)
    }

    /// The login name that an open invitation offers: it lets a new person in, who then accepts it by a click. One for
    /// somebody who has an account lets nobody else in.
    async fn invited(&self, invitation: Option<&str>) -> Result<Option<Option<Email>>, Error> {
        let Some(token) = invitation else { return Ok(None) };
        match self.people.open_invitation(token).await {
            Ok(found) if found.invitation.email.is_none() => Ok(Some(None)),
            Ok(found) if !found.known => Ok(Some(Some(found.email))),
            Ok(_) | Err(people::Error::Unusable) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// An account for somebody new, never one that is there.
    async fn welcome(
        &self,
        conn: Conn<'_>,
        said: &Said,
        invited: Option<Option<Email>>,
    ) -> Result<User, Error> {
        let unknown = || Error::Unknown { label: said.label.clone() };
        let mut let_in = said.superadmin || invited.is_some();
        for app in said.apps.keys() {
            let_in = let_in || conn.app(app).find_app().await?.is_some();
        }
        if !let_in {
            return Err(unknown());
        }
        let wanted = invited.flatten().or_else(|| said.email.clone());
        let free = match &wanted {
            Some(name) => conn.find_login(name).await?.is_none(),
            None => false,
        };
        let login = wanted.filter(|_| free).or_else(|| said.other_name.clone()).ok_or_else(unknown)?;
        let name = said.name.as_ref().map_or(login.as_str(), |name| name.as_str());
        let name: String = name.chars().take(100).collect();
        Ok(conn.insert_user(UserId(self.tools.id()), &login, &name, None, None).await?)
    }

    /// What claims say now is what they give; what they gave before and say no more is taken away.
    async fn give(&self, conn: Conn<'_>, id: UserId, said: &Said, origin: Origin) -> Result<(), Error> {
        conn.hold_user(id).await?;
        let before = conn.claimed_apps(id).await?;
        let gone = before.iter().filter(|app| !said.apps.contains_key(*app)).map(|app| (app, None));
        for (app, role) in gone.chain(said.apps.iter().map(|(app, role)| (app, Some(*role)))) {
            if role.is_some() && conn.app(app).find_app().await?.is_none() {
                tracing::info!(app.id = %app, "a claim of the upstream provider names an app that is not here");
                continue;
            }
            if conn.app(app).claim_member(id, role).await? {
                let event = Event::new(Actor::User(id), Action::MemberChange, origin);
                let subject = Some(id.to_string());
                self.tools.audit.record_in(conn, Event { app: Some(app.clone()), subject, ..event }).await?;
            }
        }
        if conn.claim_role(id, said.superadmin.then_some(Role::Superadmin)).await? {
            self.note(conn, id, origin).await?;
        }
        Ok(())
    }

    async fn note(&self, conn: Conn<'_>, id: UserId, origin: Origin) -> Result<(), Error> {
        let event = Event::new(Actor::User(id), Action::UserChange, origin);
        Ok(self.tools.audit.record_in(conn, Event { subject: Some(id.to_string()), ..event }).await?)
    }
}

/// What the keyed hash of an identity covers.
fn row(identity: &StoredIdentity) -> Vec<u8> {
    let StoredIdentity { id, issuer, subject, user, .. } = identity;
    Vault::row(&[id.as_bytes(), issuer.as_bytes(), subject.as_bytes(), user.0.as_bytes()])
}
