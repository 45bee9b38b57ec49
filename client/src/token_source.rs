//! How does this program get one token for however many of its tasks ask?
//!
//! One flight at a time: whoever finds no living token joins the request under way. A token is kept until it is nearly
//! over, replaced in the background shortly before, and dropped early only by the caller that saw this very one
//! refused. A flight belongs to no caller: one that gives up does not end it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::error::Error;
use crate::secret::Secret;

/// How long after a failure nothing is asked in the background.
const REST: Duration = Duration::from_secs(5);

/// The time that does not go back. An argument, so that an hour passes in a test at once.
pub type Ticks = Arc<dyn Fn() -> Instant + Send + Sync>;

/// A token that was got, while it is used. `Debug` does not print it.
#[derive(Debug)]
pub struct Bearer {
    pub(crate) token: Secret,
    /// From here on the next one is worth asking for.
    ahead: Instant,
    until: Instant,
}

impl Bearer {
    /// The token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Until when a [`TokenSource`] gives it out: a little before it ends.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// A token that was asked for at `from` and lives `lifetime`.
    pub(crate) fn new(token: Secret, lifetime: Duration, from: Instant) -> Result<Arc<Self>, Error> {
        let margin = margin(lifetime);
        let at =
            |early: Duration| from.checked_add(lifetime.saturating_sub(early)).ok_or(Error::Garbled("token"));
        Ok(Arc::new(Self { token, ahead: at(margin * 2)?, until: at(margin)? }))
    }
}

/// How early a token is renewed: a minute, but at most a fifth of its life.
fn margin(lifetime: Duration) -> Duration {
    Duration::from_secs(60).min(lifetime / 5)
}

/// Brings a token; is told the one that was refused, if one was.
pub(crate) trait Mint: Send + Sync {
    fn token(self: Arc<Self>, refused: Option<Secret>) -> BoxFuture<'static, Result<Arc<Bearer>, Error>>;
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Bearer>, Error>>>;

#[derive(Default)]
struct Slot {
    held: Option<Arc<Bearer>>,
    flight: Option<Flight>,
    refused: Option<Secret>,
    resting: Option<Instant>,
}

/// One token for all tasks of a program. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct TokenSource {
    shared: Arc<Source>,
}

struct Source {
    mint: Arc<dyn Mint>,
    ahead: bool,
    ticks: Ticks,
    slot: Mutex<Slot>,
}

impl TokenSource {
    /// `ahead`: replaces the token before it is over.
    pub(crate) fn of(mint: Arc<dyn Mint>, ahead: bool, ticks: Ticks) -> Self {
        Self { shared: Arc::new(Source { mint, ahead, ticks, slot: Mutex::default() }) }
    }

    /// The living token, or the one that the request under way brings.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn bearer(&self) -> Result<Arc<Bearer>, Error> {
        match self.shared.board() {
            Ok(bearer) => Ok(bearer),
            Err(flight) => flight.await,
        }
    }

    /// Drops `refused`, which the API did not take, unless another task replaced it already.
    pub fn forget(&self, refused: &Arc<Bearer>) {
        let mut slot = self.shared.slot();
        if slot.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused)) {
            slot.held = None;
            slot.refused = Some(refused.token.clone());
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

impl Source {
    fn board(self: &Arc<Self>) -> Result<Arc<Bearer>, Flight> {
        let mut slot = self.slot();
        let now = (self.ticks)();
        match slot.held.clone().filter(|bearer| now < bearer.until) {
            None => Err(self.flight(&mut slot)),
            Some(bearer) => {
                let rested = slot.resting.is_none_or(|until| until <= now);
                if self.ahead && bearer.ahead <= now && rested {
                    // It lands by itself; nobody waits for it.
                    drop(self.flight(&mut slot));
                }
                Ok(bearer)
            }
        }
    }

    /// The flight under way, or a new one; it lands by itself.
    fn flight(self: &Arc<Self>, slot: &mut Slot) -> Flight {
        let depart = || {
            let (own, refused) = (Arc::clone(self), slot.refused.clone());
            let task = tokio::spawn(async move {
                let result = Arc::clone(&own.mint).token(refused).await;
                own.land(&result);
                result
            });
            let own = Arc::clone(self);
            let landed = async move {
                task.await.unwrap_or_else(|_| {
                    let interrupted = Err(Error::Interrupted);
                    own.land(&interrupted);
                    interrupted
                })
            };
            landed.boxed().shared()
        };
        slot.flight.get_or_insert_with(depart).clone()
    }

    fn land(&self, result: &Result<Arc<Bearer>, Error>) {
        let mut slot = self.slot();
        slot.flight = None;
        match result {
            Ok(bearer) => (slot.held, slot.refused) = (Some(Arc::clone(bearer)), None),
            Err(_) => slot.resting = (self.ticks)().checked_add(REST),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine's.
pub(crate) fn ticks() -> Ticks {
    Arc::new(Instant::now)
}

#[cfg(test)]
impl TokenSource {
    pub(crate) fn age(&self, by: Duration) {
        let mut slot = self.shared.slot();
        let held = slot.held.take().unwrap();
        let [ahead, until] = [held.ahead, held.until].map(|at| at.checked_sub(by).unwrap());
        slot.held = Some(Arc::new(Bearer { token: held.token.clone(), ahead, until }));
    }

    pub(crate) async fn landed(&self) {
        self.ended().await.unwrap();
    }

    /// What became of the request under way, if one is.
    pub(crate) async fn ended(&self) -> Result<(), Error> {
        let flight = self.shared.slot().flight.clone();
        match flight {
            Some(flight) => flight.await.map(drop),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_a_minute_or_a_fifth() {
        assert_eq!(margin(Duration::from_secs(3600)), Duration::from_secs(60));
        assert_eq!(margin(Duration::from_secs(10)), Duration::from_secs(2));
    }

    #[test]
    fn debug_of_a_bearer_is_mute() {
        let bearer = Bearer::new(Secret::new("canary"), Duration::from_secs(60), Instant::now()).unwrap();
        assert!(!format!("{bearer:?}").contains("canary"));
    }
}
