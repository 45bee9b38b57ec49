//! Sealing and opening: AES-256-GCM with the place of a ciphertext as associated data.
//!
//! A data key per app and one for the instance, wrapped by the keyring's key, arrive with the rows; the vault
//! unwraps and caches them. It promises that a ciphertext opens only in the table, row, column, app, connector
//! and token set it was sealed for, that a stored hash is worth nothing in another row, and that a row which says
//! where secrets go is known for this instance's own.

pub mod envelope;
mod frame;
pub mod keyring;

use std::sync::Arc;

use moka::sync::Cache;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::model::app::AppId;
use crate::model::connector::ConnectorId;
use crate::model::entropy::Entropy;
use crate::model::own::{Notary, Own, Unchecked};
use crate::model::secret::{KeyedHash, Sealed, Secret, WrappedKey};
use crate::model::token_set::TokenSetId;

use self::keyring::KeySource;

/// Where a ciphertext stands; every part is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table.
    pub table: &'static str,
    /// Column.
    pub column: &'static str,
    /// The row's id.
    pub row: Uuid,
    /// Tenant, where the row has one.
    pub app: Option<&'a AppId>,
    /// Connector, where the row has one.
    pub connector: Option<&'a ConnectorId>,
    /// Token set, where the ciphertext belongs to one.
    pub token_set: Option<TokenSetId>,
    /// The token endpoint's origin, for what may only ever be sent there.
    pub origin: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// A column of a row; add what else binds it by struct update.
    pub fn of(table: &'static str, column: &'static str, row: Uuid) -> Self {
        Self { table, column, row, app: None, connector: None, token_set: None, origin: None }
    }

    /// The same, in a tenant's row.
    pub fn in_app(self, app: &'a AppId, connector: &'a ConnectorId) -> Self {
        Self { app: Some(app), connector: Some(connector), ..self }
    }
}

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ciphertext was not made for this place with this key, or was changed.
    #[error("a ciphertext of {table}.{column} does not open in its place")]
    DoesNotOpen {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
    },
    /// The data key does not unwrap, or the keyring lacks the key that wraps it.
    #[error("data key {0} does not unwrap with this keyring")]
    DataKey(Uuid),
    /// What opened is no text.
    #[error("what opened is no text")]
    NotText,
    /// The keyed hash beside what stands in a row does not fit.
    #[error("a row of {table} was not written by this instance, or was changed behind its back")]
    NotOurs {
        /// Table.
        table: &'static str,
    },
    /// The keyring cannot be read.
    #[error(transparent)]
    Keyring(#[from] keyring::Error),
}

/// What the `instance` row keeps for the vault.
#[derive(Clone, Debug)]
pub struct InstanceKeys {
    /// The instance's own data key.
    pub data_key: WrappedKey,
    /// The key of all keyed hashes, sealed with it.
    pub sealed_hash_key: Sealed,
}

/// Seals, opens and hashes.
pub struct Vault {
    keys: Arc<dyn KeySource>,
    entropy: Arc<dyn Entropy>,
    instance: WrappedKey,
    hash_key: aws_lc_rs::hmac::Key,
    unwrapped: Cache<Uuid, Arc<Unwrapped>>,
}

struct Unwrapped {
    wrapped: WrappedKey,
    key: envelope::DataKey,
}

const HASH_KEY: Place<'static> = Place {
    table: "instance",
    column: "sealed_hash_key",
    row: Uuid::nil(),
    app: None,
    connector: None,
    token_set: None,
    origin: None,
};

impl Vault {
    /// Opens the instance's keys; reads only.
    ///
    /// # Errors
    /// [`Error::DataKey`] where the keyring is not the one the instance was made with.
    pub fn unlock(
        keys: Arc<dyn KeySource>,
        entropy: Arc<dyn Entropy>,
        instance: &InstanceKeys,
    ) -> Result<Self, Error> {
        let key = unwrap(&*keys, &instance.data_key)?;
        let hash_key = envelope::open(&key, &HASH_KEY, &instance.sealed_hash_key)?;
        Ok(Self::assemble(keys, entropy, instance.data_key.clone(), key, &hash_key))
    }

