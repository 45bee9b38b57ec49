//! How are the keys of a foreign issuer fetched and kept?
//!
//! One fetch at a time, however many tokens wait for it, and at most one every 30 s (5 s while no key is known), so
//! that nobody can make this host knock at the issuer by sending unknown key ids. A fetch that fails leaves the
//! keys as they were: an issuer that is down locks nobody out. It runs in a task of its own, so that a caller who
//! hangs up does not take it along.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::{Duration, OffsetDateTime};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use url::{Host, Url};

use super::{Slot, Snapshot};
use crate::KeySet;

mod fetch;

use fetch::Fetcher;

/// Between two fetches, whatever asks for them.
const INTERVAL: Duration = Duration::seconds(30);
/// Between two fetches as long as no key is known.
const INTERVAL_EMPTY: Duration = Duration::seconds(5);
/// After this the keys are asked for again in the background, so that a withdrawn one goes.
const MAX_AGE: Duration = Duration::hours(1);
/// How many tokens may wait for a fetch; more are judged by the keys known.
const MAX_WAITERS: usize = 1_000;

/// Keys fetched from the issuer and kept; a clone is another handle on the same keys.
///
/// Needs a tokio runtime when tokens are verified. No redirects are followed, no proxy of the environment is used;
/// connecting takes at most 5 s, an answer 10 s and 256 KiB. An answer without a usable key counts as a failure.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    inner: Arc<Inner>,
}

/// Why an address cannot be used to fetch keys from.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not an absolute URL.
    #[error("the address of the keys is not a URL")]
    Invalid(#[source] url::ParseError),
    /// Plain http to another host, another scheme, or credentials in the URL.
    #[error("the address of the keys must be https (http on loopback only) without credentials")]
    NotAllowed,
    /// The HTTP client cannot be made, for instance for want of root certificates.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

impl RemoteKeys {
    /// Keys from the JWKS at this URL: https, or http on loopback.
    ///
    /// # Errors
    /// Where the URL cannot be used, or no HTTP client can be made. Whether anything answers there shows at the first token.
    pub fn jwks(url: &str) -> Result<Self, UrlError> {
        Ok(Self::new(Fetcher::jwks(parse(url)?).map_err(UrlError::Client)?))
    }

    /// Keys of an issuer, found through its `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §4).
    ///
    /// The document must name this very issuer, byte for byte, and its `jwks_uri` obeys the rule of [`Self::jwks`].
    ///
    /// # Errors
    /// As [`Self::jwks`], of the document's address. What the document says shows at the first token.
    pub fn discovery(issuer: &str) -> Result<Self, UrlError> {
        let document = parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
        Ok(Self::new(Fetcher::discovery(issuer, document).map_err(UrlError::Client)?))
    }

    fn new(fetcher: Fetcher) -> Self {
        let shared = Shared { fetcher, slot: Slot::new(KeySet::default()), fetched_at: Mutex::default() };
        Self {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                flight: Mutex::default(),
                waiters: Semaphore::new(MAX_WAITERS),
            }),
        }
    }

    pub(super) fn peek(&self, now: OffsetDateTime) -> Arc<Snapshot> {
        if self.inner.shared.is_aged(now) {
            self.inner.start(now);
        }
        self.inner.shared.slot.load()
    }

    pub(super) async fn known(&self, now: OffsetDateTime) -> Arc<Snapshot> {
        if self.inner.shared.slot.load().set.is_empty() {
            self.inner.fetch(now).await;
        }
        self.inner.shared.slot.load()
    }

    pub(super) async fn renewed(&self, seen: &Snapshot, now: OffsetDateTime) -> Arc<Snapshot> {
        if self.inner.shared.slot.load().generation == seen.generation {
            self.inner.fetch(now).await;
        }
        self.inner.shared.slot.load()
    }
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    flight: Mutex<Flight>,
    waiters: Semaphore,
}

/// What the fetching task needs; apart from [`Inner`], whose end stops the task.
#[derive(Debug)]
struct Shared {
    fetcher: Fetcher,
    slot: Slot,
    fetched_at: Mutex<Option<OffsetDateTime>>,
}

#[derive(Debug, Default)]
struct Flight {
    last: Option<OffsetDateTime>,
    running: Option<Running>,
}

/// A fetch under way; stopped when dropped.
#[derive(Debug)]
struct Running {
    landed: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Inner {
    /// Starts a fetch or joins the one under way, and waits for its end; does nothing where it is too soon.
    async fn fetch(&self, now: OffsetDateTime) {
        let Some(mut landed) = self.start(now) else { return };
        let Ok(_place) = self.waiters.try_acquire() else { return };
        // The task never sends: the channel ends with it, however it ends.
        while landed.changed().await.is_ok() {}
    }

    fn start(&self, now: OffsetDateTime) -> Option<watch::Receiver<()>> {
        let mut flight = lock(&self.flight);
        if let Some(running) = flight.running.as_ref().filter(|running| running.landed.has_changed().is_ok())
        {
            return Some(running.landed.clone());
        }
        let empty = self.shared.slot.load().set.is_empty();
        let interval = if empty { INTERVAL_EMPTY } else { INTERVAL };
        // Two-sided: callers' clocks may be out of order by a little, and a clock may be set back by a lot.
        if flight.last.is_some_and(|last| (now - last).abs() < interval) {
            return None;
        }
        flight.last = Some(now);
        let (flying, landed) = watch::channel(());
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            shared.fetch(now).await;
            drop(flying);
        });
        flight.running = Some(Running { landed: landed.clone(), task });
        Some(landed)
    }
}

impl Shared {
    fn is_aged(&self, now: OffsetDateTime) -> bool {
        lock(&self.fetched_at).is_some_and(|at| (now - at).abs() >= MAX_AGE)
    }

    async fn fetch(&self, now: OffsetDateTime) {
        match self.fetcher.fetch().await {
            Ok(set) => {
                *lock(&self.fetched_at) = Some(now);
                let keys = set.len();
                if self.slot.replace(set) {
                    tracing::info!(issuer.address = %self.fetcher.address(), issuer.keys = keys, "fetched the keys of the issuer");
                }
            }
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(
                    issuer.address = %self.fetcher.address(),
                    error = cause,
                    "could not fetch the keys of the issuer; the ones known stay in use"
                );
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn parse(url: &str) -> Result<Url, UrlError> {
    let url = Url::parse(url).map_err(UrlError::Invalid)?;
    if is_allowed(&url) { Ok(url) } else { Err(UrlError::NotAllowed) }
}

/// Keys read over plain http are keys of whoever sits on the wire.
fn is_allowed(url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    bare && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
