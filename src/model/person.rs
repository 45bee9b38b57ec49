//! People: who may sign in, what was offered to them, and their browsers.

use std::fmt;
use std::net::IpAddr;

use time::OffsetDateTime;
use uuid::Uuid;

use super::app::AppId;
use super::client::{ClientId, Role};
use super::connector::ConnectorId;
use super::principal::{Membership, UserId};
use super::time::{from_micros, to_micros};

/// A login name in the form of an address, lower case. It proves nothing about its bearer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Email(String);

impl Email {
    /// Reads an address: one `@` with something on both sides, no white space, at most 254 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let (name, host) = text.split_once('@')?;
        let clean = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\"".contains(c);
        let good = !name.is_empty() && !host.is_empty() && !host.contains('@') && text.chars().all(clean);
        (good && text.len() <= 254).then_some(Self(text))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Rights belong to this.
    pub id: UserId,
    /// Login name.
    pub email: Email,
    /// For people.
    pub display_name: String,
    /// The role beyond memberships.
    pub role: Option<Role>,
    /// Signs in no more.
    pub disabled: bool,
    /// Whether a password was set.
    pub has_password: bool,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A person in an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppMember {
    /// Who.
    pub user: User,
    /// May do what.
    pub role: Membership,
    /// Since when.
    pub created_at: OffsetDateTime,
}

/// What an invitation gives to who accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// A membership of an app.
    App(AppId, Membership),
    /// The role superadmin.
    Superadmin,
}

impl Offer {
    /// Which app, where there is one.
    pub fn app(&self) -> Option<&AppId> {
        match self {
            Self::App(app, _) => Some(app),
            Self::Superadmin => None,
        }
    }

    /// The role as stored.
    pub fn role(&self) -> &'static str {
        match self {
            Self::App(_, role) => role.as_str(),
            Self::Superadmin => "superadmin",
        }
    }
}

/// An offer that waits for a click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id, also in its link.
    pub id: Uuid,
    /// What it gives.
    pub offer: Offer,
    /// Whom it is for; `None`: whoever opens the link chooses a login name.
    pub email: Option<Email>,
    /// What the person is asked to connect.
    pub connectors: Vec<ConnectorId>,
    /// Who made it, as an actor.
    pub invited_by: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// When it was used.
    pub accepted_at: Option<OffsetDateTime>,
}

/// How a session came to be, which says what it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    /// The person signed in here.
    SignIn,
    /// The person came back from the upstream provider; when they signed in there, as far as it told.
    Upstream(Option<OffsetDateTime>),
    /// A service provider's link: good for that link's way, and for signing in at that client.
    Link(ClientId),
    /// A reverse proxy signed the person in: good while it goes on saying so; when they signed in, as far as it told.
    Proxy(Option<OffsetDateTime>),
}

impl OpenedBy {
    /// As it is stored; nothing for the first.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::SignIn => None,
            Self::Link(client) => Some(format!("client:{client}")),
            Self::Upstream(at) => Some(timed(UPSTREAM, *at)),
            Self::Proxy(at) => Some(timed(PROXY, *at)),
        }
    }

    /// What was stored.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None => Some(Self::SignIn),
            Some(UPSTREAM) => Some(Self::Upstream(None)),
            Some(PROXY) => Some(Self::Proxy(None)),
            Some(text) => match text.split_once(':')? {
                ("client", client) => ClientId::parse(client).map(Self::Link),
                (UPSTREAM, at) => at.parse().ok().map(|at| Self::Upstream(Some(from_micros(at)))),
                (PROXY, at) => at.parse().ok().map(|at| Self::Proxy(Some(from_micros(at)))),
                _ => None,
            },
        }
    }
}

const UPSTREAM: &str = "upstream";
const PROXY: &str = "proxy";

fn timed(how: &str, at: Option<OffsetDateTime>) -> String {
    at.map_or_else(|| how.to_owned(), |at| format!("{how}:{}", to_micros(at)))
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id; the cookie holds more.
    pub id: Uuid,
    /// Whose.
    pub user: UserId,
    /// How.
    pub opened_by: OpenedBy,
    /// Where it was made.
    pub address: Option<IpAddr>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends, used or not.
    pub expires_at: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lowered_and_read_strictly() {
        assert_eq!(Email::parse(" Ada@Example.COM ").unwrap().as_str(), "ada@example.com");
        for bad in
            ["", "ada", "@x", "a@", "a@b@c", "a b@c", "a<b@c", "a\n@c", &format!("{}@c", "a".repeat(260))]
        {
            assert!(Email::parse(bad).is_none(), "{bad}");
        }
    }
}
