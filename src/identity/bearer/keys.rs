//! Our own public keys, as the database has them.

use std::sync::Arc;

use jeton_guard::{Claims, GivenKeys, Guard, KeySet};
use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;
use tracing::{error, warn};

use crate::model::time::Every;
use crate::store::{Error, Store};
use crate::vault::Vault;

use super::Bearers;

/// How old they may get before they are read again.
const MAX_AGE: Duration = Duration::seconds(5);
/// Between two readings for the sake of keys that are not known: anybody may name some.
const MIN_AGE: Duration = Duration::seconds(1);

pub(super) struct PublicKeys {
    given: GivenKeys,
    reading: Every,
    reading_for_unknown: Every,
    /// One looks for an unknown key, the others wait for what it finds.
    turn: Semaphore,
}

impl Bearers {
    /// Reads the public keys again, now: they were changed in this process.
    pub async fn reread_keys(&self) {
        self.keys.reread(&self.store, &self.vault).await;
    }
}

impl PublicKeys {
    pub(super) async fn read(store: &Store, vault: &Vault, now: OffsetDateTime) -> Result<Self, Error> {
        let given = GivenKeys::new(key_set(store, vault).await?);
        Ok(Self {
            given,
            reading: Every::new(MAX_AGE, now),
            reading_for_unknown: Every::new(MIN_AGE, now - MIN_AGE),
            turn: Semaphore::new(1),
        })
    }

    pub(super) fn given(&self) -> &GivenKeys {
        &self.given
    }

    /// What a token says that one of them bears out. Another replica may sign with a key that came a moment ago.
    pub(super) async fn verify(
        &self,
        guard: &Guard,
        store: &Store,
        vault: &Vault,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Arc<Claims>, jeton_guard::Error> {
        // One caller reads them again where they are old; the others go on with what there is.
        if let Some(begun) = self.reading.begin(now) {
            self.reread(store, vault).await;
            begun.done();
        }
        let verified = guard.verify(token, now).await;
        if !matches!(verified, Err(jeton_guard::Error::UnknownKey)) {
            return verified;
        }
        self.look_for_unknown(store, vault, now).await;
        guard.verify(token, now).await
    }

    async fn look_for_unknown(&self, store: &Store, vault: &Vault, now: OffsetDateTime) {
        let Ok(_turn) = self.turn.try_acquire() else {
            // It is never closed.
            drop(self.turn.acquire().await);
            return;
        };
        if let Some(begun) = self.reading_for_unknown.begin(now) {
            self.reread(store, vault).await;
            begun.done();
        }
    }

    /// A database that cannot be read leaves them as they are.
    async fn reread(&self, store: &Store, vault: &Vault) {
        match store.bounded(key_set(store, vault)).await {
            Ok(keys) => self.given.replace(keys),
            Err(error) => {
                warn!(%error, "the public keys could not be read again; the ones known stay in use")
            }
        }
    }
}

async fn key_set(store: &Store, vault: &Vault) -> Result<KeySet, Error> {
    let mut keys = Vec::new();
    for key in store.conn().list_signing_keys().await? {
        if vault.is_own_public_key(key.kid, &key.public_jwk, &key.public_mac) {
            keys.extend(serde_json::from_str::<serde_json::Value>(&key.public_jwk));
        } else {
            error!(kid = %key.kid, "the public part of a signing key is not ours; nothing it signed is believed");
        }
    }
    let document = serde_json::json!({ "keys": keys }).to_string();
    KeySet::from_jwks(document.as_bytes())
        .map_err(|_| Error::Corrupt { table: "signing_key", column: "public_jwk" })
}
