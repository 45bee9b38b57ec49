//! Which sign-ins does this person have, and where is each kept?
//!
//! One small file for each broker, in a folder that is the person's alone. It says where the tokens are.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::store::{LoginError, LoginLock, LoginStore, address};
use super::{FileStore, Record};

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
        let fresh = path.with_extension("new");
        let failed = |error: std::io::Error| LoginError::io(&path, &error);
        let text = serde_json::to_vec(note).map_err(|_| LoginError::Damaged(path.clone()))?;
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&fresh).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&fresh, &path).map_err(failed)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Takes the file away, under the lock.
    pub(crate) fn remove(&self, url: &Url) -> Result<(), LoginError> {
        let path = self.file(url);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(LoginError::io(&path, &error)),
            _ => Ok(()),
        }
    }

    /// Makes the folder, or makes sure that nobody else can put files there.
    fn prepare(&self) -> Result<(), LoginError> {
        let failed = |error: std::io::Error| LoginError::io(&self.folder, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let mode = std::fs::metadata(&self.folder).map_err(failed)?.mode();
        if mode & 0o022 == 0 { Ok(()) } else { Err(LoginError::Exposed(self.folder.clone())) }
    }
}

impl Note {
    fn kept(&self) -> Kept {
        Kept { url: self.url.clone(), client_id: self.client_id.clone(), store: self.store }
    }
}

/// The file, if it is there; the mode is that of the very file that is read.
fn read(path: &Path) -> Result<Option<Note>, LoginError> {
    let failed = |error: std::io::Error| LoginError::io(path, &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        return Err(LoginError::Exposed(path.to_owned()));
    }
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).map_err(failed)?;
    // The parser's own words are dropped: they may quote a token.
    let note: Note = serde_json::from_slice(&text).map_err(|_| LoginError::Damaged(path.to_owned()))?;
    if note.version == 1 { Ok(Some(note)) } else { Err(LoginError::Damaged(path.to_owned())) }
}
