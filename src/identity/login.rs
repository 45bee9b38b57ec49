//! Signing in with a password, and how often that may fail.
//!
//! Failures are counted in the database, for all replicas: per login name and network (/24 or /64), and per
//! network. An attempt is counted before the password is looked at, so that many at once cannot slip by; one
//! that succeeds is taken back. Failures of others never lock a person out: another network has its own count,
//! and so has a browser from which the person has signed in before.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use uuid::Uuid;

use super::password::{self, Passwords};
use super::session::{Opened, Sessions};
use super::tools::Tools;
use crate::model::event::{Action, Event, Origin};
use crate::model::person::{Email, User};
use crate::model::principal::{Actor, UserId};
use crate::model::secret::{KeyedHash, Secret};

const WINDOW_US: i64 = 15 * 60 * 1_000_000;
const PER_NAME: i64 = 10;
const PER_NETWORK: i64 = 100;

/// What a browser brings to a sign-in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Browser<'b> {
    /// Its session so far, which ends.
    pub session: Option<Uuid>,
    /// The cookie of an earlier sign-in.
    pub known: Option<&'b str>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is unknown, the password is not its own, none was set, or the person is disabled: not told apart.
    #[error("the login name or the password is wrong")]
    Wrong,
    /// Too many failures from here.
    #[error("too many attempts failed; again in {retry_after_s} s")]
    Limited {
        /// Seconds until the next attempt counts.
        retry_after_s: u64,
    },
    /// The password could not be checked.
    #[error(transparent)]
    Password(#[from] password::Error),
    /// The database gave nothing.
    #[error("the sign-in cannot be stored")]
    Store(#[from] crate::store::Error),
    /// The audit trail took no record.
    #[error(transparent)]
    Audit(#[from] crate::audit::Error),
}

/// Signs people in.
pub struct Logins {
    tools: Tools,
    passwords: Arc<Passwords>,
    sessions: Arc<Sessions>,
}

impl Logins {
    /// With its tools.
    pub fn new(tools: Tools, passwords: Arc<Passwords>, sessions: Arc<Sessions>) -> Self {
        Self { tools, passwords, sessions }
    }

    /// Signs a person in from `browser`.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &Secret,
        browser: Browser<'_>,
        origin: Origin,
    ) -> Result<Opened, Error> {
        let found = match Email::parse(name) {
            Some(email) => self.tools.store.conn().find_login(&email).await?,
            None => None,
        };
        let (user, hash) = found.unzip();
        let id = user.as_ref().map_or(UserId(Uuid::nil()), |user| user.id);
        let known = browser.known.and_then(|cookie| self.sessions.known_browser(id, cookie));
        let limits = self.limits(name, known, origin);
        let counted: Vec<_> = limits.iter().map(|limit| (limit.key, limit.failures)).collect();
        if let Some(failures) = self.tools.store.count_attempt(&counted, WINDOW_US).await? {
            return Err(limited(failures.ends_in_us));
        }
        let fits = self.passwords.verify(id, password, hash.flatten().as_deref()).await?;
        match user.filter(|user| fits && !user.disabled) {
            Some(user) => self.open(&user, &limits, browser.session, origin).await,
            None => Err(self.refuse(id, origin).await?),
        }
    }

    async fn open(
        &self,
        user: &User,
        limits: &[Limit],
        former: Option<Uuid>,
        origin: Origin,
    ) -> Result<Opened, Error> {
        let tx = self.tools.store.begin().await?;
        for limit in limits {
            if limit.of_one_name {
                tx.conn().forget_failures(limit.key).await?;
            } else {
                tx.conn().uncount_failure(limit.key).await?;
            }
        }
        let opened = self.sessions.open_in(tx.conn(), user, former, origin).await?;
        let event = Event::new(Actor::User(user.id), Action::Login, origin);
        self.tools.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        Ok(opened)
    }

    async fn refuse(&self, id: UserId, origin: Origin) -> Result<Error, Error> {
        let subject = (!id.0.is_nil()).then(|| id.to_string());
        let event = Event::new(Actor::System, Action::Login, origin);
        self.tools.audit.record(Event { result: "refused", subject, ..event }).await?;
        Ok(Error::Wrong)
    }

    fn limits(&self, name: &str, known: Option<&str>, origin: Origin) -> Vec<Limit> {
        let network = origin.address.map(network).map(|address| address.to_string()).unwrap_or_default();
        let name = name.trim().to_lowercase();
        let vault = &self.tools.vault;
        let of_one_name = |key| Limit { key, failures: PER_NAME, of_one_name: true };
        match known {
            Some(browser) => {
                vec![of_one_name(vault.hash("attempt", "browser", browser.as_bytes(), name.as_bytes()))]
            }
            None => vec![
                of_one_name(vault.hash("attempt", "name", network.as_bytes(), name.as_bytes())),
                Limit {
                    key: vault.hash("attempt", "network", b"", network.as_bytes()),
                    failures: PER_NETWORK,
                    of_one_name: false,
                },
            ],
        }
    }
}

struct Limit {
    key: KeyedHash,
    failures: i64,
    of_one_name: bool,
}

fn limited(ends_in_us: i64) -> Error {
    Error::Limited {
        retry_after_s: u64::try_from(ends_in_us / 1_000_000).unwrap_or_default().saturating_add(1),
    }
}

/// What one caller can easily have many of: a /24, or a /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_network() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("203.0.113.9"), "203.0.113.0");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.0");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
