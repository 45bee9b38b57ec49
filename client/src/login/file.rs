//! How is a sign-in kept in a file that only its person can read?

use url::Url;

use super::Login;
use super::place::{LoginPlace, Note, StoreKind};
use super::store::{LoginError, LoginLock, LoginStore};

/// Tokens in the file itself, mode 0600, replaced as a whole.
#[derive(Debug)]
pub struct FileStore {
    place: LoginPlace,
    url: Url,
}

impl FileStore {
    /// The sign-in at `url`, kept in `place`.
    pub fn new(place: LoginPlace, url: Url) -> Self {
        Self { place, url }
    }
}

impl LoginStore for FileStore {
    fn lock(&self) -> Result<LoginLock, LoginError> {
        self.place.lock(&self.url)
    }

    fn load(&self) -> Result<Option<Login>, LoginError> {
        let Some(note) = self.place.read(&self.url)? else { return Ok(None) };
        let record = note.login.ok_or_else(|| LoginError::Damaged(self.place.file(&self.url)))?;
        Ok(Some(record.login(note.url, note.client_id)))
    }

    fn save(&self, login: &Login) -> Result<(), LoginError> {
        let (url, client_id) = (self.url.clone(), login.client_id.clone());
        self.place.write(&Note::new(url, client_id, StoreKind::File, Some(login.record())))
    }

    fn delete(&self) -> Result<(), LoginError> {
        self.place.remove(&self.url)
    }

    fn place(&self) -> String {
        self.place.file(&self.url).display().to_string()
    }
}
