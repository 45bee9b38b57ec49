//! How often `rejected=` may cause a provider call.

use time::{Duration, OffsetDateTime};

const BURST: i32 = 3;
const WINDOW: Duration = Duration::seconds(60);
const SLOW: Duration = Duration::hours(1);

/// Counts what `rejected` caused: three in a minute, then one an hour while they repeat, so that a broken job
/// burns neither the provider nor other jobs' tokens. A new grant starts afresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    /// In the window.
    pub count: i32,
    /// Start of the window, or the last one let through once slowed down.
    pub since: Option<OffsetDateTime>,
}

impl Rejections {
    /// The count after one more, or `None` where it must wait.
    pub fn another(self, now: OffsetDateTime) -> Option<Self> {
        let fresh = Self { count: 1, since: Some(now) };
        let Some(since) = self.since else { return Some(fresh) };
        let passed = now - since;
        if self.count < BURST {
            let counted = Self { count: self.count + 1, since: Some(since) };
            return Some(if passed < WINDOW { counted } else { fresh });
        }
        if passed >= SLOW * 2 {
            Some(fresh)
        } else if passed >= SLOW {
            Some(Self { count: self.count, since: Some(now) })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_minute_then_one_an_hour() {
        let start = time::macros::datetime!(2026-11-24 03:00 UTC);
        let mut rejections = Rejections::default();
        for second in 0..3 {
            rejections = rejections.another(start + Duration::seconds(second)).unwrap();
        }
        assert_eq!(rejections.another(start + Duration::seconds(3)), None);
        assert_eq!(rejections.another(start + Duration::minutes(59)), None);
        let slowed = rejections.another(start + Duration::minutes(61)).unwrap();
        assert_eq!(slowed.another(start + Duration::minutes(62)), None);
        assert!(slowed.another(start + Duration::minutes(122)).is_some());
    }

    #[test]
    fn a_quiet_minute_starts_a_new_window() {
        let start = time::macros::datetime!(2026-11-24 03:00 UTC);
        let one = Rejections::default().another(start).unwrap();
        assert_eq!(one.another(start + Duration::minutes(2)).unwrap().count, 1);
    }
}
