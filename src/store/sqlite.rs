//! What SQLite needs beside its address: how its file is opened and locked, and which connections of the pool are fit.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;

use super::Error;

pub(super) fn options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
}

/// Where a file cannot be opened for writing SQLite opens it for reading and says nothing: such a connection would go
/// on refusing writes long after the disk takes them again.
pub(super) async fn demand_writes(connection: &mut sqlx::SqliteConnection) -> Result<(), sqlx::Error> {
    use sqlx::Executor;
    // `BEGIN IMMEDIATE` alone is content with reading where it must be.
    connection.execute("BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK").await?;
    Ok(())
}

/// Whether the driver, too, knows that no transaction is open. On a full or failing disk SQLite ends one by itself; the
/// driver's rollback then fails, and from then on it would give savepoints for transactions, whose release is no
/// commit. Such a connection is thrown away.
pub(super) async fn is_outside_transaction(
    connection: &mut sqlx::SqliteConnection,
) -> Result<bool, sqlx::Error> {
    use sqlx::Connection;
    if connection.is_in_transaction() {
        // A rollback may still be on its way to the connection's thread.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Makes the file with mode 0600 before SQLite would, and takes its lock.
pub(super) fn lock_file(url: &str) -> Result<std::fs::File, Error> {
    let path = PathBuf::from(url.trim_start_matches("sqlite:").trim_start_matches("//"));
    let lock_path = path.with_extension("lock");
    let open = |path: &PathBuf| {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
    };
    let file = |path: PathBuf| move |source| Error::File { path, source };
    let lock = open(&lock_path).map_err(file(lock_path.clone()))?;
    lock.try_lock().map_err(|_| Error::Locked(lock_path))?;
    open(&path).map_err(file(path))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sea_orm::{ConnectOptions, ConnectionTrait, Database};

    use super::*;
    use crate::model::time::SystemClock;
    use crate::store::{Settings, Store};

    /// SQLite gives up a transaction by itself where the disk is full.
    #[tokio::test]
    async fn a_full_disk_leaves_no_connection_behind_whose_commits_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("jeton.db").display());
        let settings = Settings { url, max_connections: 1, acquire_timeout: Duration::from_secs(3) };
        let store = Store::connect(&settings, Arc::new(SystemClock)).await.unwrap();
        store.db.execute_unprepared("CREATE TABLE t (x BLOB)").await.unwrap();
        store.db.execute_unprepared("PRAGMA max_page_count = 3").await.unwrap();
        let tx = store.begin().await.unwrap();
        let full = tx.inner.execute_unprepared("INSERT INTO t VALUES (zeroblob(100000))").await.unwrap_err();
        assert!(full.to_string().contains("full"), "{full}");
        drop(tx);
        let tx = store.begin().await.unwrap();
        let mut other = ConnectOptions::new(&settings.url);
        other.map_sqlx_sqlite_opts(|options| options.busy_timeout(Duration::ZERO));
        let other = Database::connect(other).await.unwrap();
        let refused = other.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap_err();
        assert!(
            refused.to_string().contains("locked"),
            "the write lock is held from the beginning: {refused}"
        );
        tx.inner.execute_unprepared("INSERT INTO t VALUES (2)").await.unwrap();
        tx.commit().await.unwrap();
        other.execute_unprepared("INSERT INTO t VALUES (3)").await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_only_reads_is_refused() {
        use sqlx::ConnectOptions;
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(dir.path().join("jeton.db"));
        let mut writing = options.clone().create_if_missing(true).connect().await.unwrap();
        demand_writes(&mut writing).await.unwrap();
        let mut reading = options.read_only(true).connect().await.unwrap();
        let refused = demand_writes(&mut reading).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
        demand_writes(&mut writing).await.expect("nothing is left open");
    }
}
