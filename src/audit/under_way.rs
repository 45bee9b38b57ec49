//! How many records are being written, and how old is the oldest?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The groups under way, in the order they came; what came after them waits in the queue, and is younger.
#[derive(Default)]
pub(super) struct UnderWay {
    groups: Mutex<BTreeMap<u64, Group>>,
}

struct Group {
    records: usize,
    oldest_us: i64,
}

/// A group is under way until this is dropped.
pub(super) struct Ticket {
    under_way: Arc<UnderWay>,
    number: u64,
}

impl UnderWay {
    pub(super) fn begin(self: &Arc<Self>, records: usize, oldest_us: i64) -> Ticket {
        let mut groups = self.groups();
        let number = groups.last_key_value().map_or(0, |(last, _)| last + 1);
        groups.insert(number, Group { records, oldest_us });
        Ticket { under_way: Arc::clone(self), number }
    }

    pub(super) fn records(&self) -> usize {
        self.groups().values().map(|group| group.records).sum()
    }

    /// Microseconds since 1970; `None` where nothing is being written.
    pub(super) fn oldest_us(&self) -> Option<i64> {
        self.groups().values().map(|group| group.oldest_us).min()
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<u64, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.under_way.groups().remove(&self.number);
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
