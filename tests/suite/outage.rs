//! What can be had while the database only reads, or is gone, and what is lost by it? Nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use jeton::sandbox::Faults;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::metrics::value;
use crate::support::app::Home;
use crate::support::cluster::Cluster;
use crate::support::house::House;
use crate::support::problem::read;
use crate::support::sql::Sql;

const LIVING: &str = "/acme/sandbox/binb-token";
const EXPIRED: &str = "/globex/sandbox/binb-token";
const HANDED_OUT: &str = "audit_event WHERE action = 'token.hand_out'";

/// A broker with a token that lives and one that has expired, and the superadmin's bearer.
struct Case {
    house: House,
    bearer: String,
}

impl Case {
    async fn on(home: Home) -> Self {
        let house = House::on(home, &[]).await;
        house.connected_app("acme").await;
        house.app("globex", "Globex").await;
        house.credentials("sandbox", Some("globex")).await;
        let expired = json!({"expires_in": null, "expires_at": "2020-01-01T00:00:00Z"});
        house.import("globex", "sandbox", &expired).await;
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        Self { house, bearer }
    }

    async fn get(&self, path: &str) -> Response {
        let request = self.house.broker.http.get(self.house.broker.at(path));
        request.bearer_auth(&self.bearer).send().await.unwrap()
    }

    async fn status(&self, path: &str) -> StatusCode {
        self.get(path).await.status()
    }

    /// Nothing but live tokens is to be had; their records wait in the spool.
    async fn only_reads(&self, sql: &Sql) {
        let before = sql.count(HANDED_OUT).await;
        for _ in 0..5 {
            let handed: Value = self.get(LIVING).await.json().await.unwrap();
            assert_eq!((&handed["generation"], &handed["degraded"]), (&json!(1), &Value::Null), "{handed}");
        }
        for _ in 0..3 {
            read(self.get(EXPIRED).await, "storage_unavailable").await;
        }
        assert_eq!(self.house.refreshes(), 0, "no claim, no call: {}", self.house.home.name);
        assert_eq!(self.status("/readyz").await, StatusCode::OK);
        assert_eq!(self.status("/healthz").await, StatusCode::OK);
        assert_eq!(sql.count(HANDED_OUT).await, before);
        assert!(waiting(&self.house.home.data_dir(), "audit") > 0, "the records wait");
        assert!(self.spooled().await >= 5, "and are counted");
    }

    /// How many records wait in the spool, as the figures say.
    async fn spooled(&self) -> u32 {
        let figures = self.get("/metrics").await.text().await.unwrap();
        value(&figures, r#"jeton_spool_records{kind="audit"}"#).parse().unwrap()
    }

    /// The records are all there, and the expired token is refreshed, once.
    async fn writes_again(self, sql: &Sql, handed_out: usize) {
        let stored = async { while sql.count(HANDED_OUT).await < handed_out {} };
        tokio::time::timeout(Duration::from_secs(20), stored).await.expect("the records come by themselves");
        let handed: Value = self.get(EXPIRED).await.json().await.unwrap();
        assert_eq!(handed["generation"], 2, "{}: {handed}", self.house.home.name);
        assert_eq!((self.house.refreshes(), sql.count(HANDED_OUT).await), (1, handed_out + 1));
        self.house.stop().await;
    }
}

/// Files of a kind in a replica's spool.
fn waiting(data_dir: &Path, kind: &str) -> usize {
    let files = std::fs::read_dir(data_dir.join("spool")).into_iter().flatten().flatten();
    files.filter(|file| file.file_name().to_string_lossy().starts_with(kind)).count()
}

#[tokio::test]
async fn a_postgresql_that_only_reads_serves_what_lives_and_burns_nothing() {
    let Some(cluster) = Cluster::start_or_skip().await else { return };
    let case = Case::on(Home::at(Cluster::url_at(cluster.address()))).await;
    let sql = Sql::open(&case.house.home).await;
    assert_eq!(case.status(LIVING).await, StatusCode::OK);
    cluster.set_read_only(true).await;
    // Sessions learn of it one by one.
    let begun = Instant::now();
    while waiting(&case.house.home.data_dir(), "audit") == 0 {
        assert_eq!(case.status(LIVING).await, StatusCode::OK);
        assert!(begun.elapsed() < Duration::from_secs(10), "it never became read only");
    }
    case.only_reads(&sql).await;
    let before = sql.count(HANDED_OUT).await;
    cluster.set_read_only(false).await;
    let data_dir = case.house.home.data_dir();
    let mut handed_out = before;
    let stored = async {
        // They may be in several files.
        while handed_out < before + 5 || waiting(&data_dir, "audit") > 0 {
            handed_out = sql.count(HANDED_OUT).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stored).await.expect("the records come by themselves");
    let handed_out = sql.count(HANDED_OUT).await;
    case.writes_again(&sql, handed_out).await;
}

#[tokio::test]
async fn a_sqlite_that_takes_no_writes_serves_what_lives_and_burns_nothing() {
    let case = Case::on(Home::sqlite()).await;
    let sql = Sql::open(&case.house.home).await;
    let writes = [("INSERT", "audit_event"), ("INSERT", "token_set"), ("UPDATE", "connection")];
    for (operation, table) in writes {
        sql.refuse(operation, table).await;
    }
    case.only_reads(&sql).await;
    for (_, table) in writes {
        sql.allow(table).await;
    }
    case.writes_again(&sql, 5).await;
}

#[tokio::test]
async fn a_database_that_stops_in_the_middle_of_a_refresh_loses_neither_answer_nor_broker() {
    let Some(cluster) = Cluster::start_or_skip().await else { return };
    let case = Case::on(Home::at(Cluster::url_at(cluster.address()))).await;
    case.house.faults(Faults { slow_head_ms: Some(2_000), ..Faults::default() });
    let url = case.house.broker.at(&format!("{EXPIRED}?wait=30"));
    let caller = tokio::spawn(case.house.broker.http.get(url).bearer_auth(&case.bearer).send());
    while case.house.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    cluster.stop_at_once();

    let given = caller.await.unwrap().unwrap();
    assert_eq!(given.status(), StatusCode::OK, "whoever waited gets it");
    let given: Value = given.json().await.unwrap();
    assert_eq!(given["generation"], 2, "{given}");
    let data_dir = case.house.home.data_dir();
    assert_eq!(waiting(&data_dir, "answer"), 1, "on the disk, since the database did not take it");
    for path in [LIVING, EXPIRED] {
        read(case.get(path).await, "storage_unavailable").await;
    }
    let not_ready = read(case.get("/readyz").await, "storage_unavailable").await;
    assert_eq!(not_ready["detail"], "the database does not answer");
    assert_eq!(case.status("/healthz").await, StatusCode::OK);

    cluster.begin();
    let begun = Instant::now();
    for path in ["/readyz", LIVING, EXPIRED] {
        while case.status(path).await != StatusCode::OK {
            assert!(begun.elapsed() < Duration::from_secs(10), "{path} has not come back");
        }
    }
    let handed: Value = case.get(EXPIRED).await.json().await.unwrap();
    assert_eq!(handed["access_token"], given["access_token"]);
    let presented: Vec<usize> =
        case.house.sandbox.handle().ledger().refresh_tokens.iter().map(|token| token.presented).collect();
    assert_eq!(presented.iter().sum::<usize>(), 1, "{presented:?}");
    assert_eq!(waiting(&data_dir, "answer"), 0, "stored, and gone from the disk");
    let files = std::fs::read_dir(&data_dir).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["keyring.toml", "spool"], "nothing else is on a replica's own disk");
    case.house.stop().await;
}
