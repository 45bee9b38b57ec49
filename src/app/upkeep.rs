//! What is done without anybody asking? Consents that nobody finished, tokens a deletion left alive, what was superseded
//! a week ago, answers that wait in the spool, changes that nobody was told of, signing keys whose time has come.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::admin::clients::Clients;
use crate::admin::keys::SigningKeys;
use crate::keeper::SecretsKeeper;
use crate::signup::Signup;

/// Between two rounds of tidying up.
const TIDY: Duration = Duration::from_secs(60);
/// Between two attempts to bring spooled answers into the database, to give back claims, and to tell what has changed.
const REPLAY: Duration = Duration::from_secs(5);

/// Runs until it is stopped.
pub(super) struct Upkeep {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Upkeep {
    /// What a revocation under way may still take when the process ends.
    pub(super) const LONGEST_STOP: Duration = Duration::from_secs(30);

    pub(super) fn start(
        signup: Arc<Signup>,
        keeper: Arc<SecretsKeeper>,
        keys: Arc<SigningKeys>,
        clients: Arc<Clients>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(replay(Arc::clone(&keeper), stopped.clone()));
        tasks.spawn(tell(Arc::clone(&keeper), stopped.clone()));
        tasks.spawn(roll(keys, stopped.clone()));
        tasks.spawn(retire(clients, stopped.clone()));
        tasks.spawn(tidy(signup, keeper, stopped));
        Self { stop, tasks }
    }

    /// Waits for what is under way, at most `limit`. What has not ended then is given up: it is done again by
    /// whichever replica comes to it next.
    pub(super) async fn stop(mut self, limit: Duration) {
        // Where nobody listens any more, the tasks have ended.
        let _ = self.stop.send(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    warn!(%error, "a part of the upkeep had failed");
                }
            }
        };
        if tokio::time::timeout(limit, ended).await.is_err() {
            warn!("a part of the upkeep does not end and is given up; it is done again later");
            self.tasks.shutdown().await;
        }
    }
}

/// Whether the next round is due; else it was stopped.
async fn goes_on(stopped: &mut watch::Receiver<bool>, pause: Duration) -> bool {
    tokio::time::timeout(pause, stopped.wait_for(|stop| *stop)).await.is_err()
}

async fn replay(keeper: Arc<SecretsKeeper>, mut stopped: watch::Receiver<bool>) {
    while goes_on(&mut stopped, REPLAY).await {
        if let Err(error) = keeper.replay_spool().await {
            info!(%error, waiting = keeper.spooled(), "the database still takes no answers from the spool");
        }
        if let Err(error) = keeper.record_refusals().await {
            debug!(%error, waiting = keeper.unrecorded_refusals(), "refusals could not be recorded yet");
        }
        if let Err(error) = keeper.give_claims_back().await {
            debug!(%error, waiting = keeper.unknown_claims(), "claims whose commit is unknown could not be given back yet");
        }
    }
}

/// Apart from the spool: whatever holds one up must not hold up the other.
async fn tell(keeper: Arc<SecretsKeeper>, mut stopped: watch::Receiver<bool>) {
    while goes_on(&mut stopped, REPLAY).await {
        if let Err(error) = keeper.tell_changes().await {
            debug!(%error, "what has changed could not be told yet");
        }
    }
}

/// Apart from what calls providers: a key must not wait for one of them. Begins with a look, since the instance may have
/// been away when a key's time came.
async fn roll(keys: Arc<SigningKeys>, mut stopped: watch::Receiver<bool>) {
    loop {
        match keys.step().await {
            Ok(steps) if steps == Default::default() => {}
            Ok(steps) => info!(
                promoted = steps.promoted,
                made = steps.made,
                destroyed = steps.destroyed,
                removed = steps.removed,
                "signing keys went on in their life"
            ),
            Err(error) => warn!(%error, "signing keys could not be looked after; tried again later"),
        }
        if !goes_on(&mut stopped, TIDY).await {
            return;
        }
    }
}

/// Secrets of clients that were replaced in a secret store. Begins with a look, too.
async fn retire(clients: Arc<Clients>, mut stopped: watch::Receiver<bool>) {
    loop {
        match clients.retire_superseded().await {
            Ok(0) => {}
            Ok(secrets) => info!(secrets, "retired secrets of clients that nobody used any more"),
            Err(error) => {
                warn!(%error, "superseded secrets of clients could not be retired; tried again later")
            }
        }
        if !goes_on(&mut stopped, TIDY).await {
            return;
        }
    }
}

async fn tidy(signup: Arc<Signup>, keeper: Arc<SecretsKeeper>, mut stopped: watch::Receiver<bool>) {
    while goes_on(&mut stopped, TIDY).await {
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
        if *stopped.borrow() {
            return;
        }
        match keeper.revoke_leftovers().await {
            Ok(0) => {}
            Ok(connections) => info!(connections, "revoked what deletions had left alive at providers"),
            Err(error) => {
                warn!(%error, "tokens of deleted connections could not be revoked; tried again later")
            }
        }
        if *stopped.borrow() {
            return;
        }
        match keeper.forget_superseded().await {
            Ok(0) => {}
            Ok(token_sets) => info!(token_sets, "forgot tokens that were superseded a week ago"),
            Err(error) => warn!(%error, "superseded tokens could not be forgotten; tried again later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_end_is_given_up_when_the_process_ends() {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        // A provider that never answers, and a task that listens.
        tasks.spawn(std::future::pending());
        let mut listens = stopped.clone();
        tasks.spawn(async move { while goes_on(&mut listens, TIDY).await {} });
        let upkeep = Upkeep { stop, tasks };
        let stopped_in_time = tokio::time::timeout(TIDY / 2, upkeep.stop(Duration::from_millis(50))).await;
        assert!(stopped_in_time.is_ok());
    }
}
