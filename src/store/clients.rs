//! Rows of our OAuth clients and of their secrets' hashes.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{FromQueryResult, QueryOrder, QueryResult, QuerySelect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::model::client::{Allow, Client, ClientId, ClientKind, Location, Role};
use crate::model::grant::GrantedScope;
use crate::model::own::Unchecked;
use crate::model::secret::KeyedHash;
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::{client, client_secret};
use crate::store::{Conn, Error};

/// A live secret of a client, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// Names it.
    pub id: Uuid,
    /// Keyed hash over the row's id.
    pub hash: Vec<u8>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// About when it was last used since a newer one was made.
    pub used_at: Option<OffsetDateTime>,
}

/// What each request of a client reads: a text that stays the same, as building it would take longer than reading.
const CLIENT_AND_SECRETS: &str = "SELECT c.client_id, c.identifier, c.kind, c.role, c.scopes, c.allow, c.resources, \
    c.redirect_uris, c.jwks, c.token_lifetime_s, c.refresh_tokens, c.disabled, c.not_before, c.version, c.own_mac, \
    c.created_at, s.id AS secret_id, s.secret_hash, s.created_at AS secret_created_at, s.used_at AS secret_used_at \
    FROM client c LEFT JOIN client_secret s ON s.client_id = c.client_id WHERE c.client_id = $1 \
    ORDER BY s.created_at, s.id";

