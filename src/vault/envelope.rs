//! The ciphertext format: `nonce(12) ‖ ciphertext ‖ tag(16)` under AES-256-GCM with a length-prefixed place.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::model::entropy::Entropy;
use crate::model::secret::Sealed;

use super::{Error, Place};

/// Format version, authenticated: a later format cannot be read as this one.
const VERSION: &[u8] = b"jeton/1";
const NONCE: usize = 12;

/// A data key, ready to use.
pub(super) struct DataKey(Aes256Gcm);

impl DataKey {
    pub(super) fn new(plain: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(*plain)))
    }
}

/// Byte strings joined so that no two lists give the same bytes: each is prefixed with its length.
#[derive(Default)]
pub(super) struct Parts(Vec<u8>);

impl Parts {
    pub(super) fn push(&mut self, part: &[u8]) -> &mut Self {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }
}

impl AsRef<[u8]> for Parts {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn associated_data(place: &Place<'_>, key_id: Uuid) -> Parts {
    let mut parts = Parts::default();
    parts.push(VERSION).push(place.table.as_bytes()).push(place.row.as_bytes());
    parts.push(place.app.map_or("", |app| app.as_str()).as_bytes());
    parts.push(place.connector.map_or("", |connector| connector.as_str()).as_bytes());
    parts.push(place.column.as_bytes());
    parts.push(place.token_set.as_ref().map_or(&[][..], |set| set.0.as_bytes()));
    parts.push(place.origin.unwrap_or_default().as_bytes());
    parts.push(key_id.as_bytes());
    parts
}

pub(super) fn seal(
    key: &DataKey,
    place: &Place<'_>,
    key_id: Uuid,
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Sealed {
    Sealed { key_id, bytes: encrypt(key, associated_data(place, key_id).as_ref(), plain, entropy) }
}

pub(super) fn open(key: &DataKey, place: &Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Error> {
    decrypt(key, associated_data(place, sealed.key_id).as_ref(), &sealed.bytes)
        .ok_or(Error::DoesNotOpen { table: place.table, column: place.column })
}

#[expect(clippy::expect_used, reason = "AES-GCM fails only beyond 64 GiB")]
pub(super) fn encrypt(key: &DataKey, aad: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let mut nonce = [0_u8; NONCE];
    entropy.fill(&mut nonce);
    let ciphertext = key
        .0
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
        .expect("plaintexts are far below 64 GiB");
    [&nonce[..], &ciphertext].concat()
}

pub(super) fn decrypt(key: &DataKey, aad: &[u8], bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE>()?;
    key.0.decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad }).ok().map(Zeroizing::new)
}
