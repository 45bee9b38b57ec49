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
