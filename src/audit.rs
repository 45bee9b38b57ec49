//! The audit trail: no hand-out without its record, written before the answer leaves.
//!
//! [`Audit::record`] waits for a group commit that many callers share; [`Audit::record_in`] writes inside the
//! caller's own transaction. Each process counts its records, so that a lost one is a numbered gap.

mod record;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::model::entropy::{Entropy, uuid};
use crate::model::event::Event;
use crate::model::time::{Clock, to_micros};
use crate::store::audit::Record;
use crate::store::{Conn, Store};

/// Why a record was not written; the caller must not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database took it not.
    #[error("the audit record could not be written")]
    Store(#[from] crate::store::Error),
    /// The group's commit failed, or the process ends.
    #[error("the audit record could not be written")]
    Group,
    /// Too many records wait.
    #[error("too many audit records wait to be written")]
    Full,
}

/// Writes the audit trail.
pub struct Audit {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    boot: Uuid,
    seq: AtomicI64,
    queue: mpsc::Sender<(Record, oneshot::Sender<bool>)>,
}

impl Audit {
    /// Starts the group writer; it ends when the last handle is dropped.
    pub fn start(store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let (queue, waiting) = mpsc::channel(record::QUEUE);
        tokio::spawn(record::write_groups(store, waiting));
        let boot = uuid(&*clock, &*entropy);
        Self { clock, entropy, boot, seq: AtomicI64::new(0), queue }
    }

    /// Writes a record with others of the moment; returns once it is committed.
    pub async fn record(&self, event: Event) -> Result<(), Error> {
        let (written, wait) = oneshot::channel();
        self.queue.try_send((self.number(event), written)).map_err(|_| Error::Full)?;
        if wait.await.unwrap_or(false) { Ok(()) } else { Err(Error::Group) }
    }

    /// Writes a record inside the caller's transaction.
    pub async fn record_in(&self, conn: Conn<'_>, event: Event) -> Result<(), Error> {
        Ok(conn.insert_audit(&[self.number(event)]).await?)
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
