//! The database: SQLite (embedded) or PostgreSQL (many replicas), through one set of statements.
//!
//! Reads go through [`Store::conn`], writes through a short named transaction ([`Store::begin`] …
//! [`Tx::commit`]); rows of a tenant are reached only through [`Conn::app`]. Times are stored as microseconds
//! since 1970, so that both databases compare them alike whatever the time zone. No query holds state on the
//! connection, so transaction-mode poolers work.

pub mod allowed;
pub mod apps;
pub mod audit;
pub mod clients;
pub mod codes;
pub mod connections;
pub mod connectors;
pub mod credentials;
pub mod deliveries;
pub mod device_codes;
pub mod entity;
mod error;
pub mod facts;
pub mod grants;
pub mod instance;
pub mod invitations;
pub mod leases;
pub mod links;
#[cfg(test)]
mod lockstep;
mod look;
pub mod outbox;
mod own;
mod reach;
pub mod resources;
pub mod sessions;
pub mod signing_keys;
pub mod signups;
pub mod spent;
mod sqlite;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
pub mod token_sets;
pub mod upstream;
pub mod users;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseExecutor, DatabaseTransaction,
    DbBackend, TransactionTrait,
};

use crate::model::app::AppId;
use crate::model::own::Notary;
use crate::model::time::{Clock, to_micros};

pub use self::error::Error;
pub use self::look::Glance;
pub use self::reach::Unreached;

/// Where the database is and how many connections may be open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub url: String,
    /// Upper bound of the pool. SQLite has one that writes and, for reading, one for each processor of the machine, two
    /// at least, if that is less.
    pub max_connections: u32,
    /// How long a caller waits for a connection before [`Error::Unavailable`].
    pub acquire_timeout: Duration,
}

/// How long a connection of the pool may be idle and is still taken to live.
const UNTESTED: Duration = Duration::from_secs(1);
/// What a few short statements may take beyond the wait for a connection, where somebody waits for them.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The database.
#[derive(Clone)]
pub struct Store {
    db: DatabaseConnection,
    clock: Arc<dyn Clock>,
    /// SQLite's.
    writer: Option<sqlite::Writer>,
    lock: Option<Arc<std::fs::File>>,
    patience: Duration,
    /// `None` where nobody asks what people may do.
    notary: Option<Notary>,
}

impl Store {
    /// Opens the database; changes nothing in it.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process has the SQLite file.
    pub async fn connect(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let mut options = ConnectOptions::new(&settings.url);
        options
            .sqlx_logging(false)
            .acquire_timeout(settings.acquire_timeout)
            .connect_timeout(settings.acquire_timeout);
        options.record_stmt_in_spans(false);
        // Asking before each use whether a connection lives would be a second round trip of every statement.
        options.test_before_acquire_if_idle_for(UNTESTED);
        let sqlite = settings.url.starts_with("sqlite:");
        let memory = settings.url.contains(":memory:");
        options.max_connections(match (sqlite, memory) {
            (_, true) => 1,
            (true, false) => settings.max_connections.min(sqlite::readers()),
            (false, false) => settings.max_connections,
        });
        if memory {
            options.idle_timeout(None).max_lifetime(None);
        }
        let lock = if sqlite && !memory { Some(Arc::new(sqlite::lock_file(&settings.url)?)) } else { None };
        if sqlite {
            options.map_sqlx_sqlite_opts(sqlite::options);
            options.map_sqlx_sqlite_before_acquire(|connection, _| {
                Box::pin(sqlite::is_outside_transaction(connection))
            });
        }
        let patience = settings.acquire_timeout + ANSWERS_WITHIN;
        if !sqlite {
            let db = Database::connect(options).await.map_err(Error::connecting)?;
            return Ok(Self { db, clock, writer: None, lock, patience, notary: None });
        }
        // The writer first: it makes the file.
        let writer = sqlite::Writer::open(options.clone()).await?;
        let db = if memory { writer.db.clone() } else { Database::connect(options).await? };
        Ok(Self { db, clock, writer: Some(writer), lock, patience, notary: None })
    }

    /// The same, which signs what people may do and believes no other row that says so.
    pub fn with_notary(self, notary: Notary) -> Self {
        Self { notary: Some(notary), ..self }
    }

    /// Brings the schema up to this release, under a lock that ends with the transaction.
    pub async fn migrate(&self) -> Result<(), Error> {
        use jeton_migration::MigratorTrait;
        let tx = self.begin().await?;
        if tx.conn().is_postgres() {
            tx.inner.execute_unprepared("SELECT pg_advisory_xact_lock(7236837)").await?;
        }
        jeton_migration::Migrator::up(&tx.inner, None).await?;
        tx.commit().await
    }

