//! Client ids and secrets at providers, owned by the instance or by one app.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{JoinType, QuerySelect, RelationDef};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connector::ConnectorId;
use crate::model::secret::{Sealed, WrappedKey};
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::connector_credentials::{ActiveModel, Column, Entity, Model};
use crate::store::entity::data_key;
use crate::store::{Conn, Error};

/// The table's name, for the places of its ciphertexts.
pub const TABLE: &str = "connector_credentials";

/// Longest time that a provider's limit on one connection holds back the others of the same credentials.
pub const HOLD_MAX: Duration = Duration::from_secs(60);

/// Credentials as stored, with the data key of their sealed columns.
#[derive(Clone, Debug)]
pub struct StoredCredentials {
    /// Row id.
    pub id: Uuid,
    /// Of which connector.
    pub connector: ConnectorId,
    /// Owner; `None`: the instance.
    pub app: Option<AppId>,
    /// Our client id there.
    pub client_id: String,
    /// The secret; `None` for public clients.
    pub sealed_secret: Option<Sealed>,
    /// A second live secret of the same client id.
    pub sealed_previous: Option<Sealed>,
    /// Data key of the sealed columns.
    pub key: WrappedKey,
    /// Asked for instead of the definition's.
    pub scopes: Option<Vec<String>>,
    /// URL variables these credentials fix.
    pub params: BTreeMap<String, String>,
    /// Token endpoint's origin the secrets are bound to.
    pub origin: String,
    /// Counts changes.
    pub version: i64,
    /// Whether new consents use it.
    pub current: bool,
    /// Keyed hash over whose they are and all that is plain: worth nothing until it was checked.
    pub own_mac: Vec<u8>,
    /// Until when the provider limits them; beside the hash: it can only delay, and not for long.
    pub held_until: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was changed last.
    pub updated_at: OffsetDateTime,
}

impl Conn<'_> {
    /// The current credentials of exactly this owner.
    pub async fn find_own_credentials(
        &self,
        app: Option<&AppId>,
        connector: &ConnectorId,
    ) -> Result<Option<StoredCredentials>, Error> {
        let own = Entity::find()
            .filter(Column::Connector.eq(connector.as_str()))
            .filter(Column::App.eq(owner(app)))
            .filter(Column::Current.eq(true));
        self.one_with_key(own).await
    }

    /// What a consent for this app uses: the app's own credentials, else the instance's.
    pub async fn find_credentials_for(
        &self,
        app: &AppId,
        connector: &ConnectorId,
    ) -> Result<Option<StoredCredentials>, Error> {
        match self.find_own_credentials(Some(app), connector).await? {
            Some(own) => Ok(Some(own)),
            None => self.find_own_credentials(None, connector).await,
        }
    }

    /// By row id, current or replaced, not removed: what a connection was made with.
    pub async fn find_credentials(&self, id: Uuid) -> Result<Option<StoredCredentials>, Error> {
        self.one_with_key(Entity::find_by_id(id).filter(Column::RemovedAt.is_null())).await
    }

    /// Connectors that have credentials of the instance or of this app.
    pub async fn list_connectors_with_credentials(&self, app: &AppId) -> Result<Vec<ConnectorId>, Error> {
        let rows = Entity::find()
            .filter(Column::Current.eq(true))
            .filter(Column::App.is_in([owner(None), owner(Some(app))]))
            .all(&self.db())
            .await?;
        let mut ids = rows.iter().map(connector_of).collect::<Result<Vec<_>, _>>()?;
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Stores a new row.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the owner has this client id already, or others that new consents use.
    pub async fn insert_credentials(&self, new: &StoredCredentials) -> Result<(), Error> {
        Entity::insert(to_row(new, self.now_us())).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Takes credentials out of use for new consents that are in use at version `seen`; says whether they were.
    /// Connections made with them keep refreshing.
    pub async fn retire_credentials(&self, id: Uuid, seen: i64) -> Result<bool, Error> {
        let written = Entity::update_many()
            .col_expr(Column::Current, Expr::value(false))
            .filter(Column::Id.eq(id))
            .filter(Column::Version.eq(seen))
            .filter(Column::Current.eq(true))
            .exec(&self.db())
            .await?;
        Ok(written.rows_affected == 1)
    }

    /// The row of this owner's client id, current or not, removed or not: written again, it serves the
    /// connections that were made with it.
    pub async fn find_credentials_of_client(
        &self,
        app: Option<&AppId>,
        connector: &ConnectorId,
        client_id: &str,
    ) -> Result<Option<StoredCredentials>, Error> {
        let of_client = Entity::find()
            .filter(Column::Connector.eq(connector.as_str()))
            .filter(Column::App.eq(owner(app)))
            .filter(Column::ClientId.eq(client_id));
        self.one_with_key(of_client).await
    }

    /// Writes a row anew that is still at version `seen`, and takes it back into use; says whether it was.
    pub async fn replace_credentials(
        &self,
        credentials: &StoredCredentials,
        seen: i64,
    ) -> Result<bool, Error> {
        let row = to_row(credentials, self.now_us());
        let written = Entity::update_many()
            .set(row)
            .filter(Column::Id.eq(credentials.id))
            .filter(Column::Version.eq(seen))
            .exec(&self.db())
            .await?;
        Ok(written.rows_affected == 1)
    }

    /// Erases the secrets and hashes of a connector's rows, of one owner or of all. The rows stay, so that storing the same
    /// client id again serves the connections that were made with it.
    pub async fn remove_credentials(
        &self,
        connector: &ConnectorId,
        of: Option<Option<&AppId>>,
    ) -> Result<u64, Error> {
        let mut removal = Entity::update_many()
            .col_expr(Column::SealedSecret, Expr::value(None::<Vec<u8>>))
            .col_expr(Column::SealedPrevious, Expr::value(None::<Vec<u8>>))
            .col_expr(Column::OwnMac, Expr::value(Vec::<u8>::new()))
            .col_expr(Column::Current, Expr::value(false))
            .col_expr(Column::RemovedAt, Expr::value(self.now_us()))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1_i64))
            .filter(Column::Connector.eq(connector.as_str()))
            .filter(Column::RemovedAt.is_null());
        if let Some(app) = of {
            removal = removal.filter(Column::App.eq(owner(app)));
        }
        Ok(removal.exec(&self.db()).await?.rows_affected)
    }

    /// Holds back every connection of these credentials until `until`, at most [`HOLD_MAX`] from now; a hold that
    /// lasts longer stays.
    pub async fn hold_credentials(&self, id: Uuid, until: OffsetDateTime) -> Result<(), Error> {
        let (clock, clock_value) = self.clock_sql(1);
        let most = i64::try_from(HOLD_MAX.as_micros()).unwrap_or(i64::MAX);
        let latest = format!("({clock} + {most})");
        let sql = format!(
            "UPDATE connector_credentials SET held_until = CASE WHEN $2 < {latest} THEN $2 ELSE {latest} END \
             WHERE id = $3 AND (held_until IS NULL OR held_until < $2 OR held_until > {latest})"
        );
        self.run(sql, vec![clock_value, to_micros(until).into(), id.into()]).await?;
        Ok(())
    }

    /// The row and its data key, by one SELECT.
    async fn one_with_key(&self, of: Select<Entity>) -> Result<Option<StoredCredentials>, Error> {
        let sealed_with: RelationDef =
            Entity::belongs_to(data_key::Entity).from(Column::KeyId).to(data_key::Column::Id).into();
        let joined = of.join(JoinType::LeftJoin, sealed_with).select_also(data_key::Entity);
        let Some((row, key)) = joined.one(&self.db()).await? else { return Ok(None) };
        let key = key.ok_or(Error::Corrupt { table: TABLE, column: "key_id" })?;
        from_row(row, WrappedKey { id: key.id, kek_id: key.kek_id, bytes: key.wrapped }).map(Some)
    }
}

