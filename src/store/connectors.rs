//! Which connectors were defined at run time, and which origin are their secrets bound to?

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::model::app::AppId;
use crate::model::connector::{ConnectorId, Definition};
use crate::model::secret::Sealed;
use crate::model::token_set::TokenSetId;
use crate::store::entity::{connection, connector, token_set};
use crate::store::{Conn, Error};

/// The table's name, for the hash beside each row.
pub const TABLE: &str = "connector";

/// A custom definition as stored: worth nothing until its hash was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConnector {
    /// Row id.
    pub id: ConnectorId,
    /// The definition as JSON, to the letter.
    pub definition: String,
    /// Origins of the definition that were confirmed, space-separated.
    pub confirmed_origins: String,
    /// Counts changes.
    pub version: i64,
    /// Keyed hash over all of the above.
    pub own_mac: Vec<u8>,
}

impl StoredConnector {
    /// The definition.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the text is none.
    pub fn parse(&self) -> Result<Definition, Error> {
        serde_json::from_str(&self.definition)
            .map_err(|_| Error::Corrupt { table: TABLE, column: "definition" })
    }

    /// Whether `name` calls this connector, by id or alias, without regard to case.
    pub fn is_called(&self, name: &str) -> bool {
        self.id.as_str().eq_ignore_ascii_case(name)
            || self.parse().is_ok_and(|definition| definition.is_called(name))
    }
}

/// A refresh token that is bound to an origin.
#[derive(Clone, Debug)]
pub struct BoundToken {
    /// Of which token set.
    pub id: TokenSetId,
    /// Of which connection.
    pub connection: Uuid,
    /// Of which tenant.
    pub app: AppId,
    /// As stored.
    pub sealed: Sealed,
    /// The origin it is bound to.
    pub origin: String,
}

impl Conn<'_> {
    /// Custom definitions by id, deleted ones left out.
    pub async fn list_connectors(&self) -> Result<Vec<StoredConnector>, Error> {
        let rows = connector::Entity::find()
            .filter(connector::Column::DeletedAt.is_null())
            .order_by_asc(connector::Column::Id)
            .all(&self.db())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// A custom definition by its id; aliases are the caller's business.
    pub async fn find_connector(&self, id: &ConnectorId) -> Result<Option<StoredConnector>, Error> {
        let row = connector::Entity::find_by_id(id.as_str())
            .filter(connector::Column::DeletedAt.is_null())
            .one(&self.db())
            .await?;
        row.map(read).transpose()
    }

    /// Stores a new definition.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] for an id that is or ever was in use.
    pub async fn insert_connector(&self, new: &StoredConnector) -> Result<(), Error> {
        let row = connector::ActiveModel {
            id: Set(new.id.to_string()),
            created_at: Set(self.now_us()),
            ..self.written(new)
        };
        connector::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Replaces a definition that is still at version `seen`; says whether it was.
    pub async fn update_connector(&self, new: &StoredConnector, seen: i64) -> Result<bool, Error> {
        self.write_connector(&new.id, seen, self.written(new)).await
    }

    /// Leaves a tombstone of a definition that is still at version `seen`, without its hash; says whether it was.
    pub async fn bury_connector(&self, id: &ConnectorId, seen: i64) -> Result<bool, Error> {
        let row = connector::ActiveModel {
            version: Set(seen.saturating_add(1)),
            own_mac: Set(Vec::new()),
            deleted_at: Set(Some(self.now_us())),
            ..Default::default()
        };
        self.write_connector(id, seen, row).await
    }

    /// Locks every connection of the connector: a refresh that lands has then either landed, or waits. SQLite has one
    /// writer.
    pub async fn lock_connections_of(&self, id: &ConnectorId) -> Result<(), Error> {
        if self.is_postgres() {
            let sql = "SELECT id FROM connection WHERE connector = $1 ORDER BY id FOR UPDATE";
            self.all(sql.to_owned(), vec![id.as_str().into()]).await?;
        }
        Ok(())
    }

    /// Refresh tokens of the connector that are bound to another origin than `origin`.
    pub async fn list_tokens_bound_elsewhere(
        &self,
        id: &ConnectorId,
        origin: &str,
    ) -> Result<Vec<BoundToken>, Error> {
        let connections: Vec<(Uuid, String)> = connection::Entity::find()
            .filter(connection::Column::Connector.eq(id.as_str()))
            .select_only()
            .columns([connection::Column::Id, connection::Column::App])
            .into_tuple()
            .all(&self.db())
            .await?;
        let apps: BTreeMap<Uuid, String> = connections.into_iter().collect();
        let mut tokens = Vec::new();
        for (connection, app) in &apps {
            let app = AppId::parse(app).map_err(|_| Error::Corrupt { table: "connection", column: "app" })?;
            let sets = token_set::Entity::find()
                .filter(token_set::Column::ConnectionId.eq(*connection))
                .filter(token_set::Column::Origin.ne(origin))
                .filter(token_set::Column::SealedRefresh.is_not_null())
                .all(&self.db())
                .await?;
            tokens.extend(sets.into_iter().filter_map(|set| bound(set, &app)));
        }
        Ok(tokens)
    }

    /// Binds a refresh token, sealed anew, to `origin`.
    pub async fn rebind_token(&self, id: TokenSetId, sealed: &Sealed, origin: &str) -> Result<(), Error> {
        let row = token_set::ActiveModel {
            id: Set(id.0),
            sealed_refresh: Set(Some(sealed.bytes.clone())),
            origin: Set(origin.to_owned()),
            ..Default::default()
        };
        token_set::Entity::update(row).exec(&self.db()).await?;
        Ok(())
    }

    fn written(self, new: &StoredConnector) -> connector::ActiveModel {
        connector::ActiveModel {
            definition: Set(new.definition.clone()),
            confirmed_origins: Set(new.confirmed_origins.clone()),
            version: Set(new.version),
            own_mac: Set(new.own_mac.clone()),
            updated_at: Set(self.now_us()),
            ..Default::default()
        }
    }

    async fn write_connector(
        &self,
        id: &ConnectorId,
        seen: i64,
        row: connector::ActiveModel,
    ) -> Result<bool, Error> {
        let written = connector::Entity::update_many()
            .set(row)
            .filter(connector::Column::Id.eq(id.as_str()))
            .filter(connector::Column::Version.eq(seen))
            .filter(connector::Column::DeletedAt.is_null())
            .exec(&self.db())
            .await?;
        Ok(written.rows_affected == 1)
    }
}

fn bound(set: token_set::Model, app: &AppId) -> Option<BoundToken> {
    Some(BoundToken {
        id: TokenSetId(set.id),
        connection: set.connection_id,
        app: app.clone(),
        sealed: Sealed { key_id: set.key_id, bytes: set.sealed_refresh? },
        origin: set.origin,
    })
}

fn read(row: connector::Model) -> Result<StoredConnector, Error> {
    Ok(StoredConnector {
        id: ConnectorId::parse(&row.id).map_err(|_| Error::Corrupt { table: TABLE, column: "id" })?,
        definition: row.definition,
        confirmed_origins: row.confirmed_origins,
        version: row.version,
        own_mac: row.own_mac,
    })
}
