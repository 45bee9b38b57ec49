//! Which keys sign our tokens, and which are published?
//!
//! All keys of the table are published, the active one signs. They are read again every 5 s at most, so that replicas
//! see each other's; who changes them in this process has them read again at once.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tracing::{error, warn};
use uuid::Uuid;

use crate::model::entropy::{Entropy, uuid};
use crate::model::time::{Clock, Every};
use crate::store::signing_keys::{NewSigningKey, SigningKey};
use crate::store::{Conn, Store};
use crate::vault::{Place, Vault};

use super::Issuer;
use super::signer::{Algorithm, Signer};

/// How old they may get before they are read again.
const MAX_AGE: Duration = Duration::seconds(5);

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the table's keys signs: the instance was not initialised.
    #[error("there is no active signing key")]
    NoActiveKey,
    /// A row holds no key of its algorithm.
    #[error("signing key {0} is no key of its algorithm")]
    Malformed(Uuid),
    /// The public part of a row is none that this instance made.
    #[error("the public part of signing key {0} is not ours")]
    NotOurs(Uuid),
    /// The database gave nothing.
    #[error("the signing keys could not be read")]
    Store(#[from] crate::store::Error),
    /// It does not open in its place.
    #[error("a signing key does not open")]
    Vault(#[from] crate::vault::Error),
    /// The cryptographic library refused.
    #[error("the key could not be made or used")]
    Crypto,
}

/// Makes the instance's first signing key, inside the transaction of `init`.
pub async fn create_first(
    conn: Conn<'_>,
    vault: &Vault,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    algorithm: Algorithm,
) -> Result<(), Error> {
    let key = make(vault, uuid(clock, entropy), algorithm).await?;
    Ok(conn.insert_active_signing_key(&key).await?)
}

/// Makes a signing key to be stored. An RSA key takes the processor for a while: it is made beside the runtime.
pub async fn make(vault: &Vault, kid: Uuid, algorithm: Algorithm) -> Result<NewSigningKey, Error> {
    let made = tokio::task::spawn_blocking(move || Signer::generate(kid, algorithm)).await;
    let (private, public_jwk) = made.map_err(|_| Error::Crypto)?.map_err(|_| Error::Crypto)?;
    let public_jwk = public_jwk.to_string();
    Ok(NewSigningKey {
        kid,
        algorithm: algorithm.as_str().to_owned(),
        sealed_private: vault.seal(vault.instance_key(), &place(kid), &private)?,
        public_mac: vault.hash_public_key(kid, &public_jwk).to_vec(),
        public_jwk,
    })
}

/// Whether a stored key could sign, and what it signs would be believed.
///
/// # Errors
/// What stands in the way.
pub fn check(key: &SigningKey, vault: &Vault) -> Result<(), Error> {
    open_one(key, vault)?;
    let own = vault.is_own_public_key(key.kid, &key.public_jwk, &key.public_mac);
    if own { Ok(()) } else { Err(Error::NotOurs(key.kid)) }
}

impl Issuer {
    /// Reads the signing keys again, now: they were changed in this process.
    pub async fn reread_keys(&self) {
        self.keys.reread().await;
    }
}

/// The keys as read last.
pub(super) struct Keys {
    store: Store,
    vault: Arc<Vault>,
    current: RwLock<Arc<Loaded>>,
    reading: Every,
}

/// The keys of one reading.
pub(super) struct Loaded {
    pub(super) signer: Arc<Signer>,
    /// The document of RFC 7517 §5.
    pub(super) jwks: String,
    /// How what is signed may be signed: as now, then as by other keys that can sign.
    pub(super) algorithms: Vec<&'static str>,
}

impl Keys {
    pub(super) async fn load(store: Store, vault: Arc<Vault>, now: OffsetDateTime) -> Result<Self, Error> {
        let rows = store.conn().list_signing_keys().await?;
        let loaded = open(&rows, &vault, None)?;
        Ok(Self { store, vault, current: RwLock::new(Arc::new(loaded)), reading: Every::new(MAX_AGE, now) })
    }

    /// The keys, at most 5 s old; older where the database cannot be read.
    pub(super) async fn current(&self, now: OffsetDateTime) -> Arc<Loaded> {
        if let Some(begun) = self.reading.begin(now) {
            self.reread().await;
            begun.done();
        }
        self.known()
    }

    async fn reread(&self) {
        if let Err(error) = self.store.bounded(self.reload()).await {
            warn!(%error, "the signing keys could not be read again; the ones known stay in use");
        }
    }

    fn known(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn reload(&self) -> Result<(), Error> {
        let rows = self.store.conn().list_signing_keys().await?;
        let loaded = open(&rows, &self.vault, Some(&self.known().signer))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        Ok(())
    }
}

/// Opens the active key, unless it is the one `known` already.
fn open(rows: &[SigningKey], vault: &Vault, known: Option<&Arc<Signer>>) -> Result<Loaded, Error> {
    let active = rows.iter().find(|row| row.is_active()).ok_or(Error::NoActiveKey)?;
    let signer = match known.filter(|signer| signer.kid() == active.kid) {
        Some(signer) => Arc::clone(signer),
        None => Arc::new(open_one(active, vault)?),
    };
    let jwks = json!({ "keys": public(rows, vault) }).to_string();
    Ok(Loaded { algorithms: algorithms(signer.algorithm(), rows, vault), signer, jwks })
}

/// Of keys whose private part exists: one that waits may sign before whoever reads this asks again, and another replica
/// may sign on for a moment by one that was retired just now.
fn algorithms(now: Algorithm, rows: &[SigningKey], vault: &Vault) -> Vec<&'static str> {
    let signs = |row: &&SigningKey| {
        !row.sealed_private.bytes.is_empty()
            && vault.is_own_public_key(row.kid, &row.public_jwk, &row.public_mac)
    };
    let others = rows.iter().filter(signs).filter_map(|row| Algorithm::parse(&row.algorithm));
    let mut told = vec![now.as_str()];
    for other in others.map(Algorithm::as_str) {
        if !told.contains(&other) {
            told.push(other);
        }
    }
    told
}

/// What is published: keys whose public members this instance made.
fn public(rows: &[SigningKey], vault: &Vault) -> Vec<Value> {
    let own = |row: &&SigningKey| {
        let own = vault.is_own_public_key(row.kid, &row.public_jwk, &row.public_mac);
        if !own {
            error!(kid = %row.kid, "the public part of a signing key is not ours; it is not published");
        }
        own
    };
    rows.iter().filter(own).filter_map(|row| serde_json::from_str(&row.public_jwk).ok()).collect()
}

fn open_one(row: &SigningKey, vault: &Vault) -> Result<Signer, Error> {
    let private = vault.open(vault.instance_key(), &place(row.kid), &row.sealed_private)?;
    let algorithm = Algorithm::parse(&row.algorithm).ok_or(Error::Malformed(row.kid))?;
    Signer::open(row.kid, algorithm, &private).ok_or(Error::Malformed(row.kid))
}

fn place(kid: Uuid) -> Place<'static> {
    Place::of("signing_key", "sealed_private", kid)
}
