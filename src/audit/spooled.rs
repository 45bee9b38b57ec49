//! Audit records in the spool: sealed frames, one per group, in a file that this process adds to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::error;

use crate::model::entropy::{Entropy, uuid};
use crate::model::secret::Secret;
use crate::model::time::Clock;
use crate::spool::{self, Content, Entry, Kind, Segment, Spool};
use crate::store::audit::Row;
use crate::vault::{self, Vault};

/// A file is closed when it has grown to this.
const SEGMENT: u64 = 4 << 20;
const AUDIT: &str = "audit";

/// Why records could not be put aside.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Spool(#[from] spool::Error),
    #[error(transparent)]
    Vault(#[from] vault::Error),
    #[error("records do not read as JSON")]
    Json(#[from] serde_json::Error),
}

pub(super) struct Shelf {
    vault: Arc<Vault>,
    spool: Arc<Spool>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// What is added to.
    open: Option<Segment>,
    /// The file that was read last.
    reading: Option<Reading>,
    count: Arc<AtomicUsize>,
}

struct Reading {
    entry: Entry,
    records: usize,
    unreadable: usize,
}

struct Readable {
    rows: Vec<Row>,
    /// Frames that do not open, are not whole, or hold no records.
    unreadable: usize,
}

impl Shelf {
    pub(super) fn new(
        vault: Arc<Vault>,
        spool: Arc<Spool>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { vault, spool, clock, entropy, open: None, reading: None, count: Arc::default() }
    }

    /// Records that this process has put here, as a number others may watch.
    pub(super) fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    pub(super) fn count_now(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether an earlier process left something; a spool that cannot be read is looked at again.
    pub(super) fn has_left_overs(&self) -> bool {
        self.spool.entries(Kind::Audit).map_or(true, |entries| !entries.is_empty())
    }

    /// Makes records safe: sealed, and on the disk when this returns.
    pub(super) async fn put(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        let open = self.open.take().filter(|segment| segment.length() < SEGMENT);
        let entry = open.as_ref().map_or_else(|| self.next(), Segment::entry);
        let frame = self.vault.seal_frame(AUDIT, entry.id, &Secret::new(serde_json::to_string(&rows)?))?;
        let written = self.spool.work(move |spool| {
            let Some(mut segment) = open else { return spool.begin(entry, &frame) };
            spool.append(&mut segment, &frame)?;
            Ok(segment)
        });
        self.open = Some(written.await?);
        self.count.fetch_add(rows.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Counts what an earlier process left, beside whatever else is done here but reading.
    pub(super) fn count_left_overs(&self) -> impl Future<Output = Result<(), Error>> + use<> {
        let (spool, vault, count) = (Arc::clone(&self.spool), Arc::clone(&self.vault), self.count());
        async move {
            let counted = spool.work(move |spool| {
                for entry in spool.entries(Kind::Audit)? {
                    // One that cannot be read is told when its turn comes.
                    if let Ok(Some(content)) = spool.read(entry) {
                        count.fetch_add(read(&vault, entry, &content).rows.len(), Ordering::Relaxed);
                    }
                }
                Ok(())
            });
            Ok(counted.await?)
        }
    }

    /// The records of the oldest file that nobody else writes; `None`: there is none. A file that cannot be read stops
    /// no other one, and is an error where nothing else is left.
    pub(super) async fn oldest(&mut self) -> Result<Option<Vec<Row>>, Error> {
        // Ours is closed first, so that it can be read.
        self.open = None;
        let vault = Arc::clone(&self.vault);
        let found = self.spool.work(move |spool| {
            let mut failed = None;
            for entry in spool.entries(Kind::Audit)? {
                match spool.read(entry) {
                    Ok(Some(content)) => return Ok(Some((entry, read(&vault, entry, &content)))),
                    Ok(None) => {}
                    Err(error) => failed = Some(error),
                }
            }
            failed.map_or(Ok(None), Err)
        });
        let Some((entry, Readable { rows, unreadable })) = found.await? else { return Ok(None) };
        self.reading = Some(Reading { entry, records: rows.len(), unreadable });
        Ok(Some(rows))
    }

    /// Removes the file that was read last: its records are in the database. A damaged one is set aside.
    pub(super) async fn forget_oldest(&mut self) -> Result<(), Error> {
        let Some(Reading { entry, records, unreadable }) = self.reading.take() else { return Ok(()) };
        if unreadable > 0 {
            let aside = self.spool.work(move |spool| spool.set_aside(entry)).await?;
            error!(file = %aside.display(), unreadable, readable = records,
                "a file of audit records in the spool is damaged; what could be read was kept, the file was set aside");
        } else {
            self.spool.work(move |spool| spool.remove(entry)).await?;
        }
        let less = |count: usize| Some(count.saturating_sub(records));
        // Always `Some`.
        let _ = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Ok(())
    }

    fn next(&self) -> Entry {
        Entry { kind: Kind::Audit, id: uuid(&*self.clock, &*self.entropy) }
    }
}

fn read(vault: &Vault, entry: Entry, content: &Content) -> Readable {
    let mut readable = Readable { rows: Vec::new(), unreadable: usize::from(content.torn) };
    for frame in &content.frames {
        match open_frame(vault, entry, frame) {
            Ok(rows) => readable.rows.extend(rows),
            Err(_) => readable.unreadable += 1,
        }
    }
    readable
}

#[expect(clippy::disallowed_methods, reason = "door: spooled records are parsed")]
fn open_frame(vault: &Vault, entry: Entry, frame: &[u8]) -> Result<Vec<Row>, Error> {
    let text = vault.open_frame(AUDIT, entry.id, frame)?;
    Ok(serde_json::from_str(text.expose_secret())?)
}
