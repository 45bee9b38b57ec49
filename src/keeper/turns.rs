//! How many refreshes run at once in this process? A bound for all, and a quarter of it for one token endpoint's
//! origin, so that a provider that hangs leaves turns to the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

pub(super) struct Turns {
    all: Semaphore,
    share: usize,
    of: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Whoever holds it may refresh.
pub(super) struct Turn<'t> {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<SemaphorePermit<'t>>,
}

impl Turns {
    pub(super) fn new(concurrency: u32) -> Self {
        let all = usize::try_from(concurrency).unwrap_or(1);
        Self { all: Semaphore::new(all), share: (all / 4).max(1), of: Mutex::default() }
    }

    /// Turns of one origin.
    pub(super) fn share(&self) -> usize {
        self.share
    }

    /// Waits for a turn of the origin first: who waits for that holds none of the others'.
    pub(super) async fn take(&self, origin: &str) -> Turn<'_> {
        // Never closed: the semaphores live as long as the keeper.
        let own = self.of(origin).acquire_owned().await.ok();
        Turn { _own: own, _all: self.all.acquire().await.ok() }
    }

    fn of(&self, origin: &str) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = of.entry(origin.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.share)));
        Arc::clone(turns)
    }
}
