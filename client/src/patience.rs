//! When may a call be sent again, and after which pause?

use std::time::Duration;

use crate::settings::BrokerSettings;

/// What is left of one call's repetitions.
pub(crate) struct Patience {
    repetitions: u32,
    budget: Duration,
    next: Duration,
}

impl Patience {
    pub(crate) fn of(settings: &BrokerSettings) -> Self {
        Self::new(settings.retries, settings.patience, settings.first_pause)
    }

    pub(crate) fn new(repetitions: u32, budget: Duration, next: Duration) -> Self {
        Self { repetitions, budget, next }
    }

    /// The pause before the next repetition, or none when the call has ended. A broker that asks for
    /// more time than is left is believed: sending earlier would only be refused again.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let pause = asked.unwrap_or(self.next);
        if self.repetitions == 0 || pause > self.budget {
            return None;
        }
        self.repetitions -= 1;
        self.budget -= pause;
        self.next = self.next.saturating_mul(2);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Patience { repetitions: 3, budget: Duration::from_secs(10), next: Duration::from_secs(1) }
    }

    #[test]
    fn pauses_double_and_end() {
        let mut patience = patience();
        let pauses: Vec<_> = std::iter::from_fn(|| patience.pause(None)).map(|p| p.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4]);
    }

    #[test]
    fn a_longer_wish_than_the_budget_ends_the_call() {
        let mut patience = patience();
        assert_eq!(patience.pause(Some(Duration::from_secs(9))), Some(Duration::from_secs(9)));
        assert_eq!(patience.pause(Some(Duration::from_secs(2))), None);
    }
}