    /// Makes the keys of a new instance; the caller stores what is returned.
    pub fn create(
        keys: Arc<dyn KeySource>,
        entropy: Arc<dyn Entropy>,
        data_key_id: Uuid,
    ) -> Result<(Self, InstanceKeys), Error> {
        let (wrapped, key) = new_key(&*keys, &*entropy, data_key_id)?;
        let mut hash_key = Zeroizing::new([0_u8; 32]);
        entropy.fill(&mut *hash_key);
        let sealed_hash_key = envelope::seal(&key, &HASH_KEY, wrapped.id, &hash_key[..], &*entropy);
        let instance = InstanceKeys { data_key: wrapped.clone(), sealed_hash_key };
        Ok((Self::assemble(keys, entropy, wrapped, key, &hash_key[..]), instance))
    }

    fn assemble(
        keys: Arc<dyn KeySource>,
        entropy: Arc<dyn Entropy>,
        instance: WrappedKey,
        key: envelope::DataKey,
        hash_key: &[u8],
    ) -> Self {
        let unwrapped = Cache::new(10_000);
        unwrapped.insert(instance.id, Arc::new(Unwrapped { wrapped: instance.clone(), key }));
        let hash_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, hash_key);
        Self { keys, entropy, instance, hash_key, unwrapped }
    }

    /// The instance's own data key, for what belongs to no app.
    pub fn instance_key(&self) -> &WrappedKey {
        &self.instance
    }

    /// A new data key for an app; `id` stands beside each ciphertext it will make.
    pub fn new_data_key(&self, id: Uuid) -> Result<WrappedKey, Error> {
        Ok(new_key(&*self.keys, &*self.entropy, id)?.0)
    }

    /// Seals `plaintext` for its place.
    #[expect(clippy::disallowed_methods, reason = "door: plaintext goes into the cipher")]
    pub fn seal(&self, key: &WrappedKey, place: &Place<'_>, plaintext: &Secret) -> Result<Sealed, Error> {
        let unwrapped = self.data_key(key)?;
        let bytes = plaintext.expose_secret().as_bytes();
        Ok(envelope::seal(&unwrapped.key, place, key.id, bytes, &*self.entropy))
    }

    /// Opens what was sealed for this very place.
    ///
    /// # Errors
    /// [`Error::DoesNotOpen`] for anything moved, swapped or changed; the caller audits it.
    pub fn open(&self, key: &WrappedKey, place: &Place<'_>, sealed: &Sealed) -> Result<Secret, Error> {
        if sealed.key_id != key.id {
            return Err(Error::DoesNotOpen { table: place.table, column: place.column });
        }
        let bytes = envelope::open(&self.data_key(key)?.key, place, sealed)?;
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| Error::NotText)
    }

    /// What names a row together with whom it belongs to: in another's hands its hashes are worth nothing. No two
    /// lists of parts read alike.
    pub fn row(parts: &[&[u8]]) -> Vec<u8> {
        let mut row = envelope::Parts::default();
        for part in parts {
            row.push(part);
        }
        row.as_ref().to_vec()
    }

    /// A keyed hash of `value` for a column of one row; in another row the same value hashes differently.
    pub fn hash(&self, table: &'static str, column: &'static str, row: &[u8], value: &[u8]) -> KeyedHash {
        hash(&self.hash_key, (table, column), row, value)
    }

    /// The keyed hash of a secret for a column of one row; compare with [`Vault::hash_matches`].
    #[expect(clippy::disallowed_methods, reason = "door: plaintext goes into the keyed hash")]
    pub fn hash_secret(
        &self,
        table: &'static str,
        column: &'static str,
        row: &[u8],
        secret: &Secret,
    ) -> KeyedHash {
        self.hash(table, column, row, secret.expose_secret().as_bytes())
    }

    /// Whether a stored hash is the hash of `secret` in this row; in constant time.
    pub fn hash_matches(
        &self,
        table: &'static str,
        column: &'static str,
        row: &[u8],
        secret: &Secret,
        stored: &[u8],
    ) -> bool {
        self.hash_secret(table, column, row, secret).is(stored)
    }

    /// The keyed hash that makes what stands in a row ours: `row` is all that it covers, whose it is among it.
    pub fn hash_row(&self, table: &'static str, row: &[u8]) -> KeyedHash {
        self.hash(table, "own_mac", row, b"")
    }

    /// Whether this instance wrote what stands in a row; in constant time.
    ///
    /// # Errors
    /// [`Error::NotOurs`] where it did not.
    pub fn check_row(&self, table: &'static str, row: &[u8], stored: &[u8]) -> Result<(), Error> {
        if self.hash_row(table, row).is(stored) { Ok(()) } else { Err(Error::NotOurs { table }) }
    }

    /// The keyed hash that makes a row ours.
    pub fn sign<T: Own>(&self, row: &T) -> KeyedHash {
        self.hash_row(T::TABLE, &covered(row))
    }

    /// The row, where this instance wrote it.
    ///
    /// # Errors
    /// [`Error::NotOurs`] where it did not.
    pub fn check<T: Own>(&self, unchecked: Unchecked<T>) -> Result<T, Error> {
        let (row, own_mac) = unchecked.into_parts();
        self.check_row(T::TABLE, &covered(&row), &own_mac)?;
        Ok(row)
    }

    /// What the store signs and checks rows with itself.
    pub fn notary(&self) -> Notary {
        let key = self.hash_key.clone();
        Notary::new(move |table, parts| hash(&key, (table, "own_mac"), &joined(parts), b""))
    }

    /// The keyed hash that makes the public members of a signing key ours.
    pub fn hash_public_key(&self, kid: Uuid, jwk: &str) -> KeyedHash {
        self.hash("signing_key", "public_mac", kid.as_bytes(), jwk.as_bytes())
    }

    /// Whether this process's instance made these public members of a signing key; in constant time.
    pub fn is_own_public_key(&self, kid: Uuid, jwk: &str, stored: &[u8]) -> bool {
        self.hash_public_key(kid, jwk).is(stored)
    }

    fn data_key(&self, wrapped: &WrappedKey) -> Result<Arc<Unwrapped>, Error> {
        if let Some(hit) = self.unwrapped.get(&wrapped.id)
            && hit.wrapped == *wrapped
        {
            return Ok(hit);
        }
        let key = unwrap(&*self.keys, wrapped)?;
        let unwrapped = Arc::new(Unwrapped { wrapped: wrapped.clone(), key });
        self.unwrapped.insert(wrapped.id, Arc::clone(&unwrapped));
        Ok(unwrapped)
    }
}

