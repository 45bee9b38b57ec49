//! Which connections does a list show? The filter's state is the one that people are told.

use sea_orm::Value;
use time::OffsetDateTime;
use tracing::error;
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Connection;
use crate::model::connector::ConnectorId;
use crate::model::time::{from_micros, to_micros};
use crate::store::{Conn, Error};

use super::{COLUMNS, JOIN, read_connection};

/// Which connections a list shows; `None` everywhere: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one connector.
    pub connector: Option<ConnectorId>,
    /// In one state, as told at the database's time.
    pub state: Option<StateFilter>,
    /// Whose access token dies before.
    pub expires_before: Option<OffsetDateTime>,
    /// After this row.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: u64,
}

/// A state as people are told it: a token that is over and cannot be refreshed needs a new consent
/// ([`Connection::state_at`]), though its row says `active`.
#[derive(Clone, Debug)]
pub struct StateFilter {
    /// As `State::as_str` says it.
    pub state: String,
    /// Connectors whose tokens are refreshed where there is a refresh token.
    pub refreshing: Vec<ConnectorId>,
}

/// Connections of a list, and the database's time when they were read.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The database's clock.
    pub now: OffsetDateTime,
    /// The connections.
    pub rows: Vec<Connection>,
}

/// How many connections of a connector are in a state, as people are told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The connector's id, as stored.
    pub connector: String,
    /// As `State::as_str` says it.
    pub state: String,
    /// How many.
    pub connections: i64,
}

pub(super) async fn count(conn: Conn<'_>, refreshing: &[ConnectorId]) -> Result<Vec<Counted>, Error> {
    let (clock, clock_value) = conn.clock_sql(1);
    let mut values: Vec<Value> = vec![clock_value];
    let over = over(refreshing, &mut values);
    let told = format!("CASE WHEN {over} THEN 'reauthorization_required' ELSE c.state END");
    let sql = format!(
        "SELECT c.connector, {told} AS told, count(*) AS n FROM (SELECT {clock} AS now) m CROSS JOIN connection c \
         LEFT JOIN token_set t ON t.id = c.token_set_id WHERE c.token_set_id IS NOT NULL GROUP BY 1, 2"
    );
    let counted = |row: &sea_orm::QueryResult| {
        Ok(Counted {
            connector: row.try_get("", "connector")?,
            state: row.try_get("", "told")?,
            connections: row.try_get("", "n")?,
        })
    };
    conn.all(sql, values).await?.iter().map(counted).collect()
}

pub(super) async fn list_to_revoke(
    conn: Conn<'_>,
    app: Option<&AppId>,
    limit: i64,
) -> Result<Vec<Connection>, Error> {
    let mut values: Vec<Value> = vec![limit.into()];
    let of_app = app.map_or("", |app| {
        values.push(app.as_str().into());
        "c.app = $2 AND"
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM connection c JOIN app a ON a.id = c.app AND a.deleted_at IS NULL {JOIN} WHERE \
         {of_app} EXISTS (SELECT 1 FROM token_set p WHERE p.connection_id = c.id AND p.revoke_pending = TRUE) \
         ORDER BY c.id LIMIT $1"
    );
    let found = conn.all(sql, values).await?;
    match app {
        // Of an app that is being deleted nothing may be left out: its key goes next.
        Some(_) => found.iter().map(read_connection).collect(),
        None => readable(&found),
    }
}

/// As many as were asked for, where there are: rows that cannot be read are made up for, since whoever pages takes fewer
/// for the end.
pub(super) async fn list(conn: Conn<'_>, app: Option<&AppId>, filter: &Filter) -> Result<Listed, Error> {
    let (mut listed, mut next) = list_part(conn, app, filter).await?;
    while let Some(after) = next {
        let missing = filter.limit.saturating_sub(u64::try_from(listed.rows.len()).unwrap_or(u64::MAX));
        let rest = Filter { after: Some(after), limit: missing, ..filter.clone() };
        let (more, further) = list_part(conn, app, &rest).await?;
        listed.rows.extend(more.rows);
        next = further;
    }
    Ok(listed)
}

/// The readable rows of a part, and where to go on if some were not.
async fn list_part(
    conn: Conn<'_>,
    app: Option<&AppId>,
    filter: &Filter,
) -> Result<(Listed, Option<Uuid>), Error> {
    let (clock, clock_value) = conn.clock_sql(2);
    let mut values: Vec<Value> = vec![i64::try_from(filter.limit).unwrap_or(i64::MAX).into(), clock_value];
    let mut wheres = String::from("c.token_set_id IS NOT NULL");
    let mut narrow = |clause: &str, value: Value| {
        values.push(value);
        wheres.push_str(&format!(" AND {clause} ${}", values.len()));
    };
    if let Some(app) = app {
        narrow("c.app =", app.as_str().into());
    }
    if let Some(connector) = &filter.connector {
        narrow("c.connector =", connector.as_str().into());
    }
    if let Some(before) = filter.expires_before {
        narrow("c.access_expires_at <", to_micros(before).into());
    }
    if let Some(after) = filter.after {
        narrow("c.id >", after.into());
    }
    if let Some(filter) = &filter.state {
        wheres.push_str(&filter.sql(&mut values));
    }
    let sql = format!(
        "SELECT {COLUMNS}, m.now FROM (SELECT {clock} AS now) m CROSS JOIN connection c {JOIN} \
         WHERE {wheres} ORDER BY c.id LIMIT $1"
    );
    let found = conn.all(sql, values).await?;
    let now = found.first().map_or(Ok(conn.now_us()), |first| first.try_get("", "now"))?;
    let rows = readable(&found)?;
    let next = match found.last() {
        Some(last) if rows.len() < found.len() => Some(last.try_get("", "id")?),
        _ => None,
    };
    Ok((Listed { now: from_micros(now), rows }, next))
}

/// A row that says what this program never writes hides no other.
pub(super) fn readable(found: &[sea_orm::QueryResult]) -> Result<Vec<Connection>, Error> {
    let mut rows = Vec::with_capacity(found.len());
    for row in found {
        match read_connection(row) {
            Ok(connection) => rows.push(connection),
            Err(Error::Corrupt { column, .. }) => {
                let id: Uuid = row.try_get("", "id")?;
                error!(%id, column, "a row of `connection` holds an unknown value and is left out of the list");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}

impl StateFilter {
    /// The condition, with its values pushed: [`Connection::state_at`] in SQL.
    fn sql(&self, values: &mut Vec<Value>) -> String {
        values.push(self.state.as_str().into());
        let stored = format!("c.state = ${}", values.len());
        let over = over(&self.refreshing, values);
        match self.state.as_str() {
            "active" => format!(" AND {stored} AND NOT {over}"),
            "reauthorization_required" => format!(" AND ({stored} OR {over})"),
            _ => format!(" AND {stored}"),
        }
    }
}

/// Whether a token is over and cannot be refreshed, with the values pushed.
fn over(refreshing: &[ConnectorId], values: &mut Vec<Value>) -> String {
    let mut refreshed = Vec::with_capacity(refreshing.len());
    for connector in refreshing {
        values.push(connector.as_str().into());
        refreshed.push(format!("${}", values.len()));
    }
    // SQL knows no empty list.
    let others =
        if refreshed.is_empty() { "TRUE" } else { &format!("c.connector NOT IN ({})", refreshed.join(", ")) };
    format!(
        "(c.state = 'active' AND t.expires_at IS NOT NULL AND t.expires_at <= m.now \
         AND (t.sealed_refresh IS NULL OR {others}))"
    )
}
