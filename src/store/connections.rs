//! Connections: the one SELECT of a hand-out, lists, and small changes.

mod due;
mod list;

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::model::app::{AppId, AppState};
use crate::model::connection::{Connection, Flow, LastError, Rejections, Sending, Sharing, State};
use crate::model::connector::ConnectorId;
use crate::model::secret::{Sealed, WrappedKey};
use crate::model::time::from_micros;
use crate::model::token_set::{Generation, TokenSet, TokenSetId};
use crate::store::{AppRows, Conn, Error};

pub use self::list::{Counted, Filter, Listed, StateFilter};

use self::list::{count, list, list_to_revoke};

/// The table's name, for the hash beside each row.
pub const TABLE: &str = "connection";

/// Why a connection is parked whose connector moved to an unconfirmed origin.
pub const ORIGIN_CHANGED: &str = "origin_changed";

/// The sealed columns of a current token set, with their data key.
#[derive(Clone, Debug)]
pub struct SealedSet {
    /// The access token; `None` once purged.
    pub access: Option<Sealed>,
    /// Extra fields as JSON.
    pub extra: Option<Sealed>,
    /// Their data key; `None` once destroyed.
    pub key: Option<WrappedKey>,
}

/// A connection with its current token set, as one SELECT gave them.
#[derive(Clone, Debug)]
pub struct Held {
    /// The row.
    pub connection: Connection,
    /// Its token set's sealed columns.
    pub sealed: SealedSet,
}

/// What one SELECT said of an app's connections of a connector.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The database's clock.
    pub now: OffsetDateTime,
    /// `None`: no such app.
    pub app_state: Option<AppState>,
    /// Those that match, deleted ones too.
    pub rows: Vec<Held>,
}

const COLUMNS: &str = "c.id, c.app, c.connector, c.flow, c.state, c.reason, c.state_since, c.token_set_id, \
    c.generation, c.last_generation, c.owner, c.owner_mac, c.owner_label, c.shared, c.shared_mac, c.account_fingerprint, c.account_label, c.variables, \
    c.own_mac, c.granted_scope, c.scope_narrowed, c.refresh_expires_at, c.refresh_due_at, c.lifetime_us, c.rotates, \
    c.last_refresh_at, c.last_error_code, c.last_error_at, c.failures, c.retry_at, c.lease_until, c.sends, \
    c.resend_after, c.rejected_count, c.rejected_since, c.credentials_id, c.credentials_version, \
    t.expires_at, t.initial_life_us, (t.sealed_refresh IS NOT NULL) AS refreshable";
const JOIN: &str = "LEFT JOIN token_set t ON t.id = c.token_set_id";

/// What a hand-out reads besides.
const SEALED_COLUMNS: &str = "t.sealed_access, t.sealed_extra, t.key_id, k.kek_id, k.wrapped";
const KEY_JOIN: &str = "LEFT JOIN data_key k ON k.id = t.key_id";

