//! Which requests are still being answered? The workers end together once there are none.
//!
//! A connection of the database's pool lives on the thread of the worker that opened it, and may be lent to a request of
//! another one: a worker that ended first would take it away from under that request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Requests that were taken in and not answered yet.
#[derive(Debug, Default)]
pub struct InFlight {
    requests: AtomicUsize,
    answered: Notify,
    closing: AtomicBool,
}

/// One of them.
#[derive(Debug)]
pub struct Ticket(Arc<InFlight>);

impl InFlight {
    /// Counts a request until the ticket is dropped.
    pub fn begin(self: &Arc<Self>) -> Ticket {
        self.requests.fetch_add(1, Ordering::SeqCst);
        Ticket(Arc::clone(self))
    }

    /// Whether an answer shall be the last one on its connection.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Waits until all are answered, at most `limit`; says whether they are.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.closing.store(true, Ordering::SeqCst);
        let all = async {
            loop {
                let answered = self.answered.notified();
                if self.requests.load(Ordering::SeqCst) == 0 {
                    return;
                }
                answered.await;
            }
        };
        tokio::time::timeout(limit, all).await.is_ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.answered.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn all_are_waited_for_and_no_longer_than_they_may_take() {
        let in_flight = Arc::<InFlight>::default();
        let (one, other) = (in_flight.begin(), in_flight.begin());
        assert!(!in_flight.is_closing());
        let mut drained = std::pin::pin!(in_flight.drain(Duration::from_secs(60)));
        assert_eq!(drained.as_mut().now_or_never(), None);
        drop(one);
        assert_eq!((drained.as_mut().now_or_never(), in_flight.is_closing()), (None, true));
        assert!(!in_flight.drain(Duration::ZERO).await);
        drop(other);
        assert!(drained.await);
    }
}
