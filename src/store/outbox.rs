//! What is to be told of connections: rows that the database writes where a state changes, taken out when it is told.

use sea_orm::QueryResult;
use time::OffsetDateTime;
use tracing::error;

use crate::model::app::AppId;
use crate::model::connection::{Flow, State};
use crate::model::connector::ConnectorId;
use crate::model::time::from_micros;
use crate::store::{Conn, Error};

const TABLE: &str = "outbox";

/// A connection changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, by the database's clock.
    pub at: OffsetDateTime,
    /// Of which app.
    pub app: AppId,
    /// With which connector.
    pub connector: ConnectorId,
    /// Which connection.
    pub flow: Flow,
    /// Where it stood; without the reason.
    pub before: String,
    /// Where it stands.
    pub state: State,
}

/// What was taken out of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Rows, those that could not be read among them.
    pub rows: usize,
    /// What they tell, oldest first.
    pub changes: Vec<Change>,
}

impl Conn<'_> {
    /// Takes up to `limit` changes out, oldest first; what another replica tells at this moment is passed over. They are
    /// gone with the caller's commit: one that fails leaves them to be told again.
    ///
    /// A row that says what this program never writes is taken out and told as an error: it stops no other.
    pub async fn take_changes(&self, limit: u32) -> Result<Taken, Error> {
        let lock = if self.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
        let sql = format!(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT $1{lock}) \
             RETURNING id, at, app, connector, flow, before, state, reason"
        );
        let rows = self.all(sql, vec![i64::from(limit).into()]).await?;
        let mut taken = Taken { rows: rows.len(), changes: Vec::new() };
        let mut read_rows = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: i64 = row.try_get("", "id")?;
            match read(row) {
                Ok(change) => read_rows.push((id, change)),
                Err(Error::Corrupt { column, .. }) => {
                    error!(
                        id,
                        column,
                        "a row of `outbox` holds an unknown value: somebody changed a connection by SQL"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        // The order of RETURNING is nobody's promise.
        read_rows.sort_by_key(|(id, _)| *id);
        taken.changes = read_rows.into_iter().map(|(_, change)| change).collect();
        Ok(taken)
    }
}

fn read(row: &QueryResult) -> Result<Change, Error> {
    let corrupt = |column| Error::Corrupt { table: TABLE, column };
    let text = |column: &str| row.try_get::<String>("", column);
    let reason: Option<String> = row.try_get("", "reason")?;
    Ok(Change {
        at: from_micros(row.try_get("", "at")?),
        app: AppId::parse(&text("app")?).map_err(|_| corrupt("app"))?,
        connector: ConnectorId::parse(&text("connector")?).map_err(|_| corrupt("connector"))?,
        flow: Flow::parse(&text("flow")?).ok_or(corrupt("flow"))?,
        before: text("before")?,
        state: State::parse(&text("state")?, reason.as_deref()).ok_or(corrupt("state"))?,
    })
}
