//! Password links: 24 hours, one use, the newest only.

use time::Duration;
use uuid::Uuid;

use super::{Error, Link, People, covered, covered_in_apps, event};
use crate::identity::Superadmin;
use crate::identity::password::check_rules;
use crate::identity::session::Opened;
use crate::model::event::{Action, Event, Origin};
use crate::model::person::User;
use crate::model::principal::{Actor, UserId};
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;
use crate::model::time::to_micros;
use crate::store::Conn;

const LIFE: Duration = Duration::hours(24);

impl People {
    /// A link that sets a person's password; earlier ones end.
    pub async fn password_link(&self, by: &Superadmin, id: UserId) -> Result<Link, Error> {
        let tx = self.tools.store.begin().await?;
        let user = tx.conn().find_user(id).await?.ok_or(Error::NotFound)?;
        covered(by, user.role)?;
        covered_in_apps(tx.conn(), by, id).await?;
        let link = self.insert_link(tx.conn(), id).await?;
        self.tools.audit.record_in(tx.conn(), event(by, Action::UserChange, id)).await?;
        tx.commit().await?;
        Ok(link)
    }

    /// Whose password the link sets; reads only.
    pub async fn open_password_link(&self, token: &str) -> Result<User, Error> {
        Ok(self.require_link(token).await?.1)
    }

    /// Sets the password, ends all sessions and grants of the person and signs this browser in, in place of its `former`
    /// session, whoever's that is.
    pub async fn set_password(
        &self,
        token: &str,
        password: &Secret,
        former: Option<Uuid>,
        origin: Origin,
    ) -> Result<Opened, Error> {
        let (ticket, user) = self.require_link(token).await?;
        check_rules(password, &user.email)?;
        let hash = self.passwords.hash(user.id, password).await?;
        let tx = self.tools.store.begin().await?;
        if !tx.conn().take_password_link(ticket.id).await?
            || !tx.conn().set_password_hash(user.id, hash).await?
        {
            return Err(Error::Unusable);
        }
        tx.conn().delete_sessions_of(user.id).await?;
        tx.conn().end_grants_of_user(user.id).await?;
        let opened = self.sessions.open_in(tx.conn(), &user, former, origin).await?;
        let event = Event::new(Actor::User(user.id), Action::UserChange, origin);
        let event = Event { subject: Some(user.id.to_string()), ..event };
        self.tools.audit.record_in(tx.conn(), event).await?;
        self.finish(tx, user.id).await?;
        Ok(opened)
    }

    pub(super) async fn insert_link(&self, conn: Conn<'_>, user: UserId) -> Result<Link, Error> {
        conn.delete_password_links_of(user).await?;
        let ticket = self.tools.ticket();
        let expires_at = self.now() + LIFE;
        let hash = self.tools.hash("password_link", &ticket, &subject(user, to_micros(expires_at)));
        conn.insert_password_link(ticket.id, user, hash, to_micros(expires_at)).await?;
        Ok(self.link("/account/password", &ticket, expires_at))
    }

    async fn require_link(&self, token: &str) -> Result<(Ticket, User), Error> {
        let ticket = Ticket::parse(token).ok_or(Error::Unusable)?;
        let conn = self.tools.store.conn();
        let (user, until, hash) = conn.find_password_link(ticket.id).await?.ok_or(Error::Unusable)?;
        if !self.tools.fits("password_link", &ticket, &subject(user, until), &hash) {
            return Err(Error::Unusable);
        }
        let user = conn.find_user(user).await?.filter(|user| !user.disabled).ok_or(Error::Unusable)?;
        Ok((ticket, user))
    }
}

/// What a link speaks for, and until when.
fn subject(user: UserId, expires_at_us: i64) -> Vec<u8> {
    [&user.0.as_bytes()[..], &expires_at_us.to_be_bytes()].concat()
}