impl Conn<'_> {
    /// A client by its id.
    pub async fn find_client(&self, id: &ClientId) -> Result<Option<Unchecked<Client>>, Error> {
        client::Entity::find_by_id(id.as_str()).one(&self.db()).await?.map(unchecked).transpose()
    }

    /// Clients by identifier, from the one after `after`.
    pub async fn list_clients(
        &self,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Unchecked<Client>>, Error> {
        let mut query = client::Entity::find().order_by_asc(client::Column::Identifier).limit(limit);
        if let Some(after) = after {
            query = query.filter(client::Column::Identifier.gt(after));
        }
        query.all(&self.db()).await?.into_iter().map(unchecked).collect()
    }

    /// Adds a client.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the identifier is taken.
    pub async fn insert_client(&self, client: &Client, own_mac: KeyedHash) -> Result<(), Error> {
        client::Entity::insert(row(client, own_mac)).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Writes a client as it shall be, where its row still has the version `seen`; says whether it had.
    pub async fn update_client(&self, client: &Client, own_mac: KeyedHash, seen: i64) -> Result<bool, Error> {
        let done = client::Entity::update_many()
            .set(row(client, own_mac))
            .filter(client::Column::ClientId.eq(client.client_id.as_str()))
            .filter(client::Column::Version.eq(seen))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Deletes a client and its secrets; says whether it was there.
    pub async fn delete_client(&self, id: &ClientId) -> Result<bool, Error> {
        client_secret::Entity::delete_many()
            .filter(client_secret::Column::ClientId.eq(id.as_str()))
            .exec(&self.db())
            .await?;
        self.delete_delivery(id).await?;
        Ok(client::Entity::delete_by_id(id.as_str()).exec(&self.db()).await?.rows_affected == 1)
    }

    /// Takes a client's row lock until the transaction ends; says whether it is there.
    pub async fn lock_client(&self, id: &ClientId) -> Result<bool, Error> {
        let done = client::Entity::update_many()
            .col_expr(client::Column::Version, Expr::col(client::Column::Version))
            .filter(client::Column::ClientId.eq(id.as_str()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// A client and its live secrets, oldest first, by one SELECT.
    pub async fn find_client_and_secrets(
        &self,
        id: &ClientId,
    ) -> Result<Option<(Unchecked<Client>, Vec<ClientSecret>)>, Error> {
        let rows = self.all(CLIENT_AND_SECRETS.to_owned(), vec![id.as_str().into()]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let client = unchecked(client::Model::from_query_result(first, "")?)?;
        let secrets = rows.iter().map(read_secret).filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok(Some((client, secrets)))
    }

    /// The live secrets of a client, oldest first.
    pub async fn list_client_secrets(&self, id: &ClientId) -> Result<Vec<ClientSecret>, Error> {
        let rows = client_secret::Entity::find()
            .filter(client_secret::Column::ClientId.eq(id.as_str()))
            .order_by_asc(client_secret::Column::CreatedAt)
            .order_by_asc(client_secret::Column::Id)
            .all(&self.db())
            .await?;
        Ok(rows.into_iter().map(ClientSecret::from).collect())
    }

    /// Adds a secret's hash.
    pub async fn insert_client_secret(&self, id: &ClientId, secret: &ClientSecret) -> Result<(), Error> {
        let row = client_secret::ActiveModel {
            id: Set(secret.id),
            client_id: Set(id.as_str().to_owned()),
            secret_hash: Set(secret.hash.clone()),
            created_at: Set(to_micros(secret.created_at)),
            used_at: Set(None),
        };
        client_secret::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Deletes a secret of a client; says whether it was there.
    pub async fn delete_client_secret(&self, id: &ClientId, secret: Uuid) -> Result<bool, Error> {
        let done = client_secret::Entity::delete_many()
            .filter(client_secret::Column::Id.eq(secret))
            .filter(client_secret::Column::ClientId.eq(id.as_str()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }
}

fn row(client: &Client, own_mac: KeyedHash) -> client::ActiveModel {
    client::ActiveModel {
        client_id: Set(client.client_id.as_str().to_owned()),
        identifier: Set(client.identifier.clone()),
        kind: Set(client.kind.as_str().to_owned()),
        role: Set(client.role.map(|role| role.as_str().to_owned())),
        scopes: Set(client.scope().to_string()),
        allow: Set(client.allow.0.as_ref().map(json)),
        resources: Set(json(&client.resources)),
        redirect_uris: Set(json(&client.redirect_uris)),
        jwks: Set(client.jwks.as_ref().map(ToString::to_string)),
        token_lifetime_s: Set(client.token_lifetime_s.and_then(|seconds| i32::try_from(seconds).ok())),
        refresh_tokens: Set(client.refresh_tokens),
        disabled: Set(client.disabled),
        not_before: Set(client.not_before.map(to_micros)),
        version: Set(client.version),
        own_mac: Set(own_mac.to_vec()),
        created_at: Set(to_micros(client.created_at)),
    }
}

#[expect(clippy::expect_used, reason = "lists of texts have no key that JSON cannot write")]
fn json<T: Serialize>(value: &T) -> Json {
    serde_json::to_value(value).expect("a list of texts is JSON")
}

impl From<client_secret::Model> for ClientSecret {
    fn from(row: client_secret::Model) -> Self {
        let used_at = row.used_at.map(from_micros);
        Self { id: row.id, hash: row.secret_hash, created_at: from_micros(row.created_at), used_at }
    }
}

/// `None`: the client has no secret.
fn read_secret(row: &QueryResult) -> Result<Option<ClientSecret>, Error> {
    let Some(id) = row.try_get("", "secret_id")? else { return Ok(None) };
    let used_at: Option<i64> = row.try_get("", "secret_used_at")?;
    Ok(Some(ClientSecret {
        id,
        hash: row.try_get("", "secret_hash")?,
        created_at: from_micros(row.try_get("", "secret_created_at")?),
        used_at: used_at.map(from_micros),
    }))
}

fn unchecked(mut row: client::Model) -> Result<Unchecked<Client>, Error> {
    let own_mac = std::mem::take(&mut row.own_mac);
    Ok(Unchecked::new(read(row)?, own_mac))
}

fn read(row: client::Model) -> Result<Client, Error> {
    let corrupt = |column| Error::Corrupt { table: "client", column };
    let role = row.role.map(|role| Role::parse(&role).ok_or(corrupt("role"))).transpose()?;
    let allow: Option<Vec<Location>> = row.allow.map(|allow| list(allow, "allow")).transpose()?;
    let scope = GrantedScope::parse(&row.scopes).ok_or(corrupt("scopes"))?;
    let jwks = row.jwks.map(|jwks| serde_json::from_str(&jwks).map_err(|_| corrupt("jwks"))).transpose()?;
    Ok(Client {
        client_id: ClientId::parse(&row.client_id).ok_or(corrupt("client_id"))?,
        identifier: row.identifier,
        kind: ClientKind::parse(&row.kind).ok_or(corrupt("kind"))?,
        role,
        scopes: scope.own,
        resource_scopes: scope.of_resource,
        allow: Allow(allow),
        resources: list(row.resources, "resources")?,
        redirect_uris: list(row.redirect_uris, "redirect_uris")?,
        jwks,
        token_lifetime_s: row.token_lifetime_s.and_then(|seconds| u32::try_from(seconds).ok()),
        refresh_tokens: row.refresh_tokens,
        disabled: row.disabled,
        not_before: row.not_before.map(from_micros),
        version: row.version,
        created_at: from_micros(row.created_at),
    })
}

fn list<T: DeserializeOwned>(value: Json, column: &'static str) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|_| Error::Corrupt { table: "client", column })
}
