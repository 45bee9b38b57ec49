//! Can this process do its work? The database answers, there is a key to sign with, and the spool can be written.

use std::sync::Arc;

use crate::spool::{self, Spool};
use crate::store::Store;
use crate::store::signing_keys::SigningKeyState;
use crate::vault::{Place, Vault};

/// Why the process is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
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

/// Tells whether the process is ready.
pub struct Readiness {
    store: Store,
    vault: Arc<Vault>,
    spool: Arc<Spool>,
}

impl Readiness {
    /// Over the parts it looks at.
    pub fn new(store: Store, vault: Arc<Vault>, spool: Arc<Spool>) -> Self {
        Self { store, vault, spool }
    }

    /// Asks the database, opens the signing key, writes to the spool. A database that only reads is enough: live tokens are served.
    pub async fn check(&self) -> Result<(), NotReady> {
        let keys = self.store.conn().list_signing_keys().await?;
        let active = keys.iter().find(|key| key.state == SigningKeyState::Active).ok_or(NotReady::Keys)?;
        let place = Place::of("signing_key", "sealed_private", active.kid);
        let opened = self.vault.open(self.vault.instance_key(), &place, &active.sealed_private);
        opened.map_err(|_| NotReady::Keys)?;
        Ok(self.spool.work(Spool::check).await?)
    }
}
