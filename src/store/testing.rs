//! Databases for tests: SQLite always, PostgreSQL where `JETON_TEST_POSTGRES_URL` names a server.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::audit::{self, Audit};
use crate::model::entropy::{Entropy, SystemEntropy, token, uuid};
use crate::model::time::{Clock, ShiftedClock};
use crate::spool::Spool;
use crate::store::{Settings, Store, Tx};
use crate::vault::Vault;
use crate::vault::keyring::Keyring;

/// A busy machine sends nothing to the spool, and what is there leaves it soon.
const PATIENT: audit::Settings =
    audit::Settings { patience: Duration::from_secs(10), retry: Duration::from_millis(200), queue: 20_000 };

/// One fresh, migrated database with an instance in it.
pub(crate) struct TestDatabase {
    pub(crate) name: &'static str,
    pub(crate) clock: Arc<ShiftedClock>,
    store: Store,
    vault: Arc<Vault>,
    spool: Arc<Spool>,
    audit: Arc<Audit>,
    _dir: tempfile::TempDir,
}

impl TestDatabase {
    pub(crate) fn store(&self) -> Store {
        self.store.clone()
    }

    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault)
    }

    pub(crate) fn spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool)
    }

    pub(crate) fn audit(&self) -> Arc<Audit> {
        Arc::clone(&self.audit)
    }

    /// The audit trail of another process on the same disk and database.
    pub(crate) fn start_audit(&self) -> Audit {
        self.start_audit_by(self.entropy())
    }

    /// The same, whose chance is `entropy`'s.
    pub(crate) fn start_audit_by(&self, entropy: Arc<dyn Entropy>) -> Audit {
        let parts = audit::Parts {
            store: self.store(),
            vault: self.vault(),
            spool: self.spool(),
            clock: self.clock(),
            entropy,
        };
        Audit::start(parts, PATIENT)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::new(SystemEntropy)
    }

    pub(crate) fn id(&self) -> Uuid {
        uuid(&*self.clock, &SystemEntropy)
    }

    /// How many rows there are of a table, or of what else stands behind FROM.
    pub(crate) async fn count(&self, from: &str) -> i64 {
        let store = self.store();
        let sql = format!("SELECT count(*) AS n FROM {from}");
        let statement = sea_orm::Statement::from_string(store.conn().backend(), sql);
        let conn = store.conn();
        let row = conn.db().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }

    /// Runs a statement as an attacker with SQL would.
    pub(crate) async fn sql(&self, statement: &str) {
        self.store.conn().db().execute_unprepared(statement).await.unwrap();
    }

    /// Holds a table for a transaction; SQLite has one writer anyway.
    pub(crate) async fn lock(&self, tx: &Tx<'_>, table: &str) {
        if tx.conn().is_postgres() {
            tx.inner.execute_unprepared(&format!("LOCK TABLE {table} IN EXCLUSIVE MODE")).await.unwrap();
        }
    }

    /// The first column of a query, as texts.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let conn = self.store.conn();
        let statement = sea_orm::Statement::from_string(conn.backend(), query);
        let rows = conn.db().query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }
}

/// A fresh database of each kind there is.
pub(crate) async fn databases() -> Vec<TestDatabase> {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", dir.path().join("jeton.db").display());
    let mut databases = vec![prepare("sqlite", sqlite, dir).await];
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    if let Ok(server) = std::env::var("JETON_TEST_POSTGRES_URL") {
        let url = fresh_postgres(&server).await;
        databases.push(prepare("postgres", url, tempfile::tempdir().unwrap()).await);
    }
    databases
}

async fn fresh_postgres(server: &str) -> String {
    let name = format!("test_{}", token::<12>(&SystemEntropy).to_lowercase().replace('-', "_"));
    let db = sea_orm::Database::connect(server).await.unwrap();
    db.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

async fn prepare(name: &'static str, url: String, dir: tempfile::TempDir) -> TestDatabase {
    let clock = Arc::new(ShiftedClock::default());
    let settings = Settings { url, max_connections: 5, acquire_timeout: Duration::from_secs(10) };
    let store = Store::connect(&settings, clock.clone()).await.unwrap();
    store.migrate().await.unwrap();
    let keyring = Arc::new(Keyring::generate(&SystemEntropy));
    let id = uuid(&*clock, &SystemEntropy);
    let (vault, keys) = Vault::create(keyring, Arc::new(SystemEntropy), id).unwrap();
    let store = store.with_notary(vault.notary());
    let tx = store.begin().await.unwrap();
    tx.conn().insert_instance("test", None, &keys.data_key, &keys.sealed_hash_key).await.unwrap();
    tx.commit().await.unwrap();
    let vault = Arc::new(vault);
    let spool = Arc::new(Spool::new(dir.path().join("spool")));
    let parts = audit::Parts {
        store: store.clone(),
        vault: Arc::clone(&vault),
        spool: Arc::clone(&spool),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
    };
    let audit = Arc::new(Audit::start(parts, PATIENT));
    TestDatabase { name, clock, store, vault, spool, audit, _dir: dir }
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_instance_reads_back() {
    for db in databases().await {
        db.store().migrate().await.unwrap();
        let instance = db.store().conn().find_instance().await.unwrap().unwrap();
        assert_eq!(instance.name, "test", "{}", db.name);
    }
}

#[tokio::test]
async fn fifty_audit_records_at_once_are_all_there() {
    use crate::model::event::{Action, Event, Origin};
    use crate::model::principal::Actor;
    for db in databases().await {
        let audit = db.audit();
        let all =
            (0..50).map(|_| audit.record(Event::new(Actor::System, Action::TokenHandOut, Origin::default())));
        for written in futures_util::future::join_all(all).await {
            written.unwrap();
        }
        let sql = "SELECT count(*) AS n, count(DISTINCT seq) AS s FROM audit_event";
        let statement = sea_orm::Statement::from_string(db.store().conn().backend(), sql);
        let row = db.store().conn().db().query_one_raw(statement).await.unwrap().unwrap();
        assert_eq!(
            (row.try_get::<i64>("", "n").unwrap(), row.try_get::<i64>("", "s").unwrap()),
            (50, 50),
            "{}",
            db.name
        );
    }
}
