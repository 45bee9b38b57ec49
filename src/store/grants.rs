//! Rows of grants and of their refresh tokens. What is ended is deleted: a token without its grant is worth nothing.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{ExprTrait, QueryOrder, QuerySelect};
use time::OffsetDateTime;

use crate::model::client::ClientId;
use crate::model::grant::{Grant, GrantId, GrantType, GrantedScope};
use crate::model::own::Unchecked;
use crate::model::principal::UserId;
use crate::model::secret::KeyedHash;
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::{authorization_code, consent, device_code, oauth_grant, refresh_token};
use crate::store::sweep::SWEPT;
use crate::store::{Conn, Error};

/// A refresh token as stored.
#[derive(Clone, Debug)]
pub struct StoredRefreshToken {
    /// The family.
    pub grant: GrantId,
    /// What its second half is compared with.
    pub hash: Vec<u8>,
    /// When it ends unused.
    pub expires_at: OffsetDateTime,
    /// Whether it was used.
    pub used: bool,
}

impl Conn<'_> {
    /// Stores a grant.
    pub async fn insert_grant(&self, grant: &Grant, own_mac: KeyedHash) -> Result<(), Error> {
        self.purge_grants().await?;
        let row = oauth_grant::ActiveModel {
            id: Set(grant.id.0),
            client_id: Set(grant.client_id.to_string()),
            user_id: Set(grant.user.map(|user| user.0)),
            begun_by: Set(grant.begun_by.as_str().to_owned()),
            scopes: Set(grant.scope.to_string()),
            resource: Set(grant.resource.as_ref().map(|uri| uri.as_str().to_owned())),
            auth_time: Set(grant.auth_time.map(to_micros)),
            created_at: Set(to_micros(grant.created_at)),
            expires_at: Set(to_micros(grant.expires_at)),
            own_mac: Set(own_mac.to_vec()),
        };
        oauth_grant::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// A grant that has not ended.
    pub async fn find_grant(&self, id: GrantId) -> Result<Option<Unchecked<Grant>>, Error> {
        let live = oauth_grant::Column::ExpiresAt.gt(self.now_us());
        oauth_grant::Entity::find_by_id(id.0).filter(live).one(&self.db()).await?.map(unchecked).transpose()
    }

    /// Takes a grant's row lock until the transaction ends; says whether it has not ended.
    pub async fn lock_grant(&self, id: GrantId) -> Result<bool, Error> {
        let done = oauth_grant::Entity::update_many()
            .col_expr(oauth_grant::Column::ClientId, Expr::col(oauth_grant::Column::ClientId))
            .filter(oauth_grant::Column::Id.eq(id.0))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Ends a grant; whether it had not ended.
    pub async fn end_grant(&self, id: GrantId) -> Result<bool, Error> {
        Ok(self.end_grants(of(oauth_grant::Column::Id.eq(id.0))).await? == 1)
    }

    /// Ends all that a person granted, and forgets what the person agreed to; how many grants that were.
    pub async fn end_grants_of_user(&self, user: UserId) -> Result<u64, Error> {
        let codes = authorization_code::Column::UserId.eq(user.0);
        authorization_code::Entity::delete_many().filter(codes).exec(&self.db()).await?;
        let devices = device_code::Column::UserId.eq(user.0);
        device_code::Entity::delete_many().filter(devices).exec(&self.db()).await?;
        let consents = consent::Column::UserId.eq(user.0);
        consent::Entity::delete_many().filter(consents).exec(&self.db()).await?;
        self.end_grants(of(oauth_grant::Column::UserId.eq(user.0))).await
    }

    /// The grants of this person and client, or of this client for itself, that are older than the `most` newest; some of
    /// them where there are many.
    pub async fn oldest_grants(
        &self,
        user: Option<UserId>,
        client: &ClientId,
        most: u64,
    ) -> Result<Vec<GrantId>, Error> {
        let of_user = match user {
            Some(user) => oauth_grant::Column::UserId.eq(user.0),
            None => oauth_grant::Column::UserId.is_null(),
        };
        let ids: Vec<Uuid> = oauth_grant::Entity::find()
            .select_only()
            .column(oauth_grant::Column::Id)
            .filter(oauth_grant::Column::ClientId.eq(client.as_str()))
            .filter(of_user)
            .filter(oauth_grant::Column::ExpiresAt.gt(self.now_us()))
            .order_by_desc(oauth_grant::Column::CreatedAt)
            .order_by_desc(oauth_grant::Column::Id)
            .limit(SWEPT)
            .offset(most)
            .into_tuple()
            .all(&self.db())
            .await?;
        Ok(ids.into_iter().map(GrantId).collect())
    }

    /// What a person granted and has not ended, newest first.
    pub async fn grants_of_user(&self, user: UserId) -> Result<Vec<Unchecked<Grant>>, Error> {
        let rows = oauth_grant::Entity::find()
            .filter(oauth_grant::Column::UserId.eq(user.0))
            .filter(oauth_grant::Column::ExpiresAt.gt(self.now_us()))
            .order_by_desc(oauth_grant::Column::CreatedAt)
            .all(&self.db())
            .await?;
        rows.into_iter().map(unchecked).collect()
    }

    /// Ends all that a person granted one client and what may still become a grant, and forgets what was agreed to;
    /// whether there was anything at all.
    pub async fn end_grants_between(&self, user: UserId, client: &ClientId) -> Result<bool, Error> {
        let db = self.db();
        let codes = authorization_code::Entity::delete_many()
            .filter(authorization_code::Column::UserId.eq(user.0))
            .filter(authorization_code::Column::ClientId.eq(client.as_str()))
            .exec(&db)
            .await?;
        let devices = device_code::Entity::delete_many()
            .filter(device_code::Column::UserId.eq(user.0))
            .filter(device_code::Column::ClientId.eq(client.as_str()))
            .exec(&db)
            .await?;
        let consents = consent::Entity::delete_many()
            .filter(consent::Column::UserId.eq(user.0))
            .filter(consent::Column::ClientId.eq(client.as_str()))
            .exec(&db)
            .await?;
        let both =
            oauth_grant::Column::UserId.eq(user.0).and(oauth_grant::Column::ClientId.eq(client.as_str()));
        // Last: a code that was being redeemed has left its grant by now.
        let grants = self.end_grants(of(both)).await?;
        let others = [codes, devices, consents].map(|done| done.rows_affected);
        Ok(grants > 0 || others.iter().any(|rows| *rows > 0))
    }

    /// Ends all that a client was granted; how many grants that were.
    pub async fn end_grants_of_client(&self, client: &ClientId) -> Result<u64, Error> {
        let codes = authorization_code::Column::ClientId.eq(client.as_str());
        authorization_code::Entity::delete_many().filter(codes).exec(&self.db()).await?;
        let devices = device_code::Column::ClientId.eq(client.as_str());
        device_code::Entity::delete_many().filter(devices).exec(&self.db()).await?;
        let consents = consent::Column::ClientId.eq(client.as_str());
        consent::Entity::delete_many().filter(consents).exec(&self.db()).await?;
        self.end_grants(of(oauth_grant::Column::ClientId.eq(client.as_str()))).await
    }

    /// Stores a refresh token.
    pub async fn insert_refresh_token(
        &self,
        id: Uuid,
        grant: GrantId,
        hash: KeyedHash,
        expires_at: OffsetDateTime,
    ) -> Result<(), Error> {
        let row = refresh_token::ActiveModel {
            id: Set(id),
            grant_id: Set(grant.0),
            token_hash: Set(hash.to_vec()),
            created_at: Set(self.now_us()),
            expires_at: Set(to_micros(expires_at)),
            used_at: Set(None),
        };
        refresh_token::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// A refresh token, used or not.
    pub async fn find_refresh_token(&self, id: Uuid) -> Result<Option<StoredRefreshToken>, Error> {
        let row = refresh_token::Entity::find_by_id(id).one(&self.db()).await?;
        Ok(row.map(|row| StoredRefreshToken {
            grant: GrantId(row.grant_id),
            hash: row.token_hash,
            expires_at: from_micros(row.expires_at),
            used: row.used_at.is_some(),
        }))
    }

    /// Uses a refresh token, in one statement; whether it was not used before.
    pub async fn take_refresh_token(&self, id: Uuid) -> Result<bool, Error> {
        let done = refresh_token::Entity::update_many()
            .filter(refresh_token::Column::Id.eq(id))
            .filter(refresh_token::Column::UsedAt.is_null())
            .col_expr(refresh_token::Column::UsedAt, Expr::value(self.now_us()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    async fn purge_grants(&self) -> Result<(), Error> {
        // One that a rotation added while its grant was ended is worth nothing, and goes with its time.
        let tokens = refresh_token::Column::ExpiresAt.lte(self.now_us());
        self.sweep::<refresh_token::Entity>(refresh_token::Column::Id, tokens).await?;
        let over = of(oauth_grant::Column::ExpiresAt.lte(self.now_us())).limit(SWEPT).to_owned();
        self.end_grants(over).await.map(drop)
    }

    async fn end_grants(&self, ids: SelectStatement) -> Result<u64, Error> {
        let tokens = refresh_token::Column::GrantId.in_subquery(ids.clone());
        let grants = oauth_grant::Column::Id.in_subquery(ids);
        refresh_token::Entity::delete_many().filter(tokens).exec(&self.db()).await?;
        Ok(oauth_grant::Entity::delete_many().filter(grants).exec(&self.db()).await?.rows_affected)
    }
}

fn of(filter: sea_orm::sea_query::SimpleExpr) -> SelectStatement {
    Query::select().column(oauth_grant::Column::Id).from(oauth_grant::Entity).and_where(filter).to_owned()
}

fn unchecked(row: oauth_grant::Model) -> Result<Unchecked<Grant>, Error> {
    let corrupt = |column| Error::Corrupt { table: "oauth_grant", column };
    let grant = Grant {
        id: GrantId(row.id),
        client_id: ClientId::parse(&row.client_id).ok_or(corrupt("client_id"))?,
        user: row.user_id.map(UserId),
        begun_by: GrantType::parse(&row.begun_by).ok_or(corrupt("begun_by"))?,
        scope: GrantedScope::parse(&row.scopes).ok_or(corrupt("scopes"))?,
        resource: row.resource.map(|uri| uri.try_into().map_err(|_| corrupt("resource"))).transpose()?,
        auth_time: row.auth_time.map(from_micros),
        created_at: from_micros(row.created_at),
        expires_at: from_micros(row.expires_at),
    };
    Ok(Unchecked::new(grant, row.own_mac))
}
