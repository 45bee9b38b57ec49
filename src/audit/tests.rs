//! Records while the database takes none, on both databases.

use futures_util::future::join_all;

use super::*;
use crate::model::event::{Action, Origin};
use crate::model::principal::Actor;
use crate::spool::{Entry, Kind};
use crate::store::testing::{TestDatabase, databases};

const TAKE_NONE: &str = "ALTER TABLE audit_event RENAME TO audit_event_away";
const TAKE_AGAIN: &str = "ALTER TABLE audit_event_away RENAME TO audit_event";

fn event() -> Event {
    Event::new(Actor::System, Action::TokenHandOut, Origin::default())
}

async fn record(audit: &Audit, records: usize) {
    for written in join_all((0..records).map(|_| audit.record(event()))).await {
        written.unwrap();
    }
}

/// Until so many records are in the database, and no file is left in the spool.
async fn until_stored(db: &TestDatabase, records: i64) {
    let stored = async {
        while db.count("audit_event").await < records || !files(db).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stored).await.expect("records leave the spool");
    assert_eq!(db.count("audit_event").await, records, "{}", db.name);
}

fn files(db: &TestDatabase) -> Vec<Entry> {
    db.spool().entries(Kind::Audit).unwrap()
}

#[tokio::test]
async fn records_go_to_the_spool_while_the_database_takes_none_and_into_it_once_it_does() {
    for db in databases().await {
        let audit = db.audit();
        record(&audit, 3).await;
        db.sql(TAKE_NONE).await;
        record(&audit, 20).await;
        record(&audit, 5).await;
        assert_eq!(audit.spooled(), 25, "{}", db.name);
        db.sql(TAKE_AGAIN).await;
        until_stored(&db, 28).await;
        let distinct = "(SELECT DISTINCT seq FROM audit_event) AS all_of_them";
        assert_eq!((db.count("audit_event").await, db.count(distinct).await), (28, 28), "{}", db.name);
        record(&audit, 1).await;
        until_stored(&db, 29).await;
        // Counted a moment after the file is gone.
        let counted = async {
            while audit.spooled() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), counted).await.expect("nothing is left in the spool");
    }
}

#[tokio::test]
async fn the_spool_is_emptied_under_callers_that_never_pause() {
    for db in databases().await {
        let audit = db.audit();
        db.sql(TAKE_NONE).await;
        record(&audit, 3).await;
        db.sql(TAKE_AGAIN).await;
        let mut more = 0;
        let emptied = async {
            while !files(&db).is_empty() {
                record(&audit, 1).await;
                more += 1;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), emptied).await.expect("the spool is emptied meanwhile");
        until_stored(&db, 3 + more).await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_keeps_no_other_one_from_the_database() {
    for db in databases().await {
        let dead = db.start_audit();
        db.sql(TAKE_NONE).await;
        // Older than any other.
        let unreadable = Entry { kind: Kind::Audit, id: uuid::Uuid::nil() };
        record(&dead, 4).await;
        std::fs::create_dir(db.spool().dir().join(unreadable.to_string())).unwrap();
        drop(dead);
        db.sql(TAKE_AGAIN).await;
        let next = db.start_audit();
        let stored = async { while db.count("audit_event").await < 4 || files(&db) != [unreadable] {} };
        tokio::time::timeout(Duration::from_secs(20), stored).await.expect("the others are stored");
        record(&next, 1).await;
        assert_eq!(db.count("audit_event").await, 5, "{}", db.name);
    }
}

#[tokio::test]
async fn records_of_a_process_that_died_are_stored_by_the_next_one() {
    for db in databases().await {
        let dead = db.start_audit();
        db.sql(TAKE_NONE).await;
        record(&dead, 4).await;
        drop(dead);
        db.sql(TAKE_AGAIN).await;
        let next = db.start_audit();
        until_stored(&db, 4).await;
        record(&next, 1).await;
        until_stored(&db, 5).await;
    }
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_what_can_be_read_of_it_is_stored() {
    for db in databases().await {
        let dead = db.start_audit();
        db.sql(TAKE_NONE).await;
        record(&dead, 4).await;
        drop(dead);
        let [damaged] = files(&db)[..] else { panic!("{:?}", files(&db)) };
        let path = db.spool().dir().join(damaged.to_string());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([0, 0, 0, 9, b'x']);
        std::fs::write(&path, bytes).unwrap();
        let garbage = Entry { kind: Kind::Audit, id: db.id() };
        db.spool().put(garbage, b"neither sealed nor ours").unwrap();
        let next = db.start_audit();
        db.sql(TAKE_AGAIN).await;
        until_stored(&db, 4).await;
        record(&next, 1).await;
        until_stored(&db, 5).await;
        assert_eq!(db.spool().count_set_aside().unwrap(), 2, "{}", db.name);
    }
}

#[tokio::test]
async fn where_neither_takes_a_record_its_caller_is_told() {
    for db in databases().await {
        let dir = tempfile::tempdir().unwrap();
        let full = Arc::new(Spool::with_limit(dir.path().to_owned(), 0));
        let parts = Parts {
            store: db.store(),
            vault: db.vault(),
            spool: full,
            clock: db.clock(),
            entropy: db.entropy(),
        };
        let audit = Audit::start(parts, Settings::default());
        db.sql(TAKE_NONE).await;
        assert!(matches!(audit.record(event()).await, Err(Error::Group)), "{}", db.name);
        db.sql(TAKE_AGAIN).await;
        let taken = async { while audit.record(event()).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(20), taken).await.expect("it goes on by itself");
    }
}

#[tokio::test]
async fn beyond_the_records_that_may_wait_callers_are_told_at_once() {
    for db in databases().await {
        let parts = Parts {
            store: db.store(),
            vault: db.vault(),
            spool: db.spool(),
            clock: db.clock(),
            entropy: db.entropy(),
        };
        let audit = Audit::start(parts, Settings { queue: 2, ..Settings::default() });
        // All of them come before the writer has its turn.
        let written = join_all((0..7).map(|_| audit.record(event()))).await;
        let full = written.iter().filter(|result| matches!(result, Err(Error::Full))).count();
        assert_eq!((full, written.iter().filter(|result| result.is_ok()).count()), (5, 2), "{}", db.name);
        assert_eq!(db.count("audit_event").await, 2, "{}", db.name);
        record(&audit, 1).await;
    }
}

#[tokio::test]
async fn a_database_that_hangs_holds_no_caller_longer_than_the_patience() {
    for db in databases().await {
        let parts = Parts {
            store: db.store(),
            vault: db.vault(),
            spool: db.spool(),
            clock: db.clock(),
            entropy: db.entropy(),
        };
        let audit =
            Audit::start(parts, Settings { patience: Duration::from_millis(50), ..Settings::default() });
        // A write transaction elsewhere: SQLite has one writer, PostgreSQL a table lock.
        let store = db.store();
        let tx = store.begin().await.unwrap();
        db.lock(&tx, "audit_event").await;
        record(&audit, 1).await;
        assert_eq!(audit.spooled(), 1, "{}", db.name);
        drop(tx);
        until_stored(&db, 1).await;
    }
}
