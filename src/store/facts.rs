//! What is there to know of a database before it is worked with? Its schema, its server, its keys. Reads only.

use sea_orm_migration::MigratorTrait;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::secret::WrappedKey;
use crate::model::time::from_micros;
use crate::store::{Conn, Error};

/// The schema beside the one of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Changes of this release that the database has not seen.
    pub missing: usize,
    /// Changes that this release does not know.
    pub unknown: usize,
}

/// What a PostgreSQL server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Such as 150004.
    pub version: i32,
    /// Whether it takes no writes.
    pub read_only: bool,
    /// Servers that follow it.
    pub standbys: i64,
    /// Whether a commit waits for one of them.
    pub synchronous: bool,
    /// Its clock.
    pub now: OffsetDateTime,
}

impl Server {
    /// Whether a fail-over may bring back what was before the last commits.
    pub fn may_forget(&self) -> bool {
        self.standbys > 0 && !self.synchronous
    }
}

/// A wrapped data key, and the app it belongs to.
#[derive(Clone, Debug)]
pub struct OwnedKey {
    /// The key.
    pub key: WrappedKey,
    /// `None`: the instance's, or nobody's any more.
    pub app: Option<String>,
}

impl Conn<'_> {
    /// The schema, compared.
    pub async fn compare_schema(&self) -> Result<Schema, Error> {
        let rows = self.all("SELECT version FROM seaql_migrations".to_owned(), Vec::new()).await?;
        let applied: Vec<String> =
            rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
        let migrations = jeton_migration::Migrator::migrations();
        let known: Vec<&str> = migrations.iter().map(|migration| migration.name()).collect();
        Ok(Schema {
            missing: known.iter().filter(|name| !applied.iter().any(|one| one == *name)).count(),
            unknown: applied.iter().filter(|one| !known.contains(&one.as_str())).count(),
        })
    }

    /// The PostgreSQL server; `None` on SQLite.
    pub async fn ask_server(&self) -> Result<Option<Server>, Error> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let sql = "SELECT current_setting('server_version_num')::int AS version, \
                   (pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool) AS read_only, \
                   (SELECT count(*) FROM pg_stat_replication) AS standbys, \
                   (current_setting('synchronous_standby_names') <> '') AS synchronous, \
                   (extract(epoch from clock_timestamp()) * 1000000)::bigint AS now";
        let Some(row) = self.one(sql.to_owned(), Vec::new()).await? else { return Ok(None) };
        Ok(Some(Server {
            version: row.try_get("", "version")?,
            read_only: row.try_get("", "read_only")?,
            standbys: row.try_get("", "standbys")?,
            synchronous: row.try_get("", "synchronous")?,
            now: from_micros(row.try_get("", "now")?),
        }))
    }

    /// Every wrapped data key.
    pub async fn list_data_keys(&self) -> Result<Vec<OwnedKey>, Error> {
        let sql = "SELECT k.id, k.kek_id, k.wrapped, a.id AS app FROM data_key k \
                   LEFT JOIN app a ON a.data_key_id = k.id ORDER BY k.id";
        let owned = |row: &sea_orm::QueryResult| {
            let id: Uuid = row.try_get("", "id")?;
            let key =
                WrappedKey { id, kek_id: row.try_get("", "kek_id")?, bytes: row.try_get("", "wrapped")? };
            Ok(OwnedKey { key, app: row.try_get("", "app")? })
        };
        self.all(sql.to_owned(), Vec::new()).await?.iter().map(owned).collect()
    }

    /// Connectors that anybody has credentials for.
    pub async fn list_connectors_in_use(&self) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT connector FROM connector_credentials WHERE removed_at IS NULL ORDER BY connector";
        let rows = self.all(sql.to_owned(), Vec::new()).await?;
        Ok(rows.iter().map(|row| row.try_get("", "connector")).collect::<Result<_, _>>()?)
    }
}
