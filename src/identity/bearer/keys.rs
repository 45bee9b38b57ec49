//! Our own public keys, as the database has them.

use jeton_guard::{GivenKeys, KeySet};
use time::{Duration, OffsetDateTime};
use tracing::{error, warn};

use crate::model::time::Every;
use crate::store::{Error, Store};
use crate::vault::Vault;

/// How old they may get before they are read again.
const MAX_AGE: Duration = Duration::seconds(5);

pub(super) struct PublicKeys {
    given: GivenKeys,
    reading: Every,
}

impl PublicKeys {
    pub(super) async fn read(store: &Store, vault: &Vault, now: OffsetDateTime) -> Result<Self, Error> {
        let given = GivenKeys::new(key_set(store, vault).await?);
        Ok(Self { given, reading: Every::new(MAX_AGE, now) })
    }

    pub(super) fn given(&self) -> &GivenKeys {
        &self.given
    }

    /// Reads them again where they are old: one caller does, the others go on with what there is. A database that
    /// cannot be read leaves them as they are.
    pub(super) async fn refresh(&self, store: &Store, vault: &Vault, now: OffsetDateTime) {
        if !self.reading.claim(now) {
            return;
        }
        match key_set(store, vault).await {
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
