//! Can this process do its work? The database answers, there is a key to sign with, the spool can be written, and
//! nobody has told it to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::spool::{self, Spool};
use crate::store::Store;
use crate::store::signing_keys::SigningKeyState;
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
    store: Store,
    vault: Arc<Vault>,
    spool: Arc<Spool>,
    ending: AtomicBool,
}

impl Readiness {
    /// Over the parts it looks at.
    pub fn new(store: Store, vault: Arc<Vault>, spool: Arc<Spool>) -> Self {
        Self { store, vault, spool, ending: AtomicBool::new(false) }
    }

    /// From now on it is not ready, so that whoever shares out requests sends them elsewhere while it drains.
    pub fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Asks the database, opens the signing key, writes to the spool. A database that only reads is enough: live tokens
    /// are served.
    pub async fn check(&self) -> Result<Vec<Warning>, NotReady> {
        if self.ending.load(Ordering::SeqCst) {
            return Err(NotReady::Ending);
        }
        let keys = async { self.store.conn().list_signing_keys().await };
        let keys = self.store.bounded(keys).await?;
        let active = keys.iter().find(|key| key.state == SigningKeyState::Active).ok_or(NotReady::Keys)?;
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
