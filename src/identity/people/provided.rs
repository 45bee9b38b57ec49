//! People whom a service provider sends: registered here under the provider's name for them, and signed in by their
//! click on its link.

use uuid::Uuid;

use super::{Error, People};
use crate::identity::SendsPeople;
use crate::identity::session::{Opened, SignedIn};
use crate::model::app::AppId;
use crate::model::event::{Action, Event, Origin};
use crate::model::link::{ProviderUser, SignupLink};
use crate::model::own::Unchecked;
use crate::model::person::{Email, OpenedBy, User};
use crate::model::principal::{Actor, Membership, UserId};
use crate::store::Conn;

impl People {
    /// Uses a link up: its person is registered and signed in, in one transaction, in place of the browser's `former`
    /// session. It belongs to the app only once the client has confirmed ([`People::admit`]).
    pub async fn arrive(
        &self,
        link: &SignupLink,
        former: Option<Uuid>,
        origin: Origin,
    ) -> Result<(Opened, SignedIn), Error> {
        let tx = self.tools.store.begin().await?;
        if !tx.conn().take_signup_link(link.id).await? {
            return Err(Error::Unusable);
        }
        let user = self.provided(tx.conn(), link).await?;
        let by = OpenedBy::Link(link.client_id.clone());
        let opened = self.sessions.open(tx.conn(), &user, by, former, origin).await?;
        let event = Event {
            app: Some(link.app.clone()),
            subject: Some(format!("client:{} link:{}", link.client_id, link.id)),
            ..Event::new(Actor::User(user.id), Action::Login, origin)
        };
        self.tools.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        let signed_in = self.sessions.resume_opened(&opened, origin).await.map_err(|_| Error::Unusable)?;
        Ok((opened, signed_in.ok_or(Error::Unusable)?))
    }

    /// Makes the person whose connection a client has confirmed a member of the app, unless it is one.
    pub async fn admit(&self, by: &SendsPeople, app: &AppId, user: UserId) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        let rows = tx.conn().app(app);
        if rows.find_member(user).await?.is_none() {
            rows.put_member(user, Membership::Member).await?;
            let event = by.principal().event(Action::MemberChange);
            let event = Event { app: Some(app.clone()), subject: Some(user.to_string()), ..event };
            self.tools.audit.record_in(tx.conn(), event).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The person of a link: known from an earlier one, or new. Nobody is found by an address.
    async fn provided(&self, conn: Conn<'_>, link: &SignupLink) -> Result<User, Error> {
        let known = conn.find_provider_user(&link.client_id, &link.external_id).await?;
        if let Some(known) = known {
            let known = self.check(known)?;
            let user = conn.find_user(known.user).await?.filter(|user| !user.disabled);
            return user.ok_or(Error::Unusable);
        }
        let id = UserId(self.tools.id());
        // A login name that is nobody's address, and with which nobody can sign in.
        let login = Email::parse(&format!("{id}@provider.invalid")).ok_or(Error::Unusable)?;
        let user = conn.insert_user(id, &login, &link.label, None, None).await?;
        let client_id = link.client_id.clone();
        let new = ProviderUser { client_id, external_id: link.external_id.clone(), user: id };
        match conn.insert_provider_user(&new, self.tools.vault.sign(&new)).await {
            // Another link of the same person was opened at this very moment.
            Err(crate::store::Error::AlreadyExists) => Err(Error::Unusable),
            other => other.map(|()| user).map_err(Into::into),
        }
    }

    fn check(&self, known: Unchecked<ProviderUser>) -> Result<ProviderUser, Error> {
        self.tools.vault.check(known).map_err(|cause| {
            tracing::error!(%cause, "who a service provider's person is was changed in the database");
            Error::Unusable
        })
    }
}
