//! What this process owes the database until it answers again: a bounded list, worked off by the upkeep.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits at most; what comes beyond is not remembered.
const MOST: usize = 1_000;

pub(super) struct Owed<T>(Mutex<VecDeque<T>>);

impl<T> Default for Owed<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Owed<T> {
    /// Says whether there was room.
    pub(super) fn add(&self, one: T) -> bool {
        let mut waiting = self.lock();
        let has_room = waiting.len() < MOST;
        if has_room {
            waiting.push_back(one);
        }
        has_room
    }

    /// All that waits, oldest first.
    pub(super) fn all(&self) -> Vec<T> {
        self.lock().iter().cloned().collect()
    }

    pub(super) fn forget(&self, is_settled: impl Fn(&T) -> bool) {
        self.lock().retain(|one| !is_settled(one));
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
