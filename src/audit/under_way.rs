//! How many records are being written, and how old is the oldest? One group at a time, in the order they came.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// The group under way; what came after it waits in the queue, and is younger.
#[derive(Default)]
pub(super) struct UnderWay {
    records: AtomicUsize,
    oldest_us: AtomicI64,
}

impl UnderWay {
    pub(super) fn begin(&self, records: usize, oldest_us: i64) {
        self.oldest_us.store(oldest_us, Ordering::Relaxed);
        self.records.store(records, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.records.store(0, Ordering::Relaxed);
    }

    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Microseconds since 1970; `None` where nothing is being written.
    pub(super) fn oldest_us(&self) -> Option<i64> {
        (self.records() > 0).then(|| self.oldest_us.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use crate::model::event::{Action, Event, Origin};
    use crate::model::principal::Actor;
    use crate::store::testing::databases;

    #[tokio::test]
    async fn who_waits_is_counted_and_for_how_long() {
        // SQLite has one writer: while somebody else writes, the records wait.
        let db = databases().await.remove(0);
        let (store, audit) = (db.store(), db.audit());
        assert_eq!(audit.waiting(), (0, std::time::Duration::ZERO));
        let elsewhere = store.begin().await.unwrap();
        let recording = audit.clone();
        let event = Event::new(Actor::System, Action::TokenHandOut, Origin::default());
        let record = tokio::spawn(async move { recording.record(event).await });
        while audit.waiting().0 == 0 || audit.under_way.oldest_us().is_none() {
            tokio::task::yield_now().await;
        }
        db.clock.advance(Duration::seconds(3));
        let (records, lag) = audit.waiting();
        assert!(records == 1 && lag.as_secs() == 3, "{records} {lag:?}");
        drop(elsewhere);
        record.await.unwrap().unwrap();
        assert_eq!(audit.waiting().0, 0);
    }
}
