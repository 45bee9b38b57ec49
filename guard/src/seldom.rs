//! How is the same told in the log once a minute, however often it happens?

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

const PAUSE: Duration = Duration::MINUTE;

/// When each thing was told last. All are kept, so there must be few.
#[derive(Default)]
pub(crate) struct Seldom {
    told: Mutex<HashMap<String, OffsetDateTime>>,
}

impl Seldom {
    /// Whether to tell it now; then it counts as told.
    pub(crate) fn is_due(&self, what: &str, now: OffsetDateTime) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(what).is_some_and(|at| (*at..at.saturating_add(PAUSE)).contains(&now)) {
            return false;
        }
        told.insert(what.to_owned(), now);
        true
    }
}
