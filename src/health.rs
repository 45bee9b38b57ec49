//! Can this process do its work? The database answers, there is a key to sign with, the spool can be written, and
//! nobody has told it to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::spool::{self, Spool};
use crate::store::Store;
use crate::vault::{Place, Vault};

/// Why the process is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It was told to end.
    #[error("the process ends")]
    Ending,
    /// The database does not answer.
    #[error("the database does not answer")]
    Store(#[from] crate::store::Error),
    /// No signing key, or one that does not open with our keyring.
    #[error("there is no signing key that can be used")]
    Keys,
    /// What the database could not take would be lost.
    #[error("the spool cannot be written")]
    Spool(#[from] spool::Error),
}

/// What may go wrong later, though all works now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Servers follow the database, and a commit waits for none of them.
    AsynchronousStandby,
}

/// Tells whether the process is ready.
pub struct Readiness {
    parts: Arc<Parts>,
    ending: AtomicBool,
    /// Anybody may ask, as often as they like: who asks while a look is under way gets what it finds.
    under_way: Mutex<Option<WeakShared<Look>>>,
}

struct Parts {
    store: Store,
    vault: Arc<Vault>,
    spool: Arc<Spool>,
}

type Look = BoxFuture<'static, Result<Vec<Warning>, Arc<NotReady>>>;

impl Readiness {
    /// Over the parts it looks at.
    pub fn new(store: Store, vault: Arc<Vault>, spool: Arc<Spool>) -> Self {
        let parts = Arc::new(Parts { store, vault, spool });
        Self { parts, ending: AtomicBool::new(false), under_way: Mutex::default() }
    }

    /// From now on it is not ready, so that whoever shares out requests sends them elsewhere while it drains.
    pub fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Asks the database, opens the signing key, writes to the spool. A database that only reads is enough: live tokens
    /// are served.
    pub async fn check(&self) -> Result<Vec<Warning>, Arc<NotReady>> {
        if self.ending.load(Ordering::SeqCst) {
            return Err(Arc::new(NotReady::Ending));
        }
        self.look().await
    }

    fn look(&self) -> Shared<Look> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let running = under_way.as_ref().and_then(WeakShared::upgrade);
        if let Some(look) = running.filter(|look| look.peek().is_none()) {
            return look;
        }
        let parts = Arc::clone(&self.parts);
        let look = async move { parts.look().await.map_err(Arc::new) }.boxed().shared();
        *under_way = look.downgrade();
        look
    }
}

impl Parts {
    async fn look(&self) -> Result<Vec<Warning>, NotReady> {
        let keys = async { self.store.conn().list_signing_keys().await };
        let keys = self.store.bounded(keys).await?;
        let active = keys.iter().find(|key| key.is_active()).ok_or(NotReady::Keys)?;
        let place = Place::of("signing_key", "sealed_private", active.kid);
        let opened = self.vault.open(self.vault.instance_key(), &place, &active.sealed_private);
        opened.map_err(|_| NotReady::Keys)?;
        self.spool.work(Spool::check).await?;
        Ok(self.warnings().await)
    }

    /// A database that does not tell of its standbys does its work all the same.
    async fn warnings(&self) -> Vec<Warning> {
        match self.store.conn().ask_server().await {
            Ok(Some(server)) if server.may_forget() => vec![Warning::AsynchronousStandby],
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::debug!(%error, "the database does not tell whether its standbys are synchronous");
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::databases;

    #[tokio::test]
    async fn who_asks_during_a_look_gets_what_it_finds_and_the_next_one_looks_again() {
        for db in databases().await {
            let readiness = Readiness::new(db.store(), db.vault(), db.spool());
            let (one, other) = (readiness.look(), readiness.look());
            assert!(one.ptr_eq(&other), "{}", db.name);
            let (found, same) = tokio::join!(one.clone(), other);
            assert!(matches!(found.as_ref().unwrap_err().as_ref(), NotReady::Keys), "{found:?}");
            assert!(Arc::ptr_eq(&found.unwrap_err(), &same.unwrap_err()));
            assert!(!readiness.look().ptr_eq(&one), "{}", db.name);
        }
    }
}
