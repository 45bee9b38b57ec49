//! What time it is, as an argument.

use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

/// Nature's clock. Services hold an `Arc<dyn Clock>`; pure code takes `now`.
pub trait Clock: Send + Sync + 'static {
    /// The current time, UTC.
    fn now(&self) -> OffsetDateTime;

    /// How far this clock stands from the machine's. The store adds it to the database's own clock,
    /// so that one shift moves the whole product.
    fn shift(&self) -> Duration {
        Duration::ZERO
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that can be moved forward: `jeton demo` and the tests let tokens expire without waiting.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    shift_us: AtomicI64,
}

impl ShiftedClock {
    /// Moves the clock by `by` from where it stands.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX);
        self.shift_us.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> OffsetDateTime {
        SystemClock.now() + self.shift()
    }

    fn shift(&self) -> Duration {
        Duration::microseconds(self.shift_us.load(Ordering::SeqCst))
    }
}

/// Something to be done again when it is old enough, by one of those who notice.
#[derive(Debug)]
pub struct Every {
    age_us: i64,
    done_at_us: AtomicI64,
}

impl Every {
    /// Was done at `done_at`; due again after `age`.
    pub fn new(age: Duration, done_at: OffsetDateTime) -> Self {
        let age_us = i64::try_from(age.whole_microseconds()).unwrap_or(i64::MAX);
        Self { age_us, done_at_us: AtomicI64::new(to_micros(done_at)) }
    }

    /// Whether it is due and nobody else has taken it on. A clock set back makes it due too.
    pub fn claim(&self, now: OffsetDateTime) -> bool {
        let (now, done) = (to_micros(now), self.done_at_us.load(Ordering::SeqCst));
        let due = now.saturating_sub(done).saturating_abs() >= self.age_us;
        due && self.done_at_us.compare_exchange(done, now, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// As [`Every::claim`], for what takes a while and may be given up meanwhile: then it is due again.
    pub fn begin(&self, now: OffsetDateTime) -> Option<Begun<'_>> {
        self.claim(now).then(|| Begun { every: self, done: false })
    }
}

/// Something that was taken on. Dropped before it is done, it is due for the next one who asks.
#[derive(Debug)]
#[must_use]
pub struct Begun<'a> {
    every: &'a Every,
    done: bool,
}

impl Begun<'_> {
    /// It is done; or was tried, and is not to be tried again before it is due.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.every.done_at_us.store(i64::MIN, Ordering::SeqCst);
        }
    }
}

/// Microseconds since 1970: how times are stored, so that both databases compare them alike.
pub fn to_micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// The inverse of [`to_micros`]; times outside the calendar become its edges.
pub fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap_or(if micros < 0 {
        OffsetDateTime::UNIX_EPOCH
    } else {
        time::macros::datetime!(9999-12-31 23:59:59 UTC)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micros_survive_the_round_trip() {
        let at = time::macros::datetime!(2026-11-24 09:59:30.123456 UTC);
        assert_eq!(from_micros(to_micros(at)), at);
    }

    #[test]
    fn what_is_due_is_claimed_once() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let every = Every::new(Duration::seconds(5), start);
        assert!(!every.claim(start + Duration::seconds(4)));
        assert!(every.claim(start + Duration::seconds(5)));
        assert!(!every.claim(start + Duration::seconds(5)));
        assert!(every.claim(start - Duration::seconds(5)), "the clock was set back");
    }

    #[test]
    fn what_was_given_up_is_due_for_the_next() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let every = Every::new(Duration::seconds(5), start);
        assert!(every.begin(start + Duration::seconds(4)).is_none());
        let begun = every.begin(start + Duration::seconds(5)).unwrap();
        assert!(every.begin(start + Duration::seconds(5)).is_none());
        drop(begun);
        every.begin(start + Duration::seconds(5)).unwrap().done();
        for _ in 0..2 {
            assert!(every.begin(start + Duration::seconds(5)).is_none(), "asking does not make it due");
        }
    }

    #[test]
    fn a_shifted_clock_tells_its_shift() {
        let clock = ShiftedClock::default();
        clock.advance(Duration::hours(2));
        assert_eq!(clock.shift(), Duration::hours(2));
        assert!(clock.now() - SystemClock.now() > Duration::minutes(119));
    }
}
