//! What is to be told of connections: rows that the database writes where a state changes, taken out when it is told.

use time::OffsetDateTime;

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

impl Conn<'_> {
    /// Takes up to `limit` changes out, oldest first; what another replica tells at this moment is passed over. They are
    /// gone with the caller's commit: one that fails leaves them to be told again.
    pub async fn take_changes(&self, limit: u32) -> Result<Vec<Change>, Error> {
        let lock = if self.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
        let sql = format!(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT $1{lock}) \
             RETURNING id, at, app, connector, flow, before, state, reason"
        );
        let mut taken = Vec::new();
        for row in self.all(sql, vec![i64::from(limit).into()]).await? {
            let corrupt = |column| Error::Corrupt { table: TABLE, column };
            let text = |column: &str| row.try_get::<String>("", column);
            let reason: Option<String> = row.try_get("", "reason")?;
            let change = Change {
                at: from_micros(row.try_get("", "at")?),
                app: AppId::parse(&text("app")?).map_err(|_| corrupt("app"))?,
                connector: ConnectorId::parse(&text("connector")?).map_err(|_| corrupt("connector"))?,
                flow: Flow::parse(&text("flow")?).ok_or(corrupt("flow"))?,
                before: text("before")?,
                state: State::parse(&text("state")?, reason.as_deref()).ok_or(corrupt("state"))?,
            };
            taken.push((row.try_get::<i64>("", "id")?, change));
        }
        // The order of RETURNING is nobody's promise.
        taken.sort_by_key(|(id, _)| *id);
        Ok(taken.into_iter().map(|(_, change)| change).collect())
    }
}
