//! Which connections are refreshed unasked? Those that are due, taken on by one replica at a time.
//!
//! The mark only spreads the work: whether a refresh token is sent is decided by the claim, as always.

use sea_orm::Value;
use time::Duration;
use uuid::Uuid;

use crate::model::connector::ConnectorId;
use crate::model::protocol::{HOLD_OFF_ABSURD_US, LEASE_ABSURD_US};
use crate::model::time::from_micros;
use crate::store::credentials::HOLD_MAX;
use crate::store::{AppRows, Conn, Error};

use super::{COLUMNS, JOIN, Listed, list};

/// A mark or back-off further ahead than this was written by no statement of ours.
const ABSURD: Duration = Duration::hours(2);

impl Conn<'_> {
    /// Marks up to `limit` connections that are due as taken on for a while, longest due first, and reads them:
    /// active, in an active app, with nothing under way, held off or backing off, of other connectors than
    /// `except`. What another replica takes on at this moment is passed over.
    pub async fn take_due(
        &self,
        limit: u64,
        except: &[&ConnectorId],
        taken_for: Duration,
    ) -> Result<Listed, Error> {
        let (clock, clock_value) = self.clock_sql(1);
        let mut values: Vec<Value> =
            vec![clock_value, i64::try_from(limit).unwrap_or(i64::MAX).into(), micros(taken_for).into()];
        let others = others(except, &mut values);
        let is_past = |column: &str, absurd: i64| {
            format!(
                "({column} IS NULL OR {column} <= (SELECT now FROM clock) \
                 OR {column} > (SELECT now FROM clock) + {absurd})"
            )
        };
        // The clock stands in a table of one row, so that the index on what is due can be used.
        let sql = format!(
            "WITH clock AS MATERIALIZED (SELECT {clock} AS now), due AS MATERIALIZED (\
             SELECT c.id FROM connection c WHERE c.refresh_due_at <= (SELECT now FROM clock) \
             AND c.state = 'active' AND {swept} AND {retry} AND {lease} AND {resend}{others} \
             AND EXISTS (SELECT 1 FROM app a WHERE a.id = c.app AND a.state = 'active' AND a.deleted_at IS NULL) \
             AND NOT EXISTS (SELECT 1 FROM connector_credentials x WHERE x.id = c.credentials_id \
             AND NOT {held}) ORDER BY c.refresh_due_at LIMIT $2{lock}) \
             UPDATE connection SET swept_until = (SELECT now FROM clock) + $3 \
             WHERE id IN (SELECT id FROM due) RETURNING id, swept_until",
            swept = is_past("c.swept_until", micros(ABSURD)),
            retry = is_past("c.retry_at", micros(ABSURD)),
            lease = is_past("c.lease_until", LEASE_ABSURD_US),
            resend = is_past("c.resend_after", HOLD_OFF_ABSURD_US),
            held = is_past("x.held_until", i64::try_from(HOLD_MAX.as_micros()).unwrap_or(i64::MAX)),
            lock = if self.is_postgres() { " FOR UPDATE OF c SKIP LOCKED" } else { "" },
        );
        let taken = self.all(sql, values).await?;
        let Some(first) = taken.first() else {
            return Ok(Listed { now: from_micros(self.now_us()), rows: Vec::new() });
        };
        let now = from_micros(first.try_get("", "swept_until")?) - taken_for;
        let ids = taken.iter().map(|row| Ok(row.try_get::<Uuid>("", "id")?.into()));
        let ids = ids.collect::<Result<Vec<Value>, Error>>()?;
        let places: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
        let sql = format!("SELECT {COLUMNS} FROM connection c {JOIN} WHERE c.id IN ({})", places.join(", "));
        let rows = self.all(sql, ids).await?;
        Ok(Listed { now, rows: list::readable(&rows)? })
    }
}

impl AppRows<'_> {
    /// Leaves a connection alone for a while that is due but cannot be refreshed; with a code, tells why.
    pub async fn put_off(&self, id: Uuid, by: Duration, code: Option<&str>) -> Result<(), Error> {
        let (clock, clock_value) = self.conn.clock_sql(3);
        let mut sql = format!("UPDATE connection SET swept_until = {clock} + $4");
        let mut values = vec![id.into(), self.app.as_str().into(), clock_value, micros(by).into()];
        if let Some(code) = code {
            // What parked it meanwhile says more.
            let active =
                |new: &str, old: &str| format!("CASE WHEN state = 'active' THEN {new} ELSE {old} END");
            let (code_told, at) = (active("$5", "last_error_code"), active(&clock, "last_error_at"));
            sql.push_str(&format!(", last_error_code = {code_told}, last_error_at = {at}"));
            values.push(code.into());
        }
        sql.push_str(" WHERE id = $1 AND app = $2");
        self.conn.run(sql, values).await?;
        Ok(())
    }
}

fn others(except: &[&ConnectorId], values: &mut Vec<Value>) -> String {
    if except.is_empty() {
        // SQL knows no empty list.
        return String::new();
    }
    let places: Vec<String> = except
        .iter()
        .map(|connector| {
            values.push(connector.as_str().into());
            format!("${}", values.len())
        })
        .collect();
    format!(" AND c.connector NOT IN ({})", places.join(", "))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.whole_microseconds()).unwrap_or(i64::MAX)
}
