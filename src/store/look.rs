//! What does a database hold? Asked without leaving a trace, so that a wrong keyring changes nothing.
//!
//! A SQLite file is read as if it could not change: no lock file, no journal, no shared memory comes to be beside
//! it. Where a crash left a journal, which that reading would miss, a private copy is read instead.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sea_orm::{ConnectOptions, Database};

use super::instance::Instance;
use super::{ANSWERS_WITHIN, Error, Settings, Store};
use crate::model::time::Clock;

impl Store {
    /// The instance row, or `None` where there is no database yet or nothing in it.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process has the SQLite file.
    pub async fn look(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Option<Instance>, Error> {
        let Some(path) = settings.url.strip_prefix("sqlite:").map(PathBuf::from) else {
            return Self::connect(settings, clock).await?.conn().find_instance().await;
        };
        if length(&path) == 0 {
            return Ok(None);
        }
        let _held = shared_lock(&path)?;
        let journal = with_suffix(&path, "-wal");
        if length(&journal) == 0 {
            return read(&path, How::AsItLies, clock).await;
        }
        let (_copy, copied) = copied(&path)?;
        read(&copied, How::Copy, clock).await
    }
}

/// A database that is only read, beside whoever works with it.
pub struct Glance {
    /// The database.
    pub store: Store,
    /// Whether a process works with the SQLite file.
    pub served: bool,
    held: Option<std::fs::File>,
    copy: Option<tempfile::TempDir>,
}

impl Glance {
    /// Opens the database to read it; `None` where there is none yet.
    pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Option<Self>, Error> {
        let Some(path) = settings.url.strip_prefix("sqlite:").map(PathBuf::from) else {
            let store = Store::connect(settings, clock).await?;
            return Ok(Some(Self { store, served: false, held: None, copy: None }));
        };
        if length(&path) == 0 {
            return Ok(None);
        }
        let held = match shared_lock(&path) {
            Ok(held) => held,
            Err(Error::Locked(_)) => {
                // Its journal and shared memory are there: a reader beside it leaves nothing behind.
                let store = open(&path, How::Beside, clock).await?;
                return Ok(Some(Self { store, served: true, held: None, copy: None }));
            }
            Err(error) => return Err(error),
        };
        if length(&with_suffix(&path, "-wal")) == 0 {
            let store = open(&path, How::AsItLies, clock).await?;
            return Ok(Some(Self { store, served: false, held, copy: None }));
        }
        let (copy, copied) = copied(&path)?;
        let store = open(&copied, How::Copy, clock).await?;
        Ok(Some(Self { store, served: false, held, copy: Some(copy) }))
    }

    /// Lets it go.
    pub async fn close(self) -> Result<(), Error> {
        self.store.db.close_by_ref().await?;
        drop((self.held, self.copy));
        Ok(())
    }
}

/// How a SQLite file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// As if it could not change.
    AsItLies,
    /// While another process writes it.
    Beside,
    /// As one's own.
    Copy,
}

async fn read(path: &Path, how: How, clock: Arc<dyn Clock>) -> Result<Option<Instance>, Error> {
    let store = open(path, how, clock).await?;
    let found = store.conn().find_instance().await;
    store.db.close_by_ref().await?;
    found
}

async fn open(path: &Path, how: How, clock: Arc<dyn Clock>) -> Result<Store, Error> {
    let mut options = ConnectOptions::new(format!("sqlite:{}", path.display()));
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite.read_only(how != How::Copy).immutable(how == How::AsItLies)
    });
    Ok(Store {
        db: Database::connect(options).await?,
        clock,
        writer: None,
        lock: None,
        notary: None,
        patience: ANSWERS_WITHIN,
    })
}

fn copied(path: &Path) -> Result<(tempfile::TempDir, PathBuf), Error> {
    let copy = tempfile::tempdir().map_err(|source| Error::File { path: path.to_owned(), source })?;
    let copied = copy.path().join("copy.db");
    let journal = with_suffix(path, "-wal");
    for (from, to) in [(path, copied.clone()), (&journal, with_suffix(&copied, "-wal"))] {
        std::fs::copy(from, to).map_err(|source| Error::File { path: from.to_owned(), source })?;
    }
    Ok((copy, copied))
}

/// Shared with other lookers; a process that works with the database holds it alone. A lock file that is not there
/// is not made.
fn shared_lock(path: &Path) -> Result<Option<std::fs::File>, Error> {
    let Ok(lock) = std::fs::File::open(path.with_extension("lock")) else { return Ok(None) };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(_) => Err(Error::Locked(path.parent().unwrap_or(path).to_owned())),
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
