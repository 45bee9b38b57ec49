//! The audit trail: no hand-out without its record, written before the answer leaves.
//!
//! [`Audit::record`] waits for a group commit that many callers share; [`Audit::record_in`] writes inside the
//! caller's own transaction. Where the database takes no records they go to the spool, and from there into the
//! database once it is back. Each process counts its records, so that a lost one is a numbered gap; a transaction that
//! came to nothing leaves one too.

mod spooled;
#[cfg(test)]
mod tests;
mod under_way;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::model::entropy::{Entropy, uuid};
use crate::model::event::Event;
use crate::model::time::{Clock, to_micros};
use crate::spool::Spool;
use crate::store::audit::{Record, Row};
use crate::store::{Conn, Store};
use crate::vault::Vault;

use self::spooled::Shelf;
use self::under_way::UnderWay;
use self::writer::Writer;

/// Why a record was not written; the caller must not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database took it not.
    #[error("the audit record could not be written")]
    Store(#[from] crate::store::Error),
    /// Neither database nor spool took the group, or the process ends.
    #[error("the audit record could not be written")]
    Group,
    /// Too many records wait.
    #[error("too many audit records wait to be written")]
    Full,
}

/// What the audit trail works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Seals what waits in the spool.
    pub vault: Arc<Vault>,
    /// Where records wait that the database does not take.
    pub spool: Arc<Spool>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// How patient the audit trail is.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What the database may take for a group before its records go to the spool.
    pub patience: Duration,
    /// Longest time between two attempts to bring spooled records into the database.
    pub retry: Duration,
    /// Records that may wait; beyond, callers are told at once.
    pub queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { patience: Duration::from_secs(1), retry: Duration::from_secs(5), queue: 20_000 }
    }
}

/// Writes the audit trail.
pub struct Audit {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    boot: Uuid,
    seq: AtomicI64,
    queue: mpsc::Sender<(Row, oneshot::Sender<bool>)>,
    under_way: Arc<UnderWay>,
    spooled: Arc<AtomicUsize>,
}

impl Audit {
    /// Starts the group writer, which first brings what an earlier process left in the spool into the database; it
    /// ends when the last handle is dropped.
    pub fn start(parts: Parts, settings: Settings) -> Self {
        let (queue, waiting) = mpsc::channel(settings.queue);
        let Parts { store, vault, spool, clock, entropy } = parts;
        let shelf = Shelf::new(vault, spool, Arc::clone(&clock), Arc::clone(&entropy));
        let spooled = shelf.count();
        let under_way = Arc::<UnderWay>::default();
        tokio::spawn(Writer::new(store, shelf, settings).run(waiting, Arc::clone(&under_way)));
        let boot = uuid(&*clock, &*entropy);
        Self { clock, entropy, boot, seq: AtomicI64::new(0), queue, under_way, spooled }
    }

    /// Writes a record with others of the moment; returns once it is committed, or safe in the spool.
    pub async fn record(&self, event: Event) -> Result<(), Error> {
        let (written, wait) = oneshot::channel();
        // Numbered only once there is a place for it: what is refused leaves no gap.
        let place = self.queue.try_reserve().map_err(|_| Error::Full)?;
        place.send((self.number(event).row(), written));
        if wait.await.unwrap_or(false) { Ok(()) } else { Err(Error::Group) }
    }

    /// Writes a record inside the caller's transaction.
    pub async fn record_in(&self, conn: Conn<'_>, event: Event) -> Result<(), Error> {
        Ok(conn.insert_audit(&[self.number(event).row()]).await?)
    }

    /// Records that this process has in the spool.
    pub fn spooled(&self) -> usize {
        self.spooled.load(Ordering::Relaxed)
    }

    /// How many wait in [`Audit::record`], and for how long the oldest has.
    pub fn waiting(&self) -> (u32, Duration) {
        let queued = self.queue.max_capacity() - self.queue.capacity();
        let records = u32::try_from(queued + self.under_way.records()).unwrap_or(u32::MAX);
        let lag_us =
            self.under_way.oldest_us().map_or(0, |at| to_micros(self.clock.now()).saturating_sub(at));
        (records, Duration::from_micros(u64::try_from(lag_us).unwrap_or_default()))
    }

    fn number(&self, event: Event) -> Record {
        Record {
            id: uuid(&*self.clock, &*self.entropy),
            at_us: to_micros(self.clock.now()),
            boot: self.boot,
            seq: self.seq.fetch_add(1, Ordering::Relaxed),
            event,
        }
    }
}
