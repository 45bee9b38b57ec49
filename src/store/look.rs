//! What does a database hold? Asked without leaving a trace, so that a wrong keyring changes nothing.
//!
//! A SQLite file is read as if it could not change: no lock file, no journal, no shared memory comes to be beside
//! it. Where a crash left a journal, which that reading would miss, a private copy is read instead.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sea_orm::{ConnectOptions, Database};

use super::instance::Instance;
use super::{Error, Settings, Store};
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
            return read(&path, true, clock).await;
        }
        let copy = tempfile::tempdir().map_err(|source| Error::File { path: path.clone(), source })?;
        let copied = copy.path().join("copy.db");
        for (from, to) in [(&path, copied.clone()), (&journal, with_suffix(&copied, "-wal"))] {
            std::fs::copy(from, to).map_err(|source| Error::File { path: from.clone(), source })?;
        }
        read(&copied, false, clock).await
    }
}

async fn read(path: &Path, immutable: bool, clock: Arc<dyn Clock>) -> Result<Option<Instance>, Error> {
    let mut options = ConnectOptions::new(format!("sqlite:{}", path.display()));
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(move |sqlite| sqlite.read_only(immutable).immutable(immutable));
    let store = Store { db: Database::connect(options).await?, clock, writer: None, lock: None };
    let found = store.conn().find_instance().await;
    store.db.close().await?;
    found
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
