//! Group commit: whatever waits when the writer is free goes into the database by one statement, or into the spool.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::store::audit::Row;
use crate::store::{self, Store};

use super::Settings;
use super::spooled::Shelf;
use super::under_way::{Ticket, UnderWay};

/// Records of one group, at most.
const GROUP: usize = 1_000;
/// Longest wait for those who read when a group begins.
const READERS_PASS: Duration = Duration::from_millis(10);
/// Groups under way at once where the database takes several: one is prepared while another becomes durable.
const LANES: usize = 2;
/// The first wait before the database is tried again.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// A record, and who waits for it.
type Told = (Row, oneshot::Sender<bool>);
type Waiting = mpsc::Receiver<Told>;
type Committed = (Group, Result<(), NotWritten>);

pub(super) struct Writer {
    store: Store,
    shelf: Shelf,
    settings: Settings,
    /// Whether the database takes records, as far as we know.
    takes: bool,
    /// When the spool is looked at; `None`: nothing of ours is in it.
    look: Option<Look>,
}

struct Look {
    at: Instant,
    /// Before the next one, where this one is in vain.
    pause: Duration,
}

impl Look {
    fn after(pause: Duration) -> Self {
        Self { at: Instant::now() + pause, pause }
    }
}

/// Why the database has not taken a group.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the database took too long")]
    TooLong,
}

/// Records, with those who wait for them.
struct Group {
    rows: Vec<Row>,
    callers: Vec<oneshot::Sender<bool>>,
    under_way: Ticket,
}

impl Group {
    /// A caller that hung up has its record all the same.
    fn tell(self, written: bool) {
        drop(self.under_way);
        for caller in self.callers {
            let _ = caller.send(written);
        }
    }
}

impl Writer {
    /// What an earlier process left is tried at once.
    pub(super) fn new(store: Store, shelf: Shelf, settings: Settings) -> Self {
        let look = shelf.has_left_overs().then(|| Look { at: Instant::now(), pause: FIRST_RETRY });
        Self { store, shelf, settings, takes: true, look }
    }

    pub(super) async fn run(mut self, mut waiting: Waiting, under_way: Arc<UnderWay>) {
        let mut counting = std::pin::pin!(self.shelf.count_left_overs());
        let mut counted = false;
        let lanes = if self.store.has_one_writer() { 1 } else { LANES };
        let mut commits = FuturesUnordered::new();
        let mut taken = Vec::with_capacity(GROUP);
        loop {
            let look = self.look.as_ref().map(|look| look.at);
            tokio::select! {
                biased;
                result = &mut counting, if !counted => {
                    counted = true;
                    if let Err(error) = result {
                        error!(%error, "the spool cannot be read");
                    }
                }
                () = at(look), if counted => self.look().await,
                Some((group, committed)) = commits.next() => self.conclude(group, committed).await,
                records = waiting.recv_many(&mut taken, GROUP), if commits.len() < lanes => {
                    if records == 0 {
                        break;
                    }
                    self.gather(&mut waiting, &mut taken, &mut commits).await;
                    let (rows, callers): (Vec<Row>, Vec<_>) = taken.drain(..).unzip();
                    let under_way = under_way.begin(rows.len(), rows.first().map_or(0, |row| row.at));
                    let group = Group { rows, callers, under_way };
                    if self.takes {
                        commits.push(commit_group(self.store.clone(), self.settings.patience, group));
                    } else {
                        self.put_aside(group).await;
                    }
                }
            }
        }
        while let Some((group, committed)) = commits.next().await {
            self.conclude(group, committed).await;
        }
    }

    /// Whoever waits to read has a record to write next: where many wait, fewer and larger commits leave more of the
    /// processors to them, and a record that comes alone waits for nobody.
    async fn gather(
        &mut self,
        waiting: &mut Waiting,
        taken: &mut Vec<Told>,
        commits: &mut FuturesUnordered<impl Future<Output = Committed>>,
    ) {
        let store = self.store.clone();
        let mut passed = std::pin::pin!(tokio::time::timeout(READERS_PASS, store.let_readers_pass()));
        loop {
            tokio::select! {
                Some((group, committed)) = commits.next() => self.conclude(group, committed).await,
                _ = &mut passed => break,
            }
        }
        let room = GROUP.saturating_sub(taken.len());
        // What has come meanwhile is there already.
        let _ = waiting.recv_many(taken, room).now_or_never();
    }

    /// What the database did not take goes to the spool.
    async fn conclude(&mut self, group: Group, committed: Result<(), NotWritten>) {
        let Err(cause) = committed else { return group.tell(true) };
        let records = group.rows.len();
        warn!(records, %cause, "the database takes no audit records; they go to the spool");
        self.takes = false;
        self.look.get_or_insert_with(|| Look::after(FIRST_RETRY));
        self.put_aside(group).await;
    }

    async fn put_aside(&mut self, mut group: Group) {
        let rows = std::mem::take(&mut group.rows);
        let records = rows.len();
        let written = self.shelf.put(rows).await;
        if let Err(error) = &written {
            error!(records, %error, "audit records were not written; their callers get an error");
        }
        group.tell(written.is_ok());
    }

    /// Brings the oldest file of the spool into the database. As soon as one is there new records go to the database
    /// directly, beside those that still wait.
    async fn look(&mut self) {
        let rows = match self.shelf.oldest().await {
            Ok(Some(rows)) => rows,
            Ok(None) => {
                self.takes = true;
                self.look = None;
                return;
            }
            Err(error) => {
                error!(%error, "the spool cannot be read; tried again later");
                // The next group finds out whether the database takes records.
                self.takes = true;
                return self.look_later();
            }
        };
        for group in rows.chunks(GROUP) {
            if let Err(cause) = commit(&self.store, self.settings.patience, group).await {
                info!(%cause, waiting = self.shelf.count_now(), "the database still takes no audit records");
                self.takes = false;
                return self.look_later();
            }
        }
        self.takes = true;
        match self.shelf.forget_oldest().await {
            Ok(()) => {
                info!(records = rows.len(), "audit records came from the spool into the database");
                self.look = Some(Look { at: Instant::now(), pause: FIRST_RETRY });
            }
            Err(error) => {
                error!(%error, "a file of the spool could not be removed; its records are in the database");
                self.look_later();
            }
        }
    }

    fn look_later(&mut self) {
        let pause = self.look.as_ref().map_or(FIRST_RETRY, |look| look.pause);
        self.look = Some(Look::after((pause * 2).min(self.settings.retry)));
    }
}

async fn commit_group(store: Store, patience: Duration, group: Group) -> Committed {
    let committed = commit(&store, patience, &group.rows).await;
    (group, committed)
}

async fn commit(store: &Store, patience: Duration, rows: &[Row]) -> Result<(), NotWritten> {
    // What was given up may still land: records are known by their ids.
    let written = tokio::time::timeout(patience, store.append_audit(rows)).await;
    Ok(written.map_err(|_| NotWritten::TooLong)??)
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
