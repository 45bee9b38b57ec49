//! Where key-encryption keys come from: a keyring file of mode 0600.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::model::entropy::Entropy;
use crate::model::secret::{Secret, WrappedKey};

use super::envelope::{self, DataKey, Parts};

/// Wraps and unwraps data keys.
pub trait KeySource: Send + Sync {
    /// Wraps a data key with the current key: the wrapping key's id, and nonce, ciphertext, tag.
    fn wrap(&self, id: Uuid, plain: &[u8; 32], entropy: &dyn Entropy) -> Result<(String, Vec<u8>), Error>;

    /// Unwraps a data key.
    fn unwrap(&self, wrapped: &WrappedKey) -> Result<Zeroizing<[u8; 32]>, Error>;
}

/// Why a keyring gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("cannot use keyring {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("keyring {} may be read by others; run: chmod 600 {}", .0.display(), .0.display())]
    Mode(PathBuf),
    /// The text is no keyring.
    #[error("the keyring is malformed: {0}")]
    Malformed(&'static str),
    /// No key of that id, or it does not unwrap.
    #[error("the keyring has no key that unwraps {0}")]
    NoKey(Uuid),
}

/// Keys of a keyring file; the current one wraps, all unwrap.
pub struct Keyring {
    current: String,
    keys: BTreeMap<String, DataKey>,
    text: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    current: String,
    keys: BTreeMap<String, Secret>,
}

impl Keyring {
    /// A keyring with one new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut plain = Zeroizing::new([0_u8; 32]);
        entropy.fill(&mut *plain);
        let id = format!("k-{}", crate::model::entropy::token::<6>(entropy));
        let key = STANDARD.encode(&plain[..]);
        let text = Secret::new(format!("current = \"{id}\"\n\n[keys]\n\"{id}\" = \"{key}\"\n"));
        Self { current: id.clone(), keys: BTreeMap::from([(id, DataKey::new(&plain))]), text }
    }

    /// Reads the text of a keyring file.
    #[expect(clippy::disallowed_methods, reason = "door: the keyring's own text is parsed")]
    pub fn parse(text: Secret) -> Result<Self, Error> {
        let file: File = toml::from_str(text.expose_secret())
            .map_err(|_| Error::Malformed("expected `current` and `[keys]`"))?;
        let mut keys = BTreeMap::new();
        for (id, encoded) in file.keys {
            let bytes = Zeroizing::new(
                STANDARD
                    .decode(encoded.expose_secret())
                    .map_err(|_| Error::Malformed("a key is not base64"))?,
            );
            let plain: &[u8; 32] =
                bytes.as_slice().try_into().map_err(|_| Error::Malformed("a key has not 32 bytes"))?;
            keys.insert(id, DataKey::new(plain));
        }
        if !keys.contains_key(&file.current) {
            return Err(Error::Malformed("`current` names no key"));
        }
        Ok(Self { current: file.current, keys, text })
    }

    /// Reads a keyring file that nobody else may read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = |source| Error::File { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(file)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Mode(path.to_owned()));
        }
        Self::parse(Secret::new(std::fs::read_to_string(path).map_err(file)?))
    }

    /// Writes a new keyring file of mode 0600, fsynced; an existing file is never touched.
    #[expect(clippy::disallowed_methods, reason = "door: the keyring's own text is written")]
    pub fn write_new(&self, path: &Path) -> Result<(), Error> {
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(self.text.expose_secret().as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| Error::File { path: path.to_owned(), source })
    }
}

fn associated_data(id: Uuid, kek_id: &str) -> Parts {
    let mut parts = Parts::default();
    parts.push(b"jeton/data-key/1").push(id.as_bytes()).push(kek_id.as_bytes());
    parts
}

impl KeySource for Keyring {
    fn wrap(&self, id: Uuid, plain: &[u8; 32], entropy: &dyn Entropy) -> Result<(String, Vec<u8>), Error> {
        let key = self.keys.get(&self.current).ok_or(Error::Malformed("`current` names no key"))?;
        let aad = associated_data(id, &self.current);
        Ok((self.current.clone(), envelope::encrypt(key, aad.as_ref(), plain, entropy)))
    }

    fn unwrap(&self, wrapped: &WrappedKey) -> Result<Zeroizing<[u8; 32]>, Error> {
        let no_key = || Error::NoKey(wrapped.id);
        let key = self.keys.get(&wrapped.kek_id).ok_or_else(no_key)?;
        let aad = associated_data(wrapped.id, &wrapped.kek_id);
        let plain = envelope::decrypt(key, aad.as_ref(), &wrapped.bytes).ok_or_else(no_key)?;
        plain.as_slice().try_into().map(Zeroizing::new).map_err(|_| no_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entropy::SystemEntropy;

    #[test]
    fn a_written_keyring_reads_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyring.toml");
        let made = Keyring::generate(&SystemEntropy);
        made.write_new(&path).unwrap();
        let (kek_id, bytes) = made.wrap(Uuid::from_u128(9), &[7; 32], &SystemEntropy).unwrap();
        let read = Keyring::read(&path).unwrap();
        let wrapped = WrappedKey { id: Uuid::from_u128(9), kek_id, bytes };
        assert_eq!(*read.unwrap(&wrapped).unwrap(), [7; 32]);
        assert!(made.write_new(&path).is_err(), "an existing keyring is never overwritten");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Keyring::read(&path), Err(Error::Mode(_))));
    }

    #[test]
    fn a_malformed_keyring_says_what_is_wrong() {
        for text in ["", "current = \"a\"\n[keys]\n", "current = \"a\"\n[keys]\na = \"AAAA\"\n", "x = 1"] {
            assert!(matches!(Keyring::parse(Secret::new(text)), Err(Error::Malformed(_))), "{text}");
        }
    }
}
