//! Which connectors were defined at run time, and which origin are their secrets bound to?

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::model::app::AppId;
use crate::model::connector::{ConnectorId, Definition};
use crate::model::secret::Sealed;
use crate::model::token_set::TokenSetId;
use crate::store::entity::{connection, connector, token_set};
use crate::store::{Conn, Error};

/// A custom definition as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomConnector {
    /// The definition, as it is now.
    pub definition: Definition,
    /// Origins of the definition that were confirmed; while one is missing, its connections are parked.
    pub confirmed_origins: BTreeSet<String>,
    /// Counts changes.
    pub version: i64,
}

/// A refresh token that is bound to an origin.
#[derive(Clone, Debug)]
pub struct BoundToken {
    /// Of which token set.
    pub id: TokenSetId,
    /// Of which tenant.
    pub app: AppId,
    /// As stored.
    pub sealed: Sealed,
    /// The origin it is bound to.
    pub origin: String,
}

impl Conn<'_> {
    /// Custom definitions by id, deleted ones left out.
    pub async fn list_connectors(&self) -> Result<Vec<CustomConnector>, Error> {
        let rows = connector::Entity::find()
            .filter(connector::Column::DeletedAt.is_null())
            .order_by_asc(connector::Column::Id)
            .all(&self.db())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// A custom definition by its id; aliases are the caller's business.
    pub async fn find_connector(&self, id: &ConnectorId) -> Result<Option<CustomConnector>, Error> {
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
    pub async fn insert_connector(&self, definition: &Definition) -> Result<(), Error> {
        let row = connector::ActiveModel {
            id: Set(definition.id.to_string()),
            definition: Set(json(definition)?),
            confirmed_origins: Set(joined(&definition.origins())),
            version: Set(1),
            created_at: Set(self.now_us()),
            updated_at: Set(self.now_us()),
            deleted_at: Set(None),
        };
        connector::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Replaces a definition that is still at version `seen`; says whether it was.
    pub async fn update_connector(
        &self,
        definition: &Definition,
        confirmed_origins: &BTreeSet<String>,
        seen: i64,
    ) -> Result<bool, Error> {
        let row = connector::ActiveModel {
            definition: Set(json(definition)?),
            confirmed_origins: Set(joined(confirmed_origins)),
            version: Set(seen.saturating_add(1)),
            updated_at: Set(self.now_us()),
            ..Default::default()
        };
        self.write_connector(&definition.id, seen, row).await
    }

    /// Leaves a tombstone of a definition that is still at version `seen`; says whether it was.
    pub async fn bury_connector(&self, id: &ConnectorId, seen: i64) -> Result<bool, Error> {
        let row = connector::ActiveModel {
            version: Set(seen.saturating_add(1)),
            deleted_at: Set(Some(self.now_us())),
            ..Default::default()
        };
        self.write_connector(id, seen, row).await
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
        app: app.clone(),
        sealed: Sealed { key_id: set.key_id, bytes: set.sealed_refresh? },
        origin: set.origin,
    })
}

fn json(definition: &Definition) -> Result<Json, Error> {
    serde_json::to_value(definition).map_err(|_| CORRUPT)
}

const CORRUPT: Error = Error::Corrupt { table: "connector", column: "definition" };

fn read(row: connector::Model) -> Result<CustomConnector, Error> {
    Ok(CustomConnector {
        definition: serde_json::from_value(row.definition).map_err(|_| CORRUPT)?,
        confirmed_origins: row.confirmed_origins.split_whitespace().map(str::to_owned).collect(),
        version: row.version,
    })
}

fn joined(origins: &BTreeSet<String>) -> String {
    origins.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
