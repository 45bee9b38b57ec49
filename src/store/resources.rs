//! Rows of other resource servers.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::model::grant::GrantedScope;
use crate::model::resource::{Resource, ResourceScope};
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::resource;
use crate::store::{Conn, Error};

impl Conn<'_> {
    /// A resource server by its URI, compared byte for byte.
    pub async fn find_resource(&self, uri: &str) -> Result<Option<Resource>, Error> {
        resource::Entity::find_by_id(uri).one(&self.db()).await?.map(read).transpose()
    }

    /// Resource servers by URI, from the one after `after`.
    pub async fn list_resources(&self, after: Option<&str>, limit: u64) -> Result<Vec<Resource>, Error> {
        let mut query = resource::Entity::find().order_by_asc(resource::Column::Uri).limit(limit);
        if let Some(after) = after {
            query = query.filter(resource::Column::Uri.gt(after));
        }
        query.all(&self.db()).await?.into_iter().map(read).collect()
    }

    /// Registers a resource server.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the URI is registered.
    pub async fn insert_resource(&self, resource: &Resource) -> Result<(), Error> {
        resource::Entity::insert(row(resource)).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Writes a resource server as it shall be, where its row still has the version `seen`; says whether it had.
    pub async fn update_resource(&self, resource: &Resource, seen: i64) -> Result<bool, Error> {
        let done = resource::Entity::update_many()
            .set(row(resource))
            .filter(resource::Column::Uri.eq(resource.uri.as_str()))
            .filter(resource::Column::Version.eq(seen))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Deletes a resource server; says whether it was there.
    pub async fn delete_resource(&self, uri: &str) -> Result<bool, Error> {
        Ok(resource::Entity::delete_by_id(uri).exec(&self.db()).await?.rows_affected == 1)
    }
}

fn row(resource: &Resource) -> resource::ActiveModel {
    let scopes: Vec<_> = resource.scopes.iter().map(ResourceScope::as_str).collect();
    resource::ActiveModel {
        uri: Set(resource.uri.as_str().to_owned()),
        name: Set(resource.name.clone()),
        scopes: Set(scopes.join(" ")),
        version: Set(resource.version),
        created_at: Set(to_micros(resource.created_at)),
    }
}

fn read(row: resource::Model) -> Result<Resource, Error> {
    let corrupt = |column| Error::Corrupt { table: "resource", column };
    let scope = GrantedScope::parse(&row.scopes).ok_or(corrupt("scopes"))?;
    Ok(Resource {
        uri: row.uri.try_into().map_err(|_| corrupt("uri"))?,
        name: row.name,
        scopes: scope.of_resource,
        version: row.version,
        created_at: from_micros(row.created_at),
    })
}