    /// Closes all connections and lets the SQLite file go, whoever still holds a clone; it then has no journal.
    pub async fn close(&self) -> Result<(), Error> {
        self.db.close_by_ref().await?;
        if let Some(writer) = &self.writer {
            writer.db.close_by_ref().await?;
        }
        if let Some(lock) = &self.lock {
            // Where it is not ours any more there is nothing to let go.
            lock.unlock().ok();
        }
        Ok(())
    }

    /// Connections of the pool: all that are open, and those of them that nobody uses.
    pub fn pool(&self) -> Pool {
        match self.db.get_database_backend() {
            DbBackend::Sqlite => {
                let writer = self.writer.iter().map(|writer| &writer.db);
                let pools = std::iter::once(&self.db).chain(writer);
                pools.map(|db| counts(db.get_sqlite_connection_pool())).fold(Pool::default(), Pool::and)
            }
            _ => counts(self.db.get_postgres_connection_pool()),
        }
    }

    /// Reads or one short transaction, given up after a while: a server that went away without a word says nothing for
    /// minutes, and nobody is to wait for that.
    ///
    /// # Errors
    /// [`Error::Interrupted`]: what was to be written may have been.
    pub async fn bounded<T, E: From<Error>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        tokio::time::timeout(self.patience, work).await.unwrap_or_else(|_| Err(Error::Interrupted.into()))
    }

    /// For reads.
    pub fn conn(&self) -> Conn<'_> {
        Conn { executor: Source::Pool(&self.db), clock: &*self.clock, notary: self.notary.as_ref() }
    }

    /// Begins a write transaction. On PostgreSQL its commit is synchronous whatever the server's default, a lock
    /// is waited for 2 s at most, and an idle transaction ends after 5 s.
    pub async fn begin(&self) -> Result<Tx<'_>, Error> {
        let (clock, notary) = (&*self.clock, self.notary.as_ref());
        if let Some(writer) = &self.writer {
            return Ok(Tx { inner: writer.begin().await?, clock, notary });
        }
        let inner = self.db.begin().await?;
        inner
            .execute_unprepared(
                "SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '2s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '5s'",
            )
            .await?;
        Ok(Tx { inner, clock, notary })
    }

    /// Waits until whoever waits for a connection to read now has had one.
    pub async fn let_readers_pass(&self) {
        match self.db.get_database_backend() {
            DbBackend::Sqlite => await_turn(self.db.get_sqlite_connection_pool()).await,
            _ => await_turn(self.db.get_postgres_connection_pool()).await,
        }
    }

    /// Whether writers wait for each other whatever they write.
    pub fn has_one_writer(&self) -> bool {
        self.writer.is_some()
    }
}

/// Waits at the end of the queue for a connection; where one is free, or may yet be opened, there is none.
async fn await_turn<D: sqlx::Database>(pool: &sqlx::Pool<D>) {
    if pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections() {
        // Where there is none to have, whoever writes will be told.
        drop(pool.acquire().await);
    }
}

/// How the pool of connections is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// All that are open.
    pub open: u32,
    /// Those that nobody uses.
    pub idle: u32,
}

impl Pool {
    fn and(self, other: Self) -> Self {
        Self { open: self.open.saturating_add(other.open), idle: self.idle.saturating_add(other.idle) }
    }
}

/// The driver counts idle connections below zero for a moment.
fn counts<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Pool {
    let open = pool.size();
    Pool { open, idle: u32::try_from(pool.num_idle()).map_or(open, |idle| idle.min(open)) }
}

/// A write transaction; dropped without [`Tx::commit`] it changes nothing.
pub struct Tx<'s> {
    inner: DatabaseTransaction,
    clock: &'s dyn Clock,
    notary: Option<&'s Notary>,
}

impl Tx<'_> {
    /// For statements inside the transaction.
    pub fn conn(&self) -> Conn<'_> {
        Conn { executor: Source::Tx(&self.inner), clock: self.clock, notary: self.notary }
    }

    /// Makes it last.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.inner.commit().await?)
    }
}

#[derive(Clone, Copy)]
enum Source<'c> {
    Pool(&'c DatabaseConnection),
    Tx(&'c DatabaseTransaction),
}

/// A way to the database, inside or outside of a transaction.
#[derive(Clone, Copy)]
pub struct Conn<'c> {
    executor: Source<'c>,
    clock: &'c dyn Clock,
    notary: Option<&'c Notary>,
}

