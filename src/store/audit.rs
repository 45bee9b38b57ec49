//! Audit records, appended.

use sea_orm::DbErr;
use uuid::Uuid;

use crate::model::event::Event;
use crate::store::{Conn, Error, Source, Store};

pub use crate::store::entity::audit_event::Model as Row;

/// An event with what the recorder adds.
#[derive(Clone, Debug)]
pub struct Record {
    /// Replays are idempotent by it.
    pub id: Uuid,
    /// Microseconds since 1970.
    pub at_us: i64,
    /// Which process.
    pub boot: Uuid,
    /// Counts within the boot.
    pub seq: i64,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// As it is stored.
    pub fn row(&self) -> Row {
        let event = &self.event;
        Row {
            id: self.id,
            at: self.at_us,
            boot: self.boot,
            seq: self.seq,
            actor: event.actor.to_string(),
            action: event.action.as_str().to_owned(),
            result: event.result.to_owned(),
            app: event.app.as_ref().map(ToString::to_string),
            connector: event.connector.as_ref().map(ToString::to_string),
            flow: event.flow.clone(),
            token_set: event.token_set.map(|set| set.0),
            subject: event.subject.clone(),
            address: event.origin.address.map(|address| address.to_string()),
            trace_id: event.origin.trace_id,
        }
    }
}

const COLUMNS: &str =
    "id, at, boot, seq, actor, action, result, app, connector, flow, token_set, subject, address, trace_id";

/// The records come as one JSON array: whatever their number, the statement is the same and prepared once.
///
/// Alone it is a transaction of its own, whose commit is synchronous whatever PostgreSQL's default.
fn insert_sql(postgres: bool) -> String {
    let rows = if postgres {
        format!(
            "SELECT {COLUMNS} FROM (SELECT set_config('synchronous_commit', 'on', true) OFFSET 0) AS settings, \
             json_populate_recordset(NULL::audit_event, $1::json)"
        )
    } else {
        // Materialized: else SQLite writes each record out as text anew for each of its columns.
        "WITH record(r) AS MATERIALIZED (SELECT value FROM json_each($1)) \
         SELECT unhex(r->>'id', '-'), r->>'at', unhex(r->>'boot', '-'), r->>'seq', r->>'actor', r->>'action', \
         r->>'result', r->>'app', r->>'connector', r->>'flow', unhex(r->>'token_set', '-'), r->>'subject', \
         r->>'address', unhex(r->>'trace_id', '-') FROM record WHERE TRUE"
            .to_owned()
    };
    format!("INSERT INTO audit_event ({COLUMNS}) {rows} ON CONFLICT (id) DO NOTHING")
}

impl Store {
    /// Appends records, and they last when this returns; one that is there already is left as it is.
    pub async fn append_audit(&self, rows: &[Row]) -> Result<(), Error> {
        let Some(writer) = &self.writer else { return self.conn().insert_audit(rows).await };
        let conn = Conn { executor: Source::Pool(&writer.db), ..self.conn() };
        let appended = conn.insert_audit(rows).await;
        if appended.is_err() {
            writer.distrust();
        }
        appended
    }
}

impl Conn<'_> {
    /// Appends records; one that is there already is left as it is.
    pub async fn insert_audit(&self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = serde_json::to_string(rows).map_err(|error| DbErr::Json(error.to_string()))?;
        self.run(insert_sql(self.is_postgres()), vec![rows.into()]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, FromQueryResult};

    use super::*;
    use crate::model::event::{Action, Origin};
    use crate::model::principal::Actor;
    use crate::store::testing::databases;

    fn record(id: Uuid, subject: &str) -> Record {
        let event = Event::new(Actor::System, Action::TokenHandOut, Origin::default());
        let event = Event { subject: Some(subject.to_owned()), token_set: None, ..event };
        Record { id, at_us: i64::MAX, boot: Uuid::from_u128(7), seq: 3, event }
    }

    #[tokio::test]
    async fn what_is_appended_is_what_was_recorded_and_once() {
        for db in databases().await {
            let store = db.store();
            let rows =
                [record(Uuid::from_u128(1), "it's \"quoted\" \\ and ünï"), record(Uuid::from_u128(2), "")]
                    .map(|one| one.row());
            store.append_audit(&rows).await.unwrap();
            store.append_audit(&rows).await.unwrap();
            let sql = "SELECT * FROM audit_event ORDER BY id".to_owned();
            let stored = store.conn().all(sql, Vec::new()).await.unwrap();
            let stored: Vec<Row> =
                stored.iter().map(|row| Row::from_query_result(row, "").unwrap()).collect();
            assert_eq!(stored, rows, "{}", db.name);
        }
    }

    /// Whatever PostgreSQL's default is, a record lasts when its caller is told.
    #[tokio::test]
    async fn records_are_committed_synchronously() {
        for db in databases().await.into_iter().filter(|db| db.name == "postgres") {
            db.sql("CREATE TABLE seen (setting TEXT)").await;
            db.sql(
                "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$",
            )
            .await;
            // At the very end: when the transaction commits.
            db.sql(
                "CREATE CONSTRAINT TRIGGER see AFTER INSERT ON audit_event DEFERRABLE INITIALLY DEFERRED \
                 FOR EACH ROW EXECUTE FUNCTION see()",
            )
            .await;
            let store = db.store();
            // All connections of the pool.
            let mut all = Vec::new();
            for _ in 0..5 {
                all.push(store.begin().await.unwrap());
            }
            for tx in all {
                tx.conn().db().execute_unprepared("SET synchronous_commit = off").await.unwrap();
                tx.commit().await.unwrap();
            }
            store.append_audit(&[record(db.id(), "x").row()]).await.unwrap();
            assert_eq!(db.count("seen WHERE setting = 'on'").await, 1);
        }
    }
}