fn covered<T: Own>(row: &T) -> Vec<u8> {
    joined(&row.covered())
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    Vault::row(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn hash(
    key: &aws_lc_rs::hmac::Key,
    (table, column): (&'static str, &'static str),
    row: &[u8],
    value: &[u8],
) -> KeyedHash {
    let mut message = envelope::Parts::default();
    message.push(b"hash").push(table.as_bytes()).push(column.as_bytes()).push(row).push(value);
    let tag = aws_lc_rs::hmac::sign(key, message.as_ref());
    let mut hash = [0_u8; 32];
    hash.copy_from_slice(tag.as_ref());
    KeyedHash(hash)
}

fn new_key(
    keys: &dyn KeySource,
    entropy: &dyn Entropy,
    id: Uuid,
) -> Result<(WrappedKey, envelope::DataKey), Error> {
    let mut plain = Zeroizing::new([0_u8; 32]);
    entropy.fill(&mut *plain);
    let (kek_id, bytes) = keys.wrap(id, &plain, entropy)?;
    Ok((WrappedKey { id, kek_id, bytes }, envelope::DataKey::new(&plain)))
}

fn unwrap(keys: &dyn KeySource, wrapped: &WrappedKey) -> Result<envelope::DataKey, Error> {
    let plain = keys.unwrap(wrapped).map_err(|_| Error::DataKey(wrapped.id))?;
    Ok(envelope::DataKey::new(&plain))
}

#[cfg(test)]
mod tests;