fn owner(app: Option<&AppId>) -> &str {
    app.map_or("", AppId::as_str)
}

fn connector_of(row: &Model) -> Result<ConnectorId, Error> {
    ConnectorId::parse(&row.connector).map_err(|_| Error::Corrupt { table: TABLE, column: "connector" })
}

fn from_row(row: Model, key: WrappedKey) -> Result<StoredCredentials, Error> {
    let corrupt = |column| Error::Corrupt { table: TABLE, column };
    let sealed = |bytes: Vec<u8>| Sealed { key_id: key.id, bytes };
    let app =
        if row.app.is_empty() { None } else { Some(AppId::parse(&row.app).map_err(|_| corrupt("app"))?) };
    let scopes = row.scopes.clone().map(serde_json::from_value).transpose().map_err(|_| corrupt("scopes"))?;
    Ok(StoredCredentials {
        id: row.id,
        connector: connector_of(&row)?,
        app,
        client_id: row.client_id,
        sealed_secret: row.sealed_secret.map(sealed),
        sealed_previous: row.sealed_previous.map(sealed),
        scopes,
        params: serde_json::from_value(row.params).map_err(|_| corrupt("params"))?,
        origin: row.origin,
        version: row.version,
        current: row.current,
        own_mac: row.own_mac,
        held_until: row.held_until.map(from_micros),
        created_at: from_micros(row.created_at),
        updated_at: from_micros(row.updated_at),
        key,
    })
}

fn to_row(credentials: &StoredCredentials, now_us: i64) -> ActiveModel {
    ActiveModel {
        id: Set(credentials.id),
        connector: Set(credentials.connector.to_string()),
        app: Set(owner(credentials.app.as_ref()).to_owned()),
        client_id: Set(credentials.client_id.clone()),
        sealed_secret: Set(credentials.sealed_secret.clone().map(|sealed| sealed.bytes)),
        sealed_previous: Set(credentials.sealed_previous.clone().map(|sealed| sealed.bytes)),
        key_id: Set(credentials.key.id),
        scopes: Set(credentials.scopes.as_ref().map(|scopes| serde_json::json!(scopes))),
        params: Set(serde_json::json!(credentials.params)),
        origin: Set(credentials.origin.clone()),
        version: Set(credentials.version),
        current: Set(credentials.current),
        own_mac: Set(credentials.own_mac.clone()),
        held_until: NotSet,
        created_at: Set(to_micros(credentials.created_at)),
        updated_at: Set(now_us),
        removed_at: Set(None),
    }
}
