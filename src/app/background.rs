//! Who refreshes what nobody asks for? A task that sweeps every few seconds, until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::keeper::{SecretsKeeper, Sweep};

const PAUSE: Duration = Duration::from_secs(5);

/// Runs until it is stopped.
pub(super) struct Background {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Background {
    pub(super) fn start(keeper: Arc<SecretsKeeper>) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            tokio::select! {
                _ = stopped => {}
                () = sweep(keeper) => {}
            }
        });
        Self { stop, task }
    }

    /// Begins nothing more. What is under way is the keeper's, and is waited for when that drains.
    pub(super) async fn stop(self) {
        // Where nobody listens any more, the task has ended.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            warn!(%error, "the background refresh had failed");
        }
    }
}

/// Told once when it cannot be done, and once when it can be again.
async fn sweep(keeper: Arc<SecretsKeeper>) {
    let mut sweep = Sweep::new(keeper);
    let mut fails = false;
    loop {
        tokio::time::sleep(PAUSE).await;
        match sweep.round().await {
            Ok(begun) => {
                if std::mem::take(&mut fails) {
                    info!("what is due is refreshed again");
                }
                if begun > 0 {
                    debug!(begun, "refreshed what was due");
                }
            }
            Err(error) if !fails => {
                fails = true;
                warn!(%error, "what is due cannot be refreshed now; tried again every few seconds");
            }
            Err(_) => {}
        }
    }
}
