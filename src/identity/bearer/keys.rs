//! Our own public keys, as the database has them.

use std::sync::atomic::{AtomicI64, Ordering};

use jeton_guard::{GivenKeys, KeySet};
use time::OffsetDateTime;
use tracing::warn;

use crate::model::time::to_micros;
use crate::store::{Error, Store};

/// How old they may get before they are read again.
const MAX_AGE_US: i64 = 5_000_000;

pub(super) struct PublicKeys {
    given: GivenKeys,
    read_at_us: AtomicI64,
}

impl PublicKeys {
    pub(super) async fn read(store: &Store, now: OffsetDateTime) -> Result<Self, Error> {
        let given = GivenKeys::new(key_set(store).await?);
        Ok(Self { given, read_at_us: AtomicI64::new(to_micros(now)) })
    }

    pub(super) fn given(&self) -> &GivenKeys {
        &self.given
    }

    /// Reads them again where they are old: one caller does, the others go on with what there is. A database that
    /// cannot be read leaves them as they are.
    pub(super) async fn refresh(&self, store: &Store, now: OffsetDateTime) {
        let (now, seen) = (to_micros(now), self.read_at_us.load(Ordering::Relaxed));
        let due = now.saturating_sub(seen).saturating_abs() >= MAX_AGE_US;
        let claimed =
            due && self.read_at_us.compare_exchange(seen, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !claimed {
            return;
        }
        match key_set(store).await {
            Ok(keys) => self.given.replace(keys),
            Err(error) => {
                warn!(%error, "the public keys could not be read again; the ones known stay in use")
            }
        }
    }
}

async fn key_set(store: &Store) -> Result<KeySet, Error> {
    let keys: Vec<_> =
        store.conn().list_signing_keys().await?.into_iter().map(|key| key.public_jwk).collect();
    let document = serde_json::json!({ "keys": keys }).to_string();
    KeySet::from_jwks(document.as_bytes())
        .map_err(|_| Error::Corrupt { table: "signing_key", column: "public_jwk" })
}
