//! Who may sign in and in which apps: people, memberships, invitations and password links.
//!
//! Rights belong to user ids. An address is a login name proved to nobody: having an account under it gives
//! nothing; only opening a one-time link and saying yes does. Nobody makes, changes or gives a link for somebody
//! whose rights exceed his own.

mod invitations;
mod links;
mod members;
mod own;
mod provided;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use super::bearer::RecentRows;
use super::password::{self, Passwords};
use super::session::Sessions;
use super::tools::Tools;
use super::{Denied, Superadmin};
use crate::model::client::Role;
use crate::model::event::{Action, Event};
use crate::model::principal::{Membership, UserId};
use crate::model::public_url::PublicUrl;
use crate::model::scope::Scope;
use crate::model::secret::Secret;
use crate::store::{Conn, Tx};

pub use self::invitations::{Answer, Found, Joining, NewInvitation};
pub use self::own::LetIn;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's rights do not reach.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field breaks a rule.
    #[error("{field} {why}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// No such app.
    #[error("there is no such app")]
    NoApp,
    /// No such person, membership, invitation or cursor.
    #[error("there is no such item")]
    NotFound,
    /// Another account has this login name.
    #[error("the login name is taken")]
    EmailTaken,
    /// The link is unknown, used or over: not told apart.
    #[error("the link cannot be used")]
    Unusable,
    /// Somebody with this login name exists and must sign in first.
    #[error("the person must sign in first")]
    SignInFirst,
    /// The link is for another person than the one signed in.
    #[error("the link is for somebody else")]
    SomebodyElse,
    /// The password could not be set.
    #[error(transparent)]
    Password(#[from] password::Error),
    /// The database gave nothing.
    #[error("people cannot be read or written")]
    Store(#[from] crate::store::Error),
    /// The audit trail took no record.
    #[error(transparent)]
    Audit(#[from] crate::audit::Error),
}

/// A one-time link, shown once.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its id.
    pub id: Uuid,
    /// The address to open; whoever has it may use it.
    pub url: Secret,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// One part of a list, and where the next begins.
pub type Part<T> = (Vec<T>, Option<String>);

/// Makes, changes and lists people and what they may do.
pub struct People {
    tools: Tools,
    passwords: Arc<Passwords>,
    sessions: Arc<Sessions>,
    public_url: PublicUrl,
    recent: RecentRows,
}

impl People {
    /// With its tools; links begin with the public URL. What changes about a person is forgotten in `recent`.
    pub fn new(
        tools: Tools,
        passwords: Arc<Passwords>,
        sessions: Arc<Sessions>,
        public_url: PublicUrl,
        recent: RecentRows,
    ) -> Self {
        Self { tools, passwords, sessions, public_url, recent }
    }

    #[expect(clippy::disallowed_methods, reason = "door: the ticket goes into a link that is shown once")]
    fn link(&self, path: &str, ticket: &crate::model::ticket::Ticket, expires_at: OffsetDateTime) -> Link {
        let url = self.public_url.join(&format!("{path}/{}", ticket.text().expose_secret()));
        Link { id: ticket.id, url: Secret::new(url), expires_at }
    }

    /// Commits, and lets this process see at once what was changed about the person.
    async fn finish(&self, tx: Tx<'_>, id: UserId) -> Result<(), Error> {
        tx.commit().await?;
        self.recent.forget_user(id);
        Ok(())
    }

    fn now(&self) -> OffsetDateTime {
        self.tools.clock.now()
    }
}

/// What somebody with this role may do is within the superadmin's own rights.
fn covered(by: &Superadmin, role: Option<Role>) -> Result<(), Error> {
    match role {
        None => Ok(()),
        Some(Role::Superadmin) if by.covers(&Scope::ALL.into_iter().collect()) => Ok(()),
        Some(Role::Superadmin) => Err(Denied::Forbidden.into()),
    }
}

/// What this person may do as admin of an app is within the superadmin's own rights.
async fn covered_in_apps(conn: Conn<'_>, by: &Superadmin, user: UserId) -> Result<(), Error> {
    let held = conn.memberships_of(user).await?;
    let admin = held.iter().any(|(_, role)| *role == Membership::AppAdmin);
    if admin && !by.covers(&[Scope::AppsWrite, Scope::ConnectionsWrite].into_iter().collect()) {
        return Err(Denied::Forbidden.into());
    }
    Ok(())
}

fn event(by: &Superadmin, action: Action, subject: impl std::fmt::Display) -> Event {
    Event { subject: Some(subject.to_string()), ..by.principal().event(action) }
}

fn after(cursor: Option<&str>) -> Result<Option<Uuid>, Error> {
    let bad = Error::Invalid { field: "cursor", why: "is not one that was given out" };
    cursor.map(Uuid::try_parse).transpose().map_err(|_| bad)
}

/// Cuts a list that was asked for with one more than `limit`.
fn part<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> Uuid) -> Part<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|item| id(item).simple().to_string());
    (items, next)
}
