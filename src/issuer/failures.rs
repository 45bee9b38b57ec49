//! How fast may a client fail to authenticate?
//!
//! Secrets of 256 bits are not guessed; the limit tells a job with a wrong one to stop hammering. It counts per
//! client and address, and a right secret always passes: nobody is locked out by the failures of others.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use moka::sync::Cache;
use time::OffsetDateTime;

use crate::model::client::ClientId;
use crate::model::time::to_micros;

/// One failure is forgiven every 2 s,
const INTERVAL_US: i64 = 2_000_000;
/// and so many at once.
const BURST: i64 = 20;
const MAX_KEYS: u64 = 10_000;

/// Unknown clients of one address count as one.
type Key = (Option<ClientId>, Option<IpAddr>);

/// Failed authentications of this process (a generic cell rate algorithm).
pub(super) struct Failures(Cache<Key, Arc<AtomicI64>>);

impl Default for Failures {
    fn default() -> Self {
        Self(Cache::new(MAX_KEYS))
    }
}

impl Failures {
    /// Counts a failure; the seconds to wait where it is one too many.
    pub(super) fn count(&self, key: Key, now: OffsetDateTime) -> Option<u64> {
        let now = to_micros(now);
        let paid_until = self.0.get_with(key, || Arc::new(AtomicI64::new(now)));
        let pay = |until: i64| {
            let next = until.max(now).saturating_add(INTERVAL_US);
            (next.saturating_sub(now) <= BURST * INTERVAL_US).then_some(next)
        };
        match paid_until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, pay) {
            Ok(_) => None,
            Err(until) => {
                let wait = until.saturating_add(INTERVAL_US).saturating_sub(now) - BURST * INTERVAL_US;
                Some(u64::try_from(wait.max(0)).unwrap_or_default().div_ceil(1_000_000).max(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn failures_are_limited_per_client_and_address_and_forgiven() {
        let (failures, start) = (Failures::default(), OffsetDateTime::UNIX_EPOCH);
        let key = |client: &str| (ClientId::parse(client), Some(IpAddr::from([127, 0, 0, 1])));
        for _ in 0..BURST {
            assert_eq!(failures.count(key("a"), start), None);
        }
        assert_eq!(failures.count(key("a"), start), Some(2));
        assert_eq!(failures.count(key("b"), start), None);
        assert_eq!(failures.count((ClientId::parse("a"), None), start), None);
        assert_eq!(failures.count(key("a"), start + Duration::seconds(2)), None);
        assert_eq!(failures.count(key("a"), start + Duration::seconds(2)), Some(2));
    }
}
