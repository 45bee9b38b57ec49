//! What happened in a run? Written down while it runs, judged afterwards.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jeton::model::time::{Clock, SystemClock};
use jeton::sandbox::Ledger;
use time::OffsetDateTime;

use super::plan::Fault;

/// A token that a caller received.
#[derive(Clone, Debug)]
pub(super) struct HandOut {
    /// Whose it was asked for: the connection's number.
    pub(super) connection: usize,
    /// Whose it is, as the provider knows it; none: the provider never issued it.
    pub(super) holder: Option<String>,
    /// When the provider lets it die.
    pub(super) dies_at: Option<OffsetDateTime>,
    /// When the answer was there.
    pub(super) received_at: OffsetDateTime,
}

/// The end of a replica that nothing announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Killed {
    /// It surely lived until then,
    pub(super) from: OffsetDateTime,
    /// and surely not any more then.
    pub(super) to: OffsetDateTime,
}

/// How long a replica needed after a fault had ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    pub(super) fault: Fault,
    pub(super) replica: usize,
    /// None: it did not within the patience of the harness.
    pub(super) took: Option<Duration>,
}

/// What became of a connection.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// The provider's name of its account.
    pub(super) user: String,
    /// In the broker's row.
    pub(super) state: String,
    /// In the broker's row.
    pub(super) reason: Option<String>,
    /// Hand-outs in the audit trail.
    pub(super) audited: usize,
    /// What a last call was answered: `ok`, or the code of the problem.
    pub(super) last_answer: String,
    /// When it was answered.
    pub(super) asked_at: OffsetDateTime,
}

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// The provider's book.
    pub(super) ledger: Ledger,
    /// By the connection's number.
    pub(super) ended: Vec<Ended>,
    pub(super) hand_outs: Vec<HandOut>,
    pub(super) killed: Vec<Killed>,
    pub(super) recoveries: Vec<Recovery>,
    /// Of the broker's calls to the provider.
    pub(super) provider_timeout: Duration,
    /// Until when hold-offs were the product's own.
    pub(super) hold_offs_until: Option<OffsetDateTime>,
    /// What must never be answered or seen, in words.
    pub(super) oddities: Vec<String>,
}

/// What is written down while a run goes on.
#[derive(Default)]
pub(super) struct Record(Mutex<Notes>);

/// The record's pages.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) hand_outs: Vec<HandOut>,
    pub(super) killed: Vec<Killed>,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) oddities: Vec<String>,
    /// Answers without a token, by code.
    pub(super) refusals: BTreeMap<String, usize>,
    /// Hand-outs of each replica: how many, and when the last one came.
    pub(super) served: BTreeMap<usize, (usize, OffsetDateTime)>,
    /// Faults made, by kind.
    pub(super) faults: BTreeMap<&'static str, usize>,
    /// When each fault began and ended.
    pub(super) timeline: Vec<String>,
    /// Faults that cannot be made here, and why.
    pub(super) skipped: BTreeMap<&'static str, String>,
}

impl Record {
    pub(super) fn write<T>(&self, how: impl FnOnce(&mut Notes) -> T) -> T {
        how(&mut self.0.lock().unwrap())
    }

    pub(super) fn odd(&self, what: String) {
        self.write(|notes| notes.oddities.push(what));
    }

    pub(super) fn into_notes(self) -> Notes {
        self.0.into_inner().unwrap()
    }
}

/// The machine's time.
pub(super) fn now() -> OffsetDateTime {
    SystemClock.now()
}
