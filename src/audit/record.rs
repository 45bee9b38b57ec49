//! Group commit: whatever waits when the writer is free goes into one transaction.

use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::store::audit::Record;
use crate::store::{Error, Store};

/// Records that may wait; beyond, callers are told at once.
pub(super) const QUEUE: usize = 20_000;
/// Rows of one statement: 14 columns each, under SQLite's 32,766 parameters.
const GROUP: usize = 1_000;

pub(super) async fn write_groups(store: Store, mut waiting: mpsc::Receiver<(Record, oneshot::Sender<bool>)>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let (records, callers): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let written = write(&store, &records).await;
        if let Err(error) = &written {
            error!(records = records.len(), %error, "audit records were not written; their callers get an error");
        }
        for caller in callers {
            // A caller that hung up has its record all the same.
            let _ = caller.send(written.is_ok());
        }
    }
}

async fn write(store: &Store, records: &[Record]) -> Result<(), Error> {
    let tx = store.begin().await?;
    tx.conn().insert_audit(records).await?;
    tx.commit().await
}
