//! Group commit: whatever waits when the writer is free goes into one transaction, or into the spool.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::store::audit::Row;
use crate::store::{self, Store};

use super::Settings;
use super::spooled::Shelf;
use super::under_way::UnderWay;

/// Rows of one statement: 14 columns each, under SQLite's 32,766 parameters.
const GROUP: usize = 1_000;
/// The first wait before the database is tried again.
const FIRST_RETRY: Duration = Duration::from_millis(100);

type Waiting = mpsc::Receiver<(Row, oneshot::Sender<bool>)>;

pub(super) struct Writer {
    store: Store,
    shelf: Shelf,
    settings: Settings,
    /// When the database is tried again; `None`: it takes records.
    away: Option<Away>,
}

struct Away {
    until: Instant,
    pause: Duration,
}

/// Why the database has not taken a group.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the database took too long")]
    TooLong,
}

impl Writer {
    /// What an earlier process left is tried at once.
    pub(super) fn new(store: Store, shelf: Shelf, settings: Settings) -> Self {
        let away = shelf.has_left_overs().then(|| Away { until: Instant::now(), pause: FIRST_RETRY });
        Self { store, shelf, settings, away }
    }

    pub(super) async fn run(mut self, mut waiting: Waiting, under_way: Arc<UnderWay>) {
        if let Err(error) = self.shelf.count_left_overs().await {
            error!(%error, "the spool cannot be read");
        }
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let retry = self.away.as_ref().map(|away| away.until);
            tokio::select! {
                biased;
                () = at(retry) => self.retry().await,
                taken = waiting.recv_many(&mut group, GROUP) => {
                    if taken == 0 {
                        return;
                    }
                    let (rows, callers): (Vec<Row>, Vec<_>) = group.drain(..).unzip();
                    under_way.begin(rows.len(), rows.first().map_or(0, |row| row.at));
                    let written = self.write(rows).await;
                    under_way.end();
                    for caller in callers {
                        // A caller that hung up has its record all the same.
                        let _ = caller.send(written);
                    }
                }
            }
        }
    }

    /// Into the database, else into the spool; while the database is away into the spool at once.
    async fn write(&mut self, rows: Vec<Row>) -> bool {
        if self.away.is_none() {
            match self.commit(&rows).await {
                Ok(()) => return true,
                Err(cause) => {
                    warn!(records = rows.len(), %cause, "the database takes no audit records; they go to the spool");
                    self.away = Some(Away { until: Instant::now() + FIRST_RETRY, pause: FIRST_RETRY });
                }
            }
        }
        let records = rows.len();
        match self.shelf.put(rows).await {
            Ok(()) => true,
            Err(error) => {
                error!(records, %error, "audit records were not written; their callers get an error");
                false
            }
        }
    }

    async fn commit(&self, rows: &[Row]) -> Result<(), NotWritten> {
        let write = async {
            let tx = self.store.begin().await?;
            tx.conn().insert_audit(rows).await?;
            tx.commit().await
        };
        // What was given up may still land: records are known by their ids.
        let written = tokio::time::timeout(self.settings.patience, write).await;
        Ok(written.map_err(|_| NotWritten::TooLong)??)
    }

    /// Brings the oldest file of the spool into the database; once none is left, records go there directly again.
    async fn retry(&mut self) {
        let rows = match self.shelf.oldest().await {
            Ok(Some(rows)) => rows,
            Ok(None) => {
                self.away = None;
                return;
            }
            Err(error) => {
                error!(%error, "the spool cannot be read; tried again later");
                return self.later();
            }
        };
        for group in rows.chunks(GROUP) {
            if let Err(cause) = self.commit(group).await {
                info!(%cause, waiting = self.shelf.count_now(), "the database still takes no audit records");
                return self.later();
            }
        }
        match self.shelf.forget_oldest().await {
            Ok(()) => {
                info!(records = rows.len(), "audit records came from the spool into the database");
                self.away = Some(Away { until: Instant::now(), pause: FIRST_RETRY });
            }
            Err(error) => {
                error!(%error, "a file of the spool could not be removed; its records are in the database");
                self.later();
            }
        }
    }

    fn later(&mut self) {
        let pause = self.away.as_ref().map_or(FIRST_RETRY, |away| away.pause);
        let pause = (pause * 2).min(self.settings.retry);
        self.away = Some(Away { until: Instant::now() + pause, pause });
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