impl<'c> Conn<'c> {
    /// One tenant's rows.
    pub fn app<'a>(self, app: &'a AppId) -> AppRows<'a>
    where
        'c: 'a,
    {
        AppRows { conn: self, app }
    }

    /// What sea-orm's queries take.
    pub(in crate::store) fn db(&self) -> DatabaseExecutor<'c> {
        match self.executor {
            Source::Pool(db) => DatabaseExecutor::from(db),
            Source::Tx(tx) => DatabaseExecutor::from(tx),
        }
    }

    pub(in crate::store) fn backend(&self) -> DbBackend {
        match self.executor {
            Source::Pool(db) => db.get_database_backend(),
            Source::Tx(tx) => tx.get_database_backend(),
        }
    }

    pub(in crate::store) fn is_postgres(&self) -> bool {
        self.backend() == DbBackend::Postgres
    }

    /// This process's clock, in microseconds: for columns that no other replica compares with its own.
    pub(in crate::store) fn now_us(&self) -> i64 {
        to_micros(self.clock.now())
    }

    /// The database's clock as SQL over the parameter `$n`, and the value of that parameter. PostgreSQL asks
    /// `clock_timestamp()` (which moves while a row lock is awaited) plus the process clock's shift.
    pub(in crate::store) fn clock_sql(&self, n: usize) -> (String, sea_orm::Value) {
        if self.is_postgres() {
            let shift = i64::try_from(self.clock.shift().whole_microseconds()).unwrap_or_default();
            (format!("((extract(epoch from clock_timestamp()) * 1000000)::bigint + ${n})"), shift.into())
        } else {
            (format!("${n}"), self.now_us().into())
        }
    }
}

/// One tenant's rows: no query about a tenant takes a naked app id.
#[derive(Clone, Copy)]
pub struct AppRows<'a> {
    pub(in crate::store) conn: Conn<'a>,
    pub(in crate::store) app: &'a AppId,
}

impl AppRows<'_> {
    /// Which tenant.
    pub fn id(&self) -> &AppId {
        self.app
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::time::SystemClock;

    #[tokio::test]
    async fn what_says_nothing_is_given_up_and_its_outcome_is_unknown() {
        let settings = Settings {
            url: "sqlite::memory:".into(),
            max_connections: 1,
            acquire_timeout: Duration::from_secs(3),
        };
        let mut store = Store::connect(&settings, Arc::new(SystemClock)).await.unwrap();
        assert_eq!(store.patience, Duration::from_secs(8));
        store.patience = Duration::from_millis(20);
        let given_up = store.bounded(std::future::pending::<Result<(), Error>>()).await;
        assert!(matches!(given_up, Err(Error::Interrupted)), "{given_up:?}");
        assert!(store.bounded(async { Ok::<_, Error>(1) }).await.is_ok());
    }

    #[tokio::test]
    async fn readers_that_wait_go_first_and_nobody_waits_where_a_connection_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            url: format!("sqlite:{}", dir.path().join("jeton.db").display()),
            max_connections: 1,
            acquire_timeout: Duration::from_secs(3),
        };
        let store = Store::connect(&settings, Arc::new(SystemClock)).await.unwrap();
        let pool = store.db.get_sqlite_connection_pool();
        store.let_readers_pass().await;
        let reads = pool.acquire().await.unwrap();
        let mut waits = std::pin::pin!(pool.acquire());
        let mut passed = std::pin::pin!(store.let_readers_pass());
        assert!(waits.as_mut().now_or_never().is_none() && passed.as_mut().now_or_never().is_none());
        drop(reads);
        let reads = waits.await.unwrap();
        assert!(passed.as_mut().now_or_never().is_none(), "its turn is after theirs");
        drop(reads);
        passed.await;
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_verified_says_what_to_do() {
        #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
        let Ok(url) = std::env::var("JETON_TEST_POSTGRES_URL") else { return };
        let settings = Settings {
            url: format!("{url}?sslmode=verify-full"),
            max_connections: 2,
            acquire_timeout: Duration::from_secs(3),
        };
        let refused = Store::connect(&settings, Arc::new(SystemClock)).await.err().unwrap();
        assert!(matches!(refused, Error::Untrusted(_)), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains("`sslrootcert=FILE`") && text.contains("`sslmode`"), "{text}");
    }
}
