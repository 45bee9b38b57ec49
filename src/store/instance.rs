//! The instance row and the wrapped data keys.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, QuerySelect};
use uuid::Uuid;

use crate::model::secret::{Sealed, WrappedKey};
use crate::model::time::from_micros;
use crate::store::entity::{data_key, instance};
use crate::store::{Conn, Error};

/// The instance as stored.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// As stored by `init`.
    pub public_url: Option<String>,
    /// Its own data key.
    pub data_key: WrappedKey,
    /// The key of all keyed hashes, sealed.
    pub sealed_hash_key: Sealed,
    /// When it was made.
    pub created_at: time::OffsetDateTime,
}

impl Conn<'_> {
    /// The instance, or `None` on a database without a schema or before `init`. Reads only.
    pub async fn find_instance(&self) -> Result<Option<Instance>, Error> {
        if !self.has_schema().await? {
            return Ok(None);
        }
        let Some(row) = instance::Entity::find_by_id(1).one(&self.db()).await? else { return Ok(None) };
        let corrupt = Error::Corrupt { table: "instance", column: "data_key_id" };
        let data_key = self.find_data_key(row.data_key_id).await?.ok_or(corrupt)?;
        Ok(Some(Instance {
            name: row.name,
            public_url: row.public_url,
            sealed_hash_key: Sealed { key_id: data_key.id, bytes: row.sealed_hash_key },
            data_key,
            created_at: from_micros(row.created_at),
        }))
    }

    /// Writes the instance row, once.
    pub async fn insert_instance(
        &self,
        name: &str,
        public_url: Option<&str>,
        data_key: &WrappedKey,
        sealed_hash_key: &Sealed,
    ) -> Result<(), Error> {
        self.insert_data_key(data_key).await?;
        let row = instance::ActiveModel {
            id: Set(1),
            name: Set(name.to_owned()),
            public_url: Set(public_url.map(str::to_owned)),
            data_key_id: Set(data_key.id),
            sealed_hash_key: Set(sealed_hash_key.bytes.clone()),
            created_at: Set(self.now_us()),
        };
        instance::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Stores a wrapped data key.
    pub async fn insert_data_key(&self, key: &WrappedKey) -> Result<(), Error> {
        let row = data_key::ActiveModel {
            id: Set(key.id),
            kek_id: Set(key.kek_id.clone()),
            wrapped: Set(key.bytes.clone()),
            created_at: Set(self.now_us()),
        };
        data_key::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// A wrapped data key by id; `None` once destroyed.
    pub async fn find_data_key(&self, id: Uuid) -> Result<Option<WrappedKey>, Error> {
        let row = data_key::Entity::find_by_id(id).one(&self.db()).await?;
        Ok(row.map(|row| WrappedKey { id: row.id, kek_id: row.kek_id, bytes: row.wrapped }))
    }

    async fn has_schema(&self) -> Result<bool, Error> {
        use sea_orm::ConnectionTrait;
        let sql = if self.is_postgres() {
            "SELECT 1 AS n WHERE to_regclass('instance') IS NOT NULL"
        } else {
            "SELECT 1 AS n FROM sqlite_master WHERE type = 'table' AND name = 'instance'"
        };
        let statement = sea_orm::Statement::from_string(self.backend(), sql);
        Ok(self.db().query_one_raw(statement).await?.is_some())
    }

    /// Whether the database answers a read.
    pub async fn ping(&self) -> Result<(), Error> {
        data_key::Entity::find()
            .select_only()
            .column(data_key::Column::Id)
            .limit(1)
            .into_tuple::<Uuid>()
            .one(&self.db())
            .await?;
        Ok(())
    }
}
