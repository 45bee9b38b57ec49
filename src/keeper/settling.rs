//! How long the database has been back: a rotating token whose outcome is unknown is not sent again at once, since
//! another replica may still bring the answer.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::time::{Clock, to_micros};

/// Nothing is resent for so long after the database was regained; a start counts as regaining.
const SETTLE_US: i64 = 15_000_000;
/// The database is away.
const AWAY: i64 = i64::MAX;

/// When the database will have been back for long enough.
pub(super) struct Settling {
    settled_at_us: AtomicI64,
}

impl Settling {
    pub(super) fn begin(clock: &dyn Clock) -> Self {
        Self { settled_at_us: AtomicI64::new(to_micros(clock.now()) + SETTLE_US) }
    }

    /// Passes a database result on, and learns from it whether the database is there.
    pub(super) fn noted<T>(
        &self,
        clock: &dyn Clock,
        result: Result<T, crate::store::Error>,
    ) -> Result<T, crate::store::Error> {
        match &result {
            Err(crate::store::Error::Unavailable(_) | crate::store::Error::Interrupted) => self.away(),
            _ if self.settled_at_us.load(Ordering::SeqCst) == AWAY => {
                self.settled_at_us.store(to_micros(clock.now()) + SETTLE_US, Ordering::SeqCst);
            }
            _ => {}
        }
        result
    }

    /// The database did not store an answer.
    pub(super) fn away(&self) {
        self.settled_at_us.store(AWAY, Ordering::SeqCst);
    }

    pub(super) fn is_settled(&self, clock: &dyn Clock) -> bool {
        to_micros(clock.now()) >= self.settled_at_us.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::model::time::ShiftedClock;
    use crate::store::Error;

    #[test]
    fn fifteen_seconds_pass_after_a_start_and_after_the_database_came_back() {
        let clock = ShiftedClock::default();
        let settling = Settling::begin(&clock);
        assert!(!settling.is_settled(&clock));
        clock.advance(Duration::seconds(15));
        assert!(settling.is_settled(&clock));
        let gone = Err::<(), _>(Error::Unavailable(sea_orm::DbErr::Custom("away".into())));
        assert!(settling.noted(&clock, gone).is_err());
        clock.advance(Duration::minutes(5));
        assert!(!settling.is_settled(&clock), "away");
        settling.noted(&clock, Ok(())).unwrap();
        assert!(!settling.is_settled(&clock), "just back");
        clock.advance(Duration::seconds(15));
        assert!(settling.is_settled(&clock));
    }
}
