//! What does a person's sign-in leave behind, and in which form is it kept?

mod client;
mod file;
mod place;
pub(crate) mod renew;
mod store;

pub use client::{Device, LoginClient, Polled};
pub use file::FileStore;
pub use place::{Kept, LoginPlace, StoreKind};
pub(crate) use store::address;
pub use store::{LoginError, LoginLock, LoginStore};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use url::Url;

use crate::secret::Secret;

/// A person's sign-in at a broker, through one client. `Debug` prints no token.
#[derive(Clone, Debug)]
pub struct Login {
    /// The broker.
    pub url: Url,
    /// The client that the person let in.
    pub client_id: String,
    /// What was granted, separated by spaces.
    pub scope: String,
    /// The bearer.
    pub access_token: Secret,
    /// Until when the bearer lives.
    pub expires_at: OffsetDateTime,
    /// Gets the next one, once.
    pub refresh_token: Option<Secret>,
    /// Who the person is (OpenID Connect), as old as the bearer.
    pub id_token: Option<Secret>,
}

impl Login {
    /// How long the bearer lives from `now` on; none where it is over.
    pub(crate) fn left(&self, now: OffsetDateTime) -> Option<std::time::Duration> {
        (self.expires_at - now).try_into().ok().filter(|left: &std::time::Duration| !left.is_zero())
    }

    /// Whether the bearer in hand is this one.
    pub(crate) fn has_bearer(&self, other: &Secret) -> bool {
        self.access_token.is(other)
    }

    /// The form it is kept in.
    #[expect(
        clippy::disallowed_methods,
        reason = "door: the tokens go into the store of the person's own account"
    )]
    pub(crate) fn record(&self) -> Record {
        let text = |secret: &Secret| secret.expose_secret().to_owned();
        Record {
            scope: self.scope.clone(),
            access_token: text(&self.access_token),
            expires_at: self.expires_at,
            refresh_token: self.refresh_token.as_ref().map(text),
            id_token: self.id_token.as_ref().map(text),
        }
    }
}

/// A sign-in as it is kept: JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    scope: String,
    access_token: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

impl Record {
    pub(crate) fn login(self, url: Url, client_id: String) -> Login {
        Login {
            url,
            client_id,
            scope: self.scope,
            access_token: Secret::new(self.access_token),
            expires_at: self.expires_at,
            refresh_token: self.refresh_token.map(Secret::new),
            id_token: self.id_token.map(Secret::new),
        }
    }
}

/// The machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "an expiry that is kept must mean the same to the next process"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// `seconds` after `now`; a broker that says more than ten years is taken to say ten years.
pub(crate) fn after(now: OffsetDateTime, seconds: u64) -> OffsetDateTime {
    const MOST: u64 = 10 * 365 * 86_400;
    let seconds = i64::try_from(seconds.min(MOST)).unwrap_or_default();
    now.checked_add(Duration::seconds(seconds)).unwrap_or(now)
}

#[cfg(test)]
mod tests;