impl AppRows<'_> {
    /// One indexed SELECT: the app's state, the clock, and the connections of this connector (of this flow).
    pub async fn look_up(&self, connector: &ConnectorId, flow: Option<&Flow>) -> Result<Lookup, Error> {
        let (clock, clock_value) = self.conn.clock_sql(3);
        let mut values: Vec<Value> = vec![self.app.as_str().into(), connector.as_str().into(), clock_value];
        let by_flow = flow.map_or("", |flow| {
            values.push(flow.as_str().into());
            " AND c.flow = $4"
        });
        let sql = format!(
            "SELECT a.state AS app_state, {clock} AS now, {COLUMNS}, {SEALED_COLUMNS} FROM app a \
             LEFT JOIN connection c ON c.app = a.id AND c.connector = $2{by_flow} {JOIN} {KEY_JOIN} \
             WHERE a.id = $1 AND a.deleted_at IS NULL LIMIT 101"
        );
        let found = self.conn.all(sql, values).await?;
        let Some(first) = found.first() else {
            return Ok(Lookup { now: from_micros(self.conn.now_us()), app_state: None, rows: Vec::new() });
        };
        let disabled = first.try_get::<String>("", "app_state")? != AppState::Active.as_str();
        Ok(Lookup {
            now: from_micros(first.try_get("", "now")?),
            app_state: Some(if disabled { AppState::Disabled } else { AppState::Active }),
            rows: found
                .iter()
                .filter(|row| matches!(row.try_get::<Option<Uuid>>("", "id"), Ok(Some(_))))
                .map(read_held)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The app's connections, oldest first.
    pub async fn list_connections(&self, filter: &Filter) -> Result<Listed, Error> {
        list(self.conn, Some(self.app), filter).await
    }

    /// The app's connections with a token set that must be revoked at the provider.
    pub async fn list_connections_to_revoke(&self, limit: i64) -> Result<Vec<Connection>, Error> {
        list_to_revoke(self.conn, Some(self.app), limit).await
    }

    /// Sets whether app members may exchange for a connection.
    pub async fn set_shared(&self, id: Uuid, shared: bool) -> Result<(), Error> {
        let mac = self.conn.sign(&Sharing { id, app: self.app, shared })?;
        let sql = "UPDATE connection SET shared = $3, shared_mac = $4 WHERE id = $1 AND app = $2";
        let values = vec![id.into(), self.app.as_str().into(), shared.into(), mac.into()];
        self.conn.run(sql.to_owned(), values).await?;
        Ok(())
    }

    /// Waits until nobody else changes this connection's row, for the length of the transaction.
    pub async fn lock_connection(&self, id: Uuid) -> Result<(), Error> {
        let sql = "UPDATE connection SET flow = flow WHERE id = $1 AND app = $2";
        self.conn.run(sql.to_owned(), vec![id.into(), self.app.as_str().into()]).await?;
        Ok(())
    }

    /// Whether there is a connection that was not deleted.
    pub async fn has_connections(&self) -> Result<bool, Error> {
        let sql = "SELECT 1 AS n FROM connection WHERE app = $1 AND state <> 'revoked' LIMIT 1";
        Ok(self.conn.one(sql.to_owned(), vec![self.app.as_str().into()]).await?.is_some())
    }

    /// Deletes in place: the state becomes `revoked` and every unspent set is marked for revocation.
    pub async fn revoke_connection(&self, id: Uuid) -> Result<(), Error> {
        let (clock, clock_value) = self.conn.clock_sql(3);
        let sql = format!(
            "UPDATE connection SET state = 'revoked', reason = NULL, state_since = {clock}, lease_id = NULL, \
             lease_until = NULL, refresh_due_at = NULL WHERE id = $1 AND app = $2"
        );
        self.conn.run(sql, vec![id.into(), self.app.as_str().into(), clock_value]).await?;
        // A set that is spent may still have a refresh on its way, whose answer must not outlive this.
        let sql = "UPDATE token_set SET revoke_pending = (revoke_pending OR NOT spent), deleted = TRUE, \
                   current = FALSE WHERE connection_id = $1";
        self.conn.run(sql.to_owned(), vec![id.into()]).await?;
        Ok(())
    }
}

impl Conn<'_> {
    /// Connections of all apps, oldest first.
    pub async fn list_all_connections(&self, filter: &Filter) -> Result<Listed, Error> {
        list(*self, None, filter).await
    }

    /// How many connections there are, by connector and state as told; `refreshing` as in [`StateFilter`].
    pub async fn count_connections(&self, refreshing: &[ConnectorId]) -> Result<Vec<Counted>, Error> {
        count(*self, refreshing).await
    }

    /// Lets the connections that were parked because the provider refused these credentials try again.
    pub async fn unpark_misconfigured(&self, credentials: Uuid) -> Result<u64, Error> {
        let (clock, clock_value) = self.clock_sql(2);
        let sql = format!(
            "UPDATE connection SET state = 'active', reason = NULL, state_since = {clock}, failures = 0, \
             retry_at = NULL WHERE credentials_id = $1 AND state = 'misconfigured' \
             AND (last_error_code IS NULL OR last_error_code <> '{ORIGIN_CHANGED}')"
        );
        self.run(sql, vec![credentials.into(), clock_value]).await
    }

    /// Parks every active connection of a connector until its new token origin is confirmed.
    pub async fn park_connections(&self, connector: &ConnectorId) -> Result<u64, Error> {
        let (clock, clock_value) = self.clock_sql(2);
        let sql = format!(
            "UPDATE connection SET state = 'misconfigured', reason = NULL, state_since = {clock}, \
             last_error_code = '{ORIGIN_CHANGED}', last_error_at = {clock}, \
             lease_id = NULL, lease_until = NULL \
             WHERE connector = $1 AND state IN ('active', 'misconfigured')"
        );
        self.run(sql, vec![connector.as_str().into(), clock_value]).await
    }

    /// Lets the connections go on that [`Conn::park_connections`] parked.
    pub async fn unpark_connections(&self, connector: &ConnectorId) -> Result<u64, Error> {
        let (clock, clock_value) = self.clock_sql(2);
        let sql = format!(
            "UPDATE connection SET state = 'active', state_since = {clock}, last_error_code = NULL, \
             last_error_at = NULL, failures = 0, retry_at = NULL \
             WHERE connector = $1 AND state = 'misconfigured' AND last_error_code = '{ORIGIN_CHANGED}'"
        );
        self.run(sql, vec![connector.as_str().into(), clock_value]).await
    }

    /// Connections with a token set that must be revoked at the provider, in apps that are not deleted.
    pub async fn list_connections_to_revoke(&self, limit: i64) -> Result<Vec<Connection>, Error> {
        list_to_revoke(*self, None, limit).await
    }

    /// Whether a connection that was not deleted uses the connector.
    pub async fn is_connector_used(&self, connector: &ConnectorId) -> Result<bool, Error> {
        let sql = "SELECT 1 AS n FROM connection WHERE connector = $1 AND state <> 'revoked' LIMIT 1";
        Ok(self.one(sql.to_owned(), vec![connector.as_str().into()]).await?.is_some())
    }

    pub(in crate::store) async fn all(
        &self,
        sql: String,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, Error> {
        Ok(self.db().query_all_raw(Statement::from_sql_and_values(self.backend(), sql, values)).await?)
    }

    pub(in crate::store) async fn one(
        &self,
        sql: String,
        values: Vec<Value>,
    ) -> Result<Option<QueryResult>, Error> {
        Ok(self.db().query_one_raw(Statement::from_sql_and_values(self.backend(), sql, values)).await?)
    }

    pub(in crate::store) async fn run(&self, sql: String, values: Vec<Value>) -> Result<u64, Error> {
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        Ok(self.db().execute_raw(statement).await?.rows_affected())
    }
}

fn read_held(row: &QueryResult) -> Result<Held, Error> {
    let key_id: Option<Uuid> = row.try_get("", "key_id")?;
    let sealed = |column: &str| -> Result<Option<Sealed>, Error> {
        let bytes: Option<Vec<u8>> = row.try_get("", column)?;
        Ok(bytes.zip(key_id).map(|(bytes, key_id)| Sealed { key_id, bytes }))
    };
    let kek_id: Option<String> = row.try_get("", "kek_id")?;
    let wrapped: Option<Vec<u8>> = row.try_get("", "wrapped")?;
    let key = key_id.zip(kek_id).zip(wrapped).map(|((id, kek_id), bytes)| WrappedKey { id, kek_id, bytes });
    let sealed = SealedSet { access: sealed("sealed_access")?, extra: sealed("sealed_extra")?, key };
    Ok(Held { connection: read_connection(row)?, sealed })
}

fn read_connection(row: &QueryResult) -> Result<Connection, Error> {
    let corrupt = |column| Error::Corrupt { table: TABLE, column };
    let text = |column: &str| row.try_get::<String>("", column);
    let optional = |column: &str| row.try_get::<Option<String>>("", column);
    let at = |column: &str| row.try_get::<Option<i64>>("", column).map(|micros| micros.map(from_micros));
    let variables: serde_json::Value = row.try_get("", "variables")?;
    let variables: BTreeMap<String, String> =
        serde_json::from_value(variables).map_err(|_| corrupt("variables"))?;
    let state = State::parse(&text("state")?, optional("reason")?.as_deref()).ok_or(corrupt("state"))?;
    let token_set_id: Option<Uuid> = row.try_get("", "token_set_id")?;
    let token_set = token_set_id.map(|id| read_token_set(row, id)).transpose()?;
    let last_error = optional("last_error_code")?.zip(at("last_error_at")?);
    let credentials: Option<Uuid> = row.try_get("", "credentials_id")?;
    let version: Option<i64> = row.try_get("", "credentials_version")?;
    Ok(Connection {
        id: row.try_get("", "id")?,
        app: AppId::parse(&text("app")?).map_err(|_| corrupt("app"))?,
        connector: ConnectorId::parse(&text("connector")?).map_err(|_| corrupt("connector"))?,
        flow: Flow::parse(&text("flow")?).ok_or(corrupt("flow"))?,
        state,
        since: from_micros(row.try_get("", "state_since")?),
        generation: Generation(row.try_get("", "generation")?),
        last_generation: Generation(row.try_get("", "last_generation")?),
        token_set,
        owner: optional("owner")?,
        owner_mac: row.try_get("", "owner_mac")?,
        owner_label: optional("owner_label")?,
        shared: row.try_get("", "shared")?,
        shared_mac: row.try_get("", "shared_mac")?,
        account_fingerprint: row.try_get("", "account_fingerprint")?,
        account_label: optional("account_label")?,
        variables,
        own_mac: row.try_get("", "own_mac")?,
        granted_scope: optional("granted_scope")?,
        scope_narrowed: row.try_get("", "scope_narrowed")?,
        lifetime: row.try_get::<Option<i64>>("", "lifetime_us")?.map(Duration::microseconds),
        rotates: row.try_get("", "rotates")?,
        refresh_expires_at: at("refresh_expires_at")?,
        refresh_due_at: at("refresh_due_at")?,
        last_refresh_at: at("last_refresh_at")?,
        last_error: last_error.map(|(code, at)| LastError { code, at }),
        failures: row.try_get("", "failures")?,
        retry_at: at("retry_at")?,
        sending: Sending {
            lease_until: at("lease_until")?,
            sends: row.try_get("", "sends")?,
            resend_after: at("resend_after")?,
        },
        rejections: Rejections { count: row.try_get("", "rejected_count")?, since: at("rejected_since")? },
        credentials: credentials.zip(version),
    })
}

fn read_token_set(row: &QueryResult, id: Uuid) -> Result<TokenSet, Error> {
    Ok(TokenSet {
        id: TokenSetId(id),
        expires_at: row.try_get::<Option<i64>>("", "expires_at")?.map(from_micros),
        initial_life: row.try_get::<Option<i64>>("", "initial_life_us")?.map(Duration::microseconds),
        refreshable: row.try_get("", "refreshable")?,
    })
}
