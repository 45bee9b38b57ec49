//! What is tidied up without anybody asking? Consents that nobody finished, and tokens a deletion left alive.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::keeper::SecretsKeeper;
use crate::signup::Signup;

const PAUSE: Duration = Duration::from_secs(60);

/// Runs until it is stopped.
pub(super) struct Upkeep {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Upkeep {
    pub(super) fn start(signup: Arc<Signup>, keeper: Arc<SecretsKeeper>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(run(signup, keeper, stopped)) }
    }

    /// Waits for the round under way.
    pub(super) async fn stop(self) {
        // Where nobody listens any more, the task has ended.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            warn!(%error, "the upkeep had failed");
        }
    }
}

async fn run(signup: Arc<Signup>, keeper: Arc<SecretsKeeper>, mut stopped: oneshot::Receiver<()>) {
    while tokio::time::timeout(PAUSE, &mut stopped).await.is_err() {
        match signup.expire_abandoned().await {
            Ok(done) if done == Default::default() => {}
            Ok(done) => info!(
                revoked = done.revoked,
                forgotten = done.forgotten,
                deferred = done.deferred,
                "ended consents that nobody finished"
            ),
            Err(error) => {
                warn!(%error, "consents that nobody finished could not be ended; tried again later")
            }
        }
        match keeper.revoke_leftovers().await {
            Ok(0) => {}
            Ok(connections) => info!(connections, "revoked what deletions had left alive at providers"),
            Err(error) => {
                warn!(%error, "tokens of deleted connections could not be revoked; tried again later")
            }
        }
    }
}
