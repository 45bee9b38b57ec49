//! Which connectors were defined at run time, and which origin are their secrets bound to?

use sea_orm::ActiveValue::Set;
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;

use crate::model::connector::{ConnectorId, Definition};
use crate::store::entity::connector;
use crate::store::{Conn, Error};

/// A custom definition as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomConnector {
    /// The definition, as it is now.
    pub definition: Definition,
    /// The token endpoint's origin that was last confirmed; another than the definition's own: its
    /// connections are parked.
    pub confirmed_origin: String,
    /// Counts changes.
    pub version: i64,
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
            origin: Set(definition.token_origin()),
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
        confirmed_origin: &str,
        seen: i64,
    ) -> Result<bool, Error> {
        let row = connector::ActiveModel {
            definition: Set(json(definition)?),
            origin: Set(confirmed_origin.to_owned()),
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

fn json(definition: &Definition) -> Result<Json, Error> {
    serde_json::to_value(definition).map_err(|_| CORRUPT)
}

const CORRUPT: Error = Error::Corrupt { table: "connector", column: "definition" };

fn read(row: connector::Model) -> Result<CustomConnector, Error> {
    Ok(CustomConnector {
        definition: serde_json::from_value(row.definition).map_err(|_| CORRUPT)?,
        confirmed_origin: row.origin,
        version: row.version,
    })
}
