//! How is a secret kept in a file of this account?
//!
//! Mode 0600 in folders of mode 0700, and sealed: AES-256-GCM under a key of this installation that lies apart from the
//! folder (`JETON_SECRETS_KEY_FILE`, else beside it), with the secret's name as associated data. So a file that is
//! copied away, or a backup of the folder, is worth nothing without the key, and a file under another name does not
//! open. Against whoever is this account, or root, it protects nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::error::{StoreError, StoreFault};
use super::reference::Reference;
use super::variables::Variables;
use super::wire::plain;
use super::{Expected, SecretStore, Stored, Version};
use crate::login::LoginLock;
use crate::private_file::{self, Fault};
use crate::secret::Secret;

/// The first line of each file.
const HEAD: &str = "jeton-sealed-1\n";
/// More than any credential takes.
const MOST: u64 = 256 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Store {
    reference: Reference,
    name: String,
    folder: PathBuf,
    key: PathBuf,
}

impl Store {
    pub(super) fn new(reference: &Reference, name: &str, variables: &Variables) -> Result<Self, StoreFault> {
        let nowhere =
            || StoreFault::Unfit("there is no folder for secrets: set JETON_SECRETS_DIR".to_owned());
        let folder = variables.find("JETON_SECRETS_DIR").map(PathBuf::from);
        let folder =
            folder.or_else(|| Some(variables.state_folder()?.join("secrets"))).ok_or_else(nowhere)?;
        let beside = || {
            let mut path = folder.clone().into_os_string();
            path.push(".key");
            PathBuf::from(path)
        };
        let key = variables.find("JETON_SECRETS_KEY_FILE").map_or_else(beside, PathBuf::from);
        Ok(Self { reference: reference.clone(), name: name.to_owned(), folder, key })
    }

    /// With a suffix, so that a folder of this name may stand beside it and no name is another's lock.
    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.sealed", self.name))
    }

    fn load(&self) -> Result<Option<Stored>, StoreFault> {
        let path = self.path();
        let Some(bytes) = private_file::read(&path, MOST).map_err(|fault| unfit(&path, fault))? else {
            return Ok(None);
        };
        let key = self.existing_key()?.ok_or_else(|| missing(&self.key))?;
        let (version, value) = open(&key, &self.name, &bytes).ok_or_else(|| unopened(&path))?;
        Ok(Some(Stored { value, version }))
    }

    /// Runs under the lock of this secret.
    fn write(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreFault> {
        let path = self.path();
        self.prepare()?;
        let _lock = self.lock()?;
        match (expected, self.load()?) {
            (Expected::Absent, None) => {}
            (Expected::Absent, Some(_)) => return Err(StoreFault::Exists),
            (Expected::Version(seen), Some(stored)) if *seen == stored.version => {}
            (Expected::Version(_), _) => return Err(StoreFault::Changed),
        }
        let (version, bytes) = seal(&self.own_key()?, &self.name, value).ok_or(StoreFault::Garbled)?;
        private_file::replace(&path, &bytes).map_err(|error| unfit(&path, error.into()))?;
        Ok(version)
    }

    /// The folder, and those of the segments of the name.
    fn prepare(&self) -> Result<(), StoreFault> {
        let mut folder = self.folder.clone();
        private_file::folder(&folder).map_err(|fault| unfit(&folder, fault))?;
        for segment in Path::new(&self.name).parent().into_iter().flat_map(Path::components) {
            folder.push(segment);
            private_file::folder(&folder).map_err(|fault| unfit(&folder, fault))?;
        }
        Ok(())
    }

    fn lock(&self) -> Result<LoginLock, StoreFault> {
        let path = self.path().with_extension("lock");
        LoginLock::take(&path).map_err(|error| StoreFault::Unfit(error.to_string()))
    }

    fn existing_key(&self) -> Result<Option<RandomizedNonceKey>, StoreFault> {
        let bytes = private_file::read(&self.key, MOST).map_err(|fault| unfit(&self.key, fault))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let damaged =
            || StoreFault::Unfit(format!("{} holds no key: 32 bytes in base64", self.key.display()));
        let key = BASE64.decode(bytes.trim_ascii()).map_err(|_| damaged())?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map(Some).map_err(|_| damaged())
    }

    /// The key, which is made where none is. The file is linked into place whole, so of two who make one, one wins.
    fn own_key(&self) -> Result<RandomizedNonceKey, StoreFault> {
        if let Some(key) = self.existing_key()? {
            return Ok(key);
        }
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StoreFault::Garbled)?;
        let failed = |error: std::io::Error| unfit(&self.key, error.into());
        let folder =
            self.key.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let fresh = tempfile_in(folder).map_err(failed)?;
        private_file::replace(&fresh, BASE64.encode(bytes).as_bytes()).map_err(failed)?;
        let linked = std::fs::hard_link(&fresh, &self.key);
        private_file::remove(&fresh).map_err(failed)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        self.existing_key()?.ok_or_else(|| missing(&self.key))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&own)).await;
        done.unwrap_or_else(|_| Err(StoreFault::Unfit("the program is ending".to_owned())))
            .map_err(|fault| fault.at(&self.reference))
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn get(&self) -> Result<Option<Stored>, StoreError> {
        self.blocking(Self::load).await
    }

    async fn put(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreError> {
        let (value, expected) = (value.clone(), expected.clone());
        self.blocking(move |own| own.write(&value, &expected)).await
    }

    async fn read_back(&self, version: &Version) -> Result<Option<Secret>, StoreError> {
        Ok(self.get().await?.filter(|stored| stored.version == *version).map(|stored| stored.value))
    }

    async fn activate(&self, _version: &Version, _expected: &Expected) -> Result<(), StoreError> {
        Ok(())
    }

    async fn delete(&self) -> Result<(), StoreError> {
        let delete = |own: &Self| {
            own.prepare()?;
            let _lock = own.lock()?;
            private_file::remove(&own.path()).map_err(|error| unfit(&own.path(), error.into()))
        };
        self.blocking(delete).await
    }

    fn reference(&self) -> &Reference {
        &self.reference
    }

    fn absent(&self) -> StoreError {
        StoreFault::NotIn(self.folder.clone()).at(&self.reference)
    }
}

