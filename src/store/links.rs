//! Rows of signup links and of the people that service providers sent.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use time::OffsetDateTime;

use crate::model::app::AppId;
use crate::model::client::ClientId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::link::{ProviderUser, SignupLink};
use crate::model::own::Unchecked;
use crate::model::principal::UserId;
use crate::model::secret::KeyedHash;
use crate::model::time::to_micros;
use crate::store::entity::{provider_user, signup_link};
use crate::store::{Conn, Error};

/// How long a link is remembered after its end, in microseconds: as long as its client may confirm.
const REMEMBERED_US: i64 = 3_600 * 1_000_000;

/// A link as stored.
#[derive(Clone, Debug)]
pub struct StoredLink {
    /// What it is for.
    pub link: Unchecked<SignupLink>,
    /// What its second half is compared with.
    pub hash: Vec<u8>,
    /// Whether it can still be used.
    pub open: bool,
}

impl Conn<'_> {
    /// Stores a link; forgets those that are over.
    pub async fn insert_signup_link(
        &self,
        link: &SignupLink,
        (token_hash, own_mac): (KeyedHash, KeyedHash),
        expires_at: OffsetDateTime,
    ) -> Result<(), Error> {
        let old = signup_link::Column::ExpiresAt.lt(self.now_us().saturating_sub(REMEMBERED_US));
        self.sweep::<signup_link::Entity>(signup_link::Column::Id, old).await?;
        let row = signup_link::ActiveModel {
            id: Set(link.id),
            token_hash: Set(token_hash.to_vec()),
            client_id: Set(link.client_id.to_string()),
            app: Set(link.app.to_string()),
            connector: Set(link.connector.to_string()),
            flow: Set(link.flow.to_string()),
            external_id: Set(link.external_id.clone()),
            label: Set(link.label.clone()),
            return_to: Set(link.return_to.clone()),
            created_at: Set(self.now_us()),
            expires_at: Set(to_micros(expires_at)),
            used_at: Set(None),
            own_mac: Set(own_mac.to_vec()),
        };
        signup_link::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// A link, used or not.
    pub async fn find_signup_link(&self, id: Uuid) -> Result<Option<StoredLink>, Error> {
        let Some(row) = signup_link::Entity::find_by_id(id).one(&self.db()).await? else { return Ok(None) };
        let open = row.used_at.is_none() && row.expires_at > self.now_us();
        let (hash, own_mac) = (row.token_hash.clone(), row.own_mac.clone());
        Ok(Some(StoredLink { link: Unchecked::new(read(row)?, own_mac), hash, open }))
    }

    /// Uses a link up, in one statement; whether it could still be.
    pub async fn take_signup_link(&self, id: Uuid) -> Result<bool, Error> {
        let done = signup_link::Entity::update_many()
            .filter(signup_link::Column::Id.eq(id))
            .filter(signup_link::Column::UsedAt.is_null())
            .filter(signup_link::Column::ExpiresAt.gt(self.now_us()))
            .col_expr(signup_link::Column::UsedAt, Expr::value(self.now_us()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Who one of a client's people is here.
    pub async fn find_provider_user(
        &self,
        client: &ClientId,
        external_id: &str,
    ) -> Result<Option<Unchecked<ProviderUser>>, Error> {
        let key = (client.to_string(), external_id.to_owned());
        let row = provider_user::Entity::find_by_id(key).one(&self.db()).await?;
        Ok(row.map(|row| {
            let user = UserId(row.user_id);
            let found = ProviderUser { client_id: client.clone(), external_id: row.external_id, user };
            Unchecked::new(found, row.own_mac)
        }))
    }

    /// Notes who one of a client's people is here.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where that is known.
    pub async fn insert_provider_user(&self, new: &ProviderUser, own_mac: KeyedHash) -> Result<(), Error> {
        let row = provider_user::ActiveModel {
            client_id: Set(new.client_id.to_string()),
            external_id: Set(new.external_id.clone()),
            user_id: Set(new.user.0),
            created_at: Set(self.now_us()),
            own_mac: Set(own_mac.to_vec()),
        };
        provider_user::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Forgets that a person was sent by anybody.
    pub async fn delete_provider_users_of(&self, user: UserId) -> Result<(), Error> {
        let of_user = provider_user::Column::UserId.eq(user.0);
        provider_user::Entity::delete_many().filter(of_user).exec(&self.db()).await?;
        Ok(())
    }
}

fn read(row: signup_link::Model) -> Result<SignupLink, Error> {
    let corrupt = |column| Error::Corrupt { table: "signup_link", column };
    Ok(SignupLink {
        id: row.id,
        client_id: ClientId::parse(&row.client_id).ok_or(corrupt("client_id"))?,
        app: AppId::parse(&row.app).map_err(|_| corrupt("app"))?,
        connector: ConnectorId::parse(&row.connector).map_err(|_| corrupt("connector"))?,
        flow: Flow::parse(&row.flow).ok_or_else(|| corrupt("flow"))?,
        external_id: row.external_id,
        label: row.label,
        return_to: row.return_to,
    })
}
