//! When is a provider left alone? A breaker over the calls to one token endpoint's origin, pure over the time.
//!
//! It counts connections, not calls: one connection's trouble is its own back-off and never opens it. An answer of
//! the provider, whatever it says, ends the count: who answers some is not away.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Distinct connections whose calls ended as in an outage, one after the other, until nobody is called.
const OUTAGES: usize = 5;
/// Within so long.
const WINDOW: Duration = Duration::seconds(30);
/// How long nobody is called then.
const OPEN: Duration = Duration::seconds(10);
/// When a trial of which nothing was heard is over: longer than any lease.
const TRIAL: Duration = Duration::seconds(90);
/// When to ask again while a trial is under way.
const SOON: Duration = Duration::seconds(1);

/// Whether calls to one origin pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// They do; whose ended as in an outage of late, and when.
    Closed(Vec<(Uuid, OffsetDateTime)>),
    /// None does.
    Open {
        /// Until then.
        until: OffsetDateTime,
    },
    /// One has passed, and decides.
    Trial {
        /// When nothing will come of it any more.
        until: OffsetDateTime,
    },
}

/// A call that may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// One of many.
    Freely,
    /// The one that decides.
    OnTrial,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed(Vec::new())
    }
}

impl Breaker {
    /// How long no call passes. A time that this program never sets (a clock that went back) bars nothing.
    pub fn barred_for(&self, now: OffsetDateTime) -> Option<Duration> {
        let left = |until: OffsetDateTime, most| {
            Some(until - now).filter(|left| left.is_positive() && *left <= most)
        };
        match self {
            Self::Closed(_) => None,
            Self::Open { until } => left(*until, OPEN),
            Self::Trial { until } => left(*until, TRIAL).map(|_| SOON),
        }
    }

    /// Lets a call pass, or says how long none does. After [`Breaker::Open`] one passes, until something is heard
    /// of it.
    ///
    /// # Errors
    /// How long to wait.
    pub fn admit(&mut self, now: OffsetDateTime) -> Result<Admitted, Duration> {
        if let Some(wait) = self.barred_for(now) {
            return Err(wait);
        }
        if matches!(self, Self::Closed(_)) {
            return Ok(Admitted::Freely);
        }
        *self = Self::Trial { until: now + TRIAL };
        Ok(Admitted::OnTrial)
    }

    /// A call of this connection ended as in an outage.
    pub fn outage(&mut self, connection: Uuid, now: OffsetDateTime) {
        match self {
            Self::Closed(recent) => {
                recent.retain(|(id, at)| *id != connection && (now - *at).abs() < WINDOW);
                recent.push((connection, now));
                if recent.len() >= OUTAGES {
                    *self = Self::Open { until: now + OPEN };
                }
            }
            Self::Trial { .. } => *self = Self::Open { until: now + OPEN },
            // Calls from before it opened.
            Self::Open { .. } => {}
        }
    }

    /// The provider answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// The trial was not made: another call may be.
    pub fn give_back(&mut self, now: OffsetDateTime) {
        if matches!(self, Self::Trial { .. }) {
            *self = Self::Open { until: now };
        }
    }

    /// Whether it says no more than a new one.
    pub fn is_forgotten(&self, now: OffsetDateTime) -> bool {
        match self {
            Self::Closed(recent) => recent.iter().all(|(_, at)| (now - *at).abs() >= WINDOW),
            Self::Open { .. } | Self::Trial { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: OffsetDateTime = time::macros::datetime!(2026-11-24 03:00 UTC);

    fn id(n: u8) -> Uuid {
        Uuid::from_u128(n.into())
    }

    fn second(n: i64) -> OffsetDateTime {
        START + Duration::seconds(n)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for n in 1..=5 {
            assert_eq!(breaker.barred_for(second(0)), None, "{n}");
            breaker.outage(id(n), second(0));
        }
        breaker
    }

    #[test]
    fn the_fifth_connection_within_thirty_seconds_opens_it_for_ten() {
        let breaker = opened();
        assert_eq!(breaker.barred_for(second(0)), Some(Duration::seconds(10)));
        assert_eq!(breaker.barred_for(second(9)), Some(Duration::seconds(1)));
        assert_eq!(breaker.barred_for(second(10)), None);
    }

    #[test]
    fn connections_further_apart_and_an_answer_in_between_do_not_open_it() {
        let mut breaker = Breaker::default();
        for n in 1..=20 {
            breaker.outage(id(n), second(i64::from(n) * 8));
            assert_eq!(breaker.barred_for(second(i64::from(n) * 8)), None);
        }
        let mut breaker = Breaker::default();
        for n in 1..=20 {
            breaker.outage(id(n), second(0));
            if n % 4 == 0 {
                breaker.answered();
            }
            assert_eq!(breaker.barred_for(second(0)), None);
        }
    }

    #[test]
    fn one_call_passes_after_that_and_what_it_meets_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(second(5)), Err(Duration::seconds(5)));
        assert_eq!(breaker.admit(second(10)), Ok(Admitted::OnTrial));
        assert_eq!(breaker.admit(second(10)), Err(SOON));
        breaker.outage(id(1), second(12));
        assert_eq!(breaker.admit(second(21)), Err(Duration::seconds(1)));
        assert_eq!(breaker.admit(second(22)), Ok(Admitted::OnTrial));
        breaker.answered();
        assert_eq!(breaker.admit(second(22)), Ok(Admitted::Freely));
    }

    #[test]
    fn a_trial_that_was_not_made_or_never_ended_leaves_it_to_another() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(second(10)), Ok(Admitted::OnTrial));
        breaker.give_back(second(11));
        assert_eq!(breaker.admit(second(11)), Ok(Admitted::OnTrial));
        assert_eq!(breaker.admit(second(100)), Err(SOON));
        assert_eq!(breaker.admit(second(101)), Ok(Admitted::OnTrial));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Pass(i64),
        Call { connection: u8, outage: bool },
    }

    fn steps(connections: u8) -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            1 => (-40..40_i64).prop_map(Step::Pass),
            6 => (0..connections, any::<bool>())
                .prop_map(|(connection, outage)| Step::Call { connection, outage }),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn four_connections_never_open_it(steps in steps(4)) {
            let (mut breaker, mut now) = (Breaker::default(), START);
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += Duration::seconds(seconds),
                    Step::Call { connection, outage: true } => breaker.outage(id(connection), now),
                    Step::Call { .. } => breaker.answered(),
                }
                prop_assert_eq!(breaker.admit(now), Ok(Admitted::Freely));
            }
        }

        #[test]
        fn whatever_happened_it_lets_a_call_through_again(steps in steps(20)) {
            let (mut breaker, mut now) = (Breaker::default(), START);
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += Duration::seconds(seconds.abs()),
                    Step::Call { connection, outage } => if breaker.admit(now).is_ok() {
                        if outage { breaker.outage(id(connection), now) } else { breaker.answered() }
                    },
                }
                prop_assert!(breaker.barred_for(now).is_none_or(|wait| wait <= OPEN));
            }
            prop_assert!(breaker.admit(now + OPEN).is_ok());
        }
    }
}
