//! What SQLite needs beside its address: how its file is opened and locked, and which connections of the pool are fit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::SqliteConnectOptions;

use super::Error;

/// Whether the file is damaged or none of SQLite's: `SQLITE_CORRUPT`, `SQLITE_NOTADB` and their extended codes.
/// PostgreSQL's codes have five characters.
pub(super) fn is_damage(error: &DbErr) -> bool {
    let (DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error)) = error else { return false };
    let RuntimeErr::SqlxError(cause) = error else { return false };
    let code = cause.as_database_error().and_then(|error| error.code());
    let code = code.filter(|code| code.len() < 5).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// The journal grows to this many pages of 4 KiB before it is written into the file: records of many apps touch the same
/// pages again and again, and each is written there once.
const JOURNAL_PAGES: &str = "8000";

pub(super) fn options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", JOURNAL_PAGES)
}

/// Fails on a connection whose file was opened for reading, with which `BEGIN IMMEDIATE` alone is content (it fails by
/// itself where only the journal was); where writes are taken it changes no page, since files of ours have no
/// `auto_vacuum`.
const DEMAND_WRITES: &str = "PRAGMA incremental_vacuum(1)";

/// The one connection that writes, since SQLite has one writer. Waiting for it is fair, SQLite's own busy handler is not.
///
/// Where a file cannot be opened for writing SQLite opens it for reading and says nothing: such a connection would go
/// on refusing writes long after the disk takes them again. Each transaction therefore demands writes when it begins;
/// where it gets none, the next one has a connection of its own opened. Readers demand nothing.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) db: DatabaseConnection,
    unfit: Arc<AtomicBool>,
}

impl Writer {
    pub(super) async fn open(mut options: ConnectOptions) -> Result<Self, DbErr> {
        let unfit = Arc::new(AtomicBool::new(false));
        let found = Arc::clone(&unfit);
        options.max_connections(1);
        options.map_sqlx_sqlite_before_acquire(move |connection, _| {
            let unfit = found.swap(false, Ordering::SeqCst);
            Box::pin(async move { Ok(!unfit && is_outside_transaction(connection).await?) })
        });
        Ok(Self { db: Database::connect(options).await?, unfit })
    }

    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let begun = self.begin_to_write().await;
        if begun.is_err() {
            self.distrust();
        }
        begun
    }

    async fn begin_to_write(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let tx = self.db.begin_with_options(options).await?;
        tx.execute_unprepared(DEMAND_WRITES).await?;
        Ok(tx)
    }

    /// Has the connection replaced before it is used again.
    pub(super) fn distrust(&self) {
        self.unfit.store(true, Ordering::SeqCst);
    }
}

/// Connections that read. Each has a page cache of its own, which a commit empties, and a thread of its own; more of them
/// than processors make every read slower.
pub(super) fn readers() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processors).unwrap_or(u32::MAX).max(2)
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
        let writer = &store.writer.as_ref().unwrap().db;
        writer.execute_unprepared("CREATE TABLE t (x BLOB)").await.unwrap();
        writer.execute_unprepared("PRAGMA max_page_count = 3").await.unwrap();
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

    /// From now on files are opened as on a disk that takes writes, or takes none.
    fn disk(takes_writes: bool, store: &Store) {
        let writer = store.writer.as_ref().unwrap();
        for pool in [&writer.db, &store.db].map(DatabaseConnection::get_sqlite_connection_pool) {
            let options = SqliteConnectOptions::clone(&pool.connect_options());
            pool.set_connect_options(options.read_only(!takes_writes));
        }
    }

    /// Ends every connection that is open: the next ones find the disk as it is then.
    async fn reopen(pool: &sqlx::SqlitePool) {
        // One that was just given back is on its way.
        while pool.size() > 0 {
            pool.acquire().await.unwrap().close().await.unwrap();
        }
    }

    async fn store_with_a_table(dir: &tempfile::TempDir) -> Store {
        let url = format!("sqlite:{}", dir.path().join("jeton.db").display());
        let settings = Settings { url, max_connections: 3, acquire_timeout: Duration::from_secs(3) };
        let store = Store::connect(&settings, Arc::new(SystemClock)).await.unwrap();
        let tx = store.begin().await.unwrap();
        tx.inner.execute_unprepared("CREATE TABLE t (x BLOB)").await.unwrap();
        tx.commit().await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_writer_that_only_reads_is_replaced_as_soon_as_the_disk_takes_writes() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_a_table(&dir).await;
        disk(false, &store);
        reopen(store.writer.as_ref().unwrap().db.get_sqlite_connection_pool()).await;
        for _ in 0..3 {
            let begun = std::time::Instant::now();
            let refused = store.begin().await.err().unwrap();
            assert!(refused.to_string().contains("readonly"), "{refused}");
            assert!(begun.elapsed() < Duration::from_secs(1), "it is told at once");
        }
        disk(true, &store);
        let tx = store.begin().await.unwrap();
        tx.inner.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap();
        tx.commit().await.unwrap();
    }

    /// As where the journal alone was opened for reading, since the disk took writes in between.
    #[tokio::test]
    async fn a_writer_whose_transactions_do_not_begin_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_a_table(&dir).await;
        let writer = &store.writer.as_ref().unwrap().db;
        writer.execute_unprepared("PRAGMA query_only = ON").await.unwrap();
        let refused = store.begin().await.err().unwrap();
        assert!(refused.to_string().contains("readonly"), "{refused}");
        let tx = store.begin().await.unwrap();
        tx.inner.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn readers_work_on_a_disk_that_only_reads_and_while_somebody_writes() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_a_table(&dir).await;
        let read = async || store.db.execute_unprepared("SELECT * FROM t").await.unwrap();
        disk(false, &store);
        reopen(store.db.get_sqlite_connection_pool()).await;
        assert_eq!(store.db.get_sqlite_connection_pool().size(), 0);
        read().await;
        disk(true, &store);
        // A new reader asks for no lock.
        let tx = store.begin().await.unwrap();
        reopen(store.db.get_sqlite_connection_pool()).await;
        let begun = std::time::Instant::now();
        read().await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_that_writes_nothing_leaves_the_journal_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_a_table(&dir).await;
        let journal = || std::fs::metadata(dir.path().join("jeton.db-wal")).unwrap().len();
        let before = journal();
        store.begin().await.unwrap().commit().await.unwrap();
        assert_eq!(journal(), before);
    }
}
