//! Rows of authorization codes and of what people agreed to.

use sea_orm::ActiveValue::Set;
use sea_orm::ExprTrait;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use crate::model::client::ClientId;
use crate::model::grant::{AuthorizationCode, GrantId, GrantedScope};
use crate::model::principal::UserId;
use crate::model::secret::KeyedHash;
use crate::model::time::{from_micros, to_micros};
use crate::model::uri::ResourceUri;
use crate::store::entity::{authorization_code, consent};
use crate::store::{Conn, Error};

/// How long a used code is remembered, so that a second use is known for one, in microseconds: as long as any
/// access token made by it can live.
const REMEMBERED_US: i64 = 25 * 3_600 * 1_000_000;
/// How many codes of one person and client can be redeemed at once: a browser uses the one it got last, and has few tabs.
const WAITING: u64 = 20;
/// How many redeemed ones are remembered: as many as grants live.
const REDEEMED: u64 = 100;
/// `auth_time` of a person whose provider did not tell it: nobody signed in in 1970.
const NOT_KNOWN: i64 = 0;

/// A code as stored.
#[derive(Clone, Debug)]
pub struct StoredCode {
    /// What it stands for.
    pub code: AuthorizationCode,
    /// What its second half is compared with.
    pub hash: Vec<u8>,
    /// Whether it was used.
    pub used: bool,
}

impl Conn<'_> {
    /// Stores a code; forgets those that can tell nothing any more, and the oldest of too many.
    pub async fn insert_code(&self, code: &AuthorizationCode, hash: KeyedHash) -> Result<(), Error> {
        let old = authorization_code::Column::ExpiresAt.lt(self.now_us().saturating_sub(REMEMBERED_US));
        self.sweep::<authorization_code::Entity>(authorization_code::Column::Id, old).await?;
        self.make_room(code.user, &code.client_id).await?;
        let row = authorization_code::ActiveModel {
            id: Set(code.id),
            code_hash: Set(hash.to_vec()),
            grant_id: Set(code.grant.0),
            client_id: Set(code.client_id.to_string()),
            user_id: Set(code.user.0),
            redirect_uri: Set(code.redirect_uri.clone()),
            scopes: Set(code.scope.to_string()),
            resource: Set(code.resource.as_ref().map(|uri| uri.as_str().to_owned())),
            code_challenge: Set(code.code_challenge.clone()),
            nonce: Set(code.nonce.clone()),
            auth_time: Set(code.auth_time.map_or(NOT_KNOWN, to_micros)),
            created_at: Set(self.now_us()),
            expires_at: Set(to_micros(code.expires_at)),
            used_at: Set(None),
        };
        authorization_code::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// For one more code of this person and client.
    async fn make_room(&self, user: UserId, client: &ClientId) -> Result<(), Error> {
        let own = authorization_code::Column::UserId
            .eq(user.0)
            .and(authorization_code::Column::ClientId.eq(client.as_str()));
        let waiting = own.clone().and(authorization_code::Column::UsedAt.is_null());
        let over = waiting.clone().and(authorization_code::Column::ExpiresAt.lte(self.now_us()));
        authorization_code::Entity::delete_many().filter(over).exec(&self.db()).await?;
        let age = (authorization_code::Column::Id, authorization_code::Column::CreatedAt);
        self.keep_newest::<authorization_code::Entity>(age, waiting, WAITING - 1).await?;
        let redeemed = own.and(authorization_code::Column::UsedAt.is_not_null());
        self.keep_newest::<authorization_code::Entity>(age, redeemed, REDEEMED).await
    }

    /// A code, used or not.
    pub async fn find_code(&self, id: Uuid) -> Result<Option<StoredCode>, Error> {
        authorization_code::Entity::find_by_id(id).one(&self.db()).await?.map(read).transpose()
    }

    /// Uses a code, in one statement; whether it could still be.
    pub async fn take_code(&self, id: Uuid) -> Result<bool, Error> {
        let done = authorization_code::Entity::update_many()
            .filter(authorization_code::Column::Id.eq(id))
            .filter(authorization_code::Column::UsedAt.is_null())
            .filter(authorization_code::Column::ExpiresAt.gt(self.now_us()))
            .col_expr(authorization_code::Column::UsedAt, Expr::value(self.now_us()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// What a person agreed to give a client, for this resource server or, without one, for the broker.
    pub async fn find_consent(
        &self,
        user: UserId,
        client: &ClientId,
        resource: Option<&ResourceUri>,
    ) -> Result<GrantedScope, Error> {
        let key = (user.0, client.to_string(), text(resource));
        let row = consent::Entity::find_by_id(key).one(&self.db()).await?;
        let corrupt = Error::Corrupt { table: "consent", column: "scopes" };
        let row = row.filter(|row| self.knows(row, row.own_mac.as_deref()));
        row.map_or(Ok(GrantedScope::default()), |row| GrantedScope::parse(&row.scopes).ok_or(corrupt))
    }

    /// Remembers what a person agreed to, in place of what was remembered.
    pub async fn put_consent(
        &self,
        user: UserId,
        client: &ClientId,
        resource: Option<&ResourceUri>,
        scope: &GrantedScope,
    ) -> Result<(), Error> {
        let mut row = consent::Model {
            user_id: user.0,
            client_id: client.to_string(),
            resource: text(resource),
            scopes: scope.to_string(),
            created_at: self.now_us(),
            own_mac: None,
        };
        row.own_mac = self.sign(&row)?;
        let row = consent::ActiveModel::from(row);
        let key = [consent::Column::UserId, consent::Column::ClientId, consent::Column::Resource];
        let again = OnConflict::columns(key)
            .update_columns([consent::Column::Scopes, consent::Column::CreatedAt, consent::Column::OwnMac])
            .to_owned();
        consent::Entity::insert(row).on_conflict(again).exec_without_returning(&self.db()).await?;
        Ok(())
    }
}

fn text(resource: Option<&ResourceUri>) -> String {
    resource.map(|uri| uri.as_str().to_owned()).unwrap_or_default()
}

pub(super) fn read(row: authorization_code::Model) -> Result<StoredCode, Error> {
    let corrupt = |column| Error::Corrupt { table: "authorization_code", column };
    let code = AuthorizationCode {
        id: row.id,
        grant: GrantId(row.grant_id),
        client_id: ClientId::parse(&row.client_id).ok_or(corrupt("client_id"))?,
        user: UserId(row.user_id),
        redirect_uri: row.redirect_uri,
        scope: GrantedScope::parse(&row.scopes).ok_or(corrupt("scopes"))?,
        resource: row.resource.map(|uri| uri.try_into().map_err(|_| corrupt("resource"))).transpose()?,
        code_challenge: row.code_challenge,
        nonce: row.nonce,
        auth_time: Some(row.auth_time).filter(|at| *at != NOT_KNOWN).map(from_micros),
        expires_at: from_micros(row.expires_at),
    };
    Ok(StoredCode { code, hash: row.code_hash, used: row.used_at.is_some() })
}
