//! Single flight: one refresh per connection and process, owned by the keeper and not by whoever waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tracing::{Instrument, warn};
use uuid::Uuid;

use crate::model::token_set::TokenSetId;

use super::refresh::{self, Target};
use super::{Core, Landed};

/// How a flight ended, for those who waited; each then decides again with its own request.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// The row tells.
    Done,
    /// The provider says that the rejected token of this set works.
    NotConfirmed(TokenSetId),
    /// The provider refuses the token of this set, and the refresh did not succeed.
    Confirmed(TokenSetId),
    /// The provider gave a set, the database did not take it: it is in the spool, for those who waited.
    Spooled(Arc<Landed>),
    /// Nothing was sent, and the row does not tell why.
    Failed(Trouble),
}

impl Verdict {
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Failed(trouble) => Some(*trouble),
            Self::Done | Self::NotConfirmed(_) | Self::Confirmed(_) | Self::Spooled(_) => None,
        }
    }
}

/// Why a flight sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connector has no client id here.
    CredentialsMissing,
    /// A stored secret does not open.
    Unreadable,
    /// A row that says where secrets go was not written by this instance.
    NotOurs {
        /// Its table.
        table: &'static str,
    },
    /// The database did not take the claim.
    Storage,
    /// The process has just started and an earlier send's outcome is not known.
    Unsettled,
    /// Nobody calls there now: the provider is away, or limits these credentials.
    Barred {
        /// Seconds until somebody may.
        retry_after: u64,
    },
    /// Too many wait, or the process ends.
    Full,
}

type Landing = watch::Receiver<Option<Verdict>>;
type UnderWay = HashMap<Uuid, (watch::Sender<Option<Verdict>>, Landing)>;

/// The flights under way.
pub(super) struct Flights {
    board: Arc<Board>,
    waiting: Semaphore,
    per_connection: usize,
}

#[derive(Default)]
struct Board {
    flights: Mutex<UnderWay>,
    landed: Notify,
}

impl Flights {
    /// None under way; so many may wait for all, and so many for one.
    pub(super) fn new(waiters: usize, per_connection: usize) -> Self {
        Self { board: Arc::default(), waiting: Semaphore::new(waiters), per_connection }
    }

    /// Joins the connection's flight, or begins one, and waits for its end at most `patience`. A caller that
    /// hangs up cancels nothing.
    pub(super) async fn board(&self, core: &Arc<Core>, target: Target, patience: Duration) -> Verdict {
        let Ok(_place) = self.waiting.try_acquire() else { return Verdict::Failed(Trouble::Full) };
        let Some(mut landing) = self.join_or_begin(core, target) else {
            return Verdict::Failed(Trouble::Full);
        };
        let landed = tokio::time::timeout(patience, landing.wait_for(Option::is_some)).await;
        match landed {
            Ok(Ok(verdict)) => verdict.clone().unwrap_or(Verdict::Done),
            // The flight panicked; its claim lapses by itself.
            Ok(Err(_)) => Verdict::Failed(Trouble::Storage),
            Err(_) => Verdict::Done,
        }
    }

    fn join_or_begin(&self, core: &Arc<Core>, target: Target) -> Option<Landing> {
        let id = target.connection.id;
        let mut flights = self.board.lock();
        if let Some((sender, landing)) = flights.get(&id) {
            return (sender.receiver_count() <= self.per_connection).then(|| landing.clone());
        }
        if core.is_closing() {
            return None;
        }
        let (sender, landing) = watch::channel(None);
        flights.insert(id, (sender, landing.clone()));
        let seat = Seat { board: Arc::clone(&self.board), id };
        let core = Arc::clone(core);
        let of = &target.connection;
        // Inside the span of whoever began it: the lines of the flight carry that request's trace id.
        let span = tracing::error_span!("keeper.refresh.fly", app.id = %of.app, connector = %of.connector, flow = %of.flow);
        let flight = async move {
            let verdict = refresh::run(&core, target).await;
            seat.land(verdict);
        };
        tokio::spawn(flight.instrument(span));
        Some(landing)
    }

    /// Those that have not landed.
    pub(super) fn under_way(&self) -> usize {
        self.board.lock().len()
    }

    /// Waits until all have landed, at most `limit`.
    pub(super) async fn drain(&self, limit: Duration) {
        let empty = async {
            loop {
                let landed = self.board.landed.notified();
                if self.under_way() == 0 {
                    return;
                }
                landed.await;
            }
        };
        // Past the limit the claims lapse by themselves.
        if tokio::time::timeout(limit, empty).await.is_err() {
            let refreshes = self.under_way();
            warn!(
                refreshes,
                "refreshes are still under way as the process ends; their outcome will be unknown"
            );
        }
    }
}

impl Board {
    fn lock(&self) -> std::sync::MutexGuard<'_, UnderWay> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flight's entry; gone when the flight ends, also by a panic.
struct Seat {
    board: Arc<Board>,
    id: Uuid,
}

impl Seat {
    fn land(self, verdict: Verdict) {
        if let Some((sender, _)) = self.board.lock().get(&self.id) {
            sender.send_replace(Some(verdict));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.board.lock().remove(&self.id);
        self.board.landed.notify_waiters();
    }
}
