//! Our own public keys, as the database has them.

use jeton_guard::{GivenKeys, KeySet};
use time::{Duration, OffsetDateTime};
use tracing::warn;

use crate::model::time::Every;
use crate::store::{Error, Store};

/// How old they may get before they are read again.
const MAX_AGE: Duration = Duration::seconds(5);

pub(super) struct PublicKeys {
    given: GivenKeys,
    reading: Every,
}

impl PublicKeys {
    pub(super) async fn read(store: &Store, now: OffsetDateTime) -> Result<Self, Error> {
        let given = GivenKeys::new(key_set(store).await?);
        Ok(Self { given, reading: Every::new(MAX_AGE, now) })
    }

    pub(super) fn given(&self) -> &GivenKeys {
        &self.given
    }

    /// Reads them again where they are old: one caller does, the others go on with what there is. A database that
    /// cannot be read leaves them as they are.
    pub(super) async fn refresh(&self, store: &Store, now: OffsetDateTime) {
        if !self.reading.claim(now) {
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