fn unfit(path: &Path, fault: Fault) -> StoreFault {
    let path = path.display();
    StoreFault::Unfit(match fault {
        Fault::Exposed => format!("{path} is open to other people of this machine: run `chmod go= {path}`"),
        Fault::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            format!(
                "{path}: {error}: run this as the user whose file it is; sealed files are for one user alone"
            )
        }
        Fault::Io(error) => format!("{path}: {error}"),
    })
}

/// It is not written over: it may be somebody else's, whose key is elsewhere.
fn unopened(path: &Path) -> StoreFault {
    StoreFault::Unfit(format!(
        "{} does not open with this installation's key under this name (it is damaged, was moved, or was sealed with \
         another key): move it away, then store the secret again",
        path.display()
    ))
}

fn missing(key: &Path) -> StoreFault {
    StoreFault::Unfit(format!("the key {} is missing: put it back, or store the secret again", key.display()))
}

/// A name in this folder that nobody else has.
fn tempfile_in(folder: &Path) -> std::io::Result<PathBuf> {
    let mut chance = [0; 8];
    aws_lc_rs::rand::fill(&mut chance).map_err(|_| std::io::Error::other("no random numbers"))?;
    let path = folder.join(format!(".key-{:016x}", u64::from_ne_bytes(chance)));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok(path)
}

fn place(name: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("jeton secret file {name}").into_bytes())
}

fn seal(key: &RandomizedNonceKey, name: &str, value: &Secret) -> Option<(Version, Vec<u8>)> {
    let mut sealed = plain(value).as_bytes().to_vec();
    let nonce = key.seal_in_place_append_tag(place(name), &mut sealed).ok()?;
    let mut all = nonce.as_ref().to_vec();
    let version = Version(BASE64.encode(&all));
    all.append(&mut sealed);
    Some((version, format!("{HEAD}{}\n", BASE64.encode(all)).into_bytes()))
}

fn open(key: &RandomizedNonceKey, name: &str, bytes: &[u8]) -> Option<(Version, Secret)> {
    let text = std::str::from_utf8(bytes).ok()?.strip_prefix(HEAD)?;
    let all = BASE64.decode(text.trim_end()).ok()?;
    let (nonce, sealed) = all.split_at_checked(NONCE_LEN)?;
    let version = Version(BASE64.encode(nonce));
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut sealed = sealed.to_vec();
    let value = key.open_in_place(nonce, place(name), &mut sealed).ok()?;
    Some((version, Secret::new(String::from_utf8(value.to_vec()).ok()?)))
}
