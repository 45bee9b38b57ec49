//! Secrets as types: what must never be printed, and what may be stored.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A secret in memory: token, code, verifier, client secret or password. Zeroized when dropped; it has no
/// `Display`, no `Serialize`, and its `Debug` says nothing.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the plaintext in.
    pub fn new(plaintext: impl Into<String>) -> Self {
        Self(SecretString::from(plaintext.into()))
    }

    /// The plaintext. Every caller is a door: clippy disallows this method except under an `#[expect]`
    /// with its reason, and ARCHITECTURE.md lists them.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }

    /// Length of the plaintext in bytes.
    pub fn len(&self) -> usize {
        self.0.expose_secret().len()
    }

    /// Whether there is no plaintext at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<String> for Secret {
    fn from(plaintext: String) -> Self {
        Self::new(plaintext)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer).map(Self::new)
    }
}

/// Ciphertext as it is stored: opens only in the place it was sealed for, with the data key `key_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which data key sealed it.
    pub key_id: Uuid,
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
}

/// A data key, wrapped by a key of the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Names the data key; stands beside each ciphertext it made.
    pub id: Uuid,
    /// Names the keyring's key that wraps it.
    pub kek_id: String,
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
}

/// A keyed hash (HMAC-SHA-256) that covers table and row id: worth nothing in another row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyedHash(pub [u8; 32]);

impl KeyedHash {
    /// As stored in a column.
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// Whether it is the one stored; in constant time.
    pub fn is(self, stored: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(stored).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_nothing_of_the_secret() {
        let printed = format!("{:?}", Secret::new("gho_canary"));
        assert_eq!(printed, "[secret]");
    }
}
