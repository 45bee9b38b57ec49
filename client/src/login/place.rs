//! Which sign-ins does this person have, and where is each kept?
//!
//! One small file for each broker, in a folder that is the person's alone. It says where the tokens are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::store::{LoginError, LoginLock, LoginStore, address};
use super::{FileStore, Record};
use crate::private_file::{self, Fault};

/// More than any sign-in takes.
const MOST: u64 = 256 * 1024;

/// Where tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The file itself, mode 0600.
    File,
}

/// A sign-in that is kept, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The broker.
    pub url: Url,
    /// The client that the person let in.
    pub client_id: String,
    /// Where the tokens are.
    pub store: StoreKind,
}

/// The file of one sign-in.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    version: u8,
    pub(crate) url: Url,
    pub(crate) client_id: String,
    pub(crate) store: StoreKind,
    pub(crate) login: Option<Record>,
}

impl Note {
    pub(crate) fn new(url: Url, client_id: String, store: StoreKind, login: Option<Record>) -> Self {
        Self { version: 1, url, client_id, store, login }
    }
}

/// The folder of a person's sign-ins.
#[derive(Clone, Debug)]
pub struct LoginPlace {
    folder: PathBuf,
}

impl LoginPlace {
    /// A folder, which is made when something is kept there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// All sign-ins kept here.
    ///
    /// # Errors
    /// Where one is there and cannot be used.
    pub fn all(&self) -> Result<Vec<Kept>, LoginError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(LoginError::io(&self.folder, &error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| LoginError::io(&self.folder, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                all.extend(read(&path)?.map(|note| note.kept()));
            }
        }
        all.sort_by(|one, other| one.url.cmp(&other.url));
        Ok(all)
    }

    /// The sign-in at `url`, or the only one.
    ///
    /// # Errors
    /// Where there is none, or several and none was named.
    pub fn find(&self, url: Option<&Url>) -> Result<Kept, LoginError> {
        let Some(url) = url else {
            let mut all = self.all()?;
            return match (all.pop(), all.is_empty()) {
                (Some(kept), true) => Ok(kept),
                (Some(kept), false) => {
                    let urls = all.iter().chain([&kept]).map(|kept| address(&kept.url));
                    Err(LoginError::Several(urls.collect()))
                }
                (None, _) => Err(LoginError::Absent("any broker".to_owned())),
            };
        };
        let note = read(&self.file(url))?.ok_or_else(|| LoginError::absent(url))?;
        Ok(note.kept())
    }

    /// The store of one that is kept.
    pub fn store(&self, kept: &Kept) -> Arc<dyn LoginStore> {
        match kept.store {
            StoreKind::File => Arc::new(FileStore::new(self.clone(), kept.url.clone())),
        }
    }

    pub(crate) fn file(&self, url: &Url) -> PathBuf {
        let name: String = byte_serialize(address(url).as_bytes()).collect();
        self.folder.join(format!("{name}.json"))
    }

    pub(crate) fn lock(&self, url: &Url) -> Result<LoginLock, LoginError> {
        self.prepare()?;
        LoginLock::take(&self.file(url).with_extension("lock"))
    }

    pub(crate) fn read(&self, url: &Url) -> Result<Option<Note>, LoginError> {
        let path = self.file(url);
        let note = read(&path)?;
        // The name is made of the address, so another one inside was put there by somebody.
        match note {
            Some(note) if address(&note.url) != address(url) => Err(LoginError::Damaged(path)),
            note => Ok(note),
        }
    }

    /// Puts the file in place as a whole, under the lock.
    pub(crate) fn write(&self, note: &Note) -> Result<(), LoginError> {
        self.prepare()?;
        let path = self.file(&note.url);
        let text = serde_json::to_vec(note).map_err(|_| LoginError::Damaged(path.clone()))?;
        private_file::replace(&path, &text).map_err(|error| LoginError::io(&path, &error))
    }

    /// Takes the file away, under the lock.
    pub(crate) fn remove(&self, url: &Url) -> Result<(), LoginError> {
        let path = self.file(url);
        private_file::remove(&path).map_err(|error| LoginError::io(&path, &error))
    }

    /// Makes the folder, or makes sure that nobody else can put files there.
    fn prepare(&self) -> Result<(), LoginError> {
        private_file::folder(&self.folder).map_err(|fault| login_error(&self.folder, fault))
    }
}

fn login_error(path: &Path, fault: Fault) -> LoginError {
    match fault {
        Fault::Exposed => LoginError::Exposed(path.to_owned()),
        Fault::Io(error) => LoginError::io(path, &error),
    }
}

impl Note {
    fn kept(&self) -> Kept {
        Kept { url: self.url.clone(), client_id: self.client_id.clone(), store: self.store }
    }
}

/// What the file says, if it is there.
fn read(path: &Path) -> Result<Option<Note>, LoginError> {
    let read = private_file::read(path, MOST).map_err(|fault| login_error(path, fault))?;
    let Some(text) = read else { return Ok(None) };
    // The parser's own words are dropped: they may quote a token.
    let note: Note = serde_json::from_slice(&text).map_err(|_| LoginError::Damaged(path.to_owned()))?;
    if note.version == 1 { Ok(Some(note)) } else { Err(LoginError::Damaged(path.to_owned())) }
}
