//! Who is somebody at the upstream OpenID provider here? Known by issuer and subject, byte for byte.

mod claimed;
mod logins;

use sea_orm::entity::prelude::*;

use crate::model::principal::UserId;
use crate::model::secret::KeyedHash;
use crate::store::entity::upstream_identity;
use crate::store::{Conn, Error};

pub use self::logins::StoredLogin;

/// The tables' names, for the places of ciphertexts and hashes.
pub const IDENTITIES: &str = "upstream_identity";
/// Sign-ins under way.
pub const LOGINS: &str = "upstream_login";

/// Who somebody at the provider is here.
#[derive(Clone, Debug)]
pub struct StoredIdentity {
    /// Row id.
    pub id: Uuid,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The person.
    pub user: UserId,
    /// What the provider calls them.
    pub label: String,
    /// Keyed hash of the four above, the label excepted.
    pub own_mac: Vec<u8>,
}

impl Conn<'_> {
    /// Links somebody at the provider to a person.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where either of the two is linked at this issuer.
    pub async fn insert_upstream_identity(&self, new: &StoredIdentity, mac: KeyedHash) -> Result<(), Error> {
        let row = upstream_identity::Model {
            id: new.id,
            issuer: new.issuer.clone(),
            subject: new.subject.clone(),
            user_id: new.user.0,
            label: new.label.clone(),
            own_mac: mac.to_vec(),
            created_at: self.now_us(),
            used_at: self.now_us(),
        };
        let new = upstream_identity::ActiveModel::from(row);
        upstream_identity::Entity::insert(new).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// By what the provider says.
    pub async fn find_upstream_identity(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<StoredIdentity>, Error> {
        let row = upstream_identity::Entity::find()
            .filter(upstream_identity::Column::Issuer.eq(issuer))
            .filter(upstream_identity::Column::Subject.eq(subject))
            .one(&self.db())
            .await?;
        Ok(row.map(read))
    }

    /// By whose it is here.
    pub async fn find_upstream_identity_of(
        &self,
        issuer: &str,
        user: UserId,
    ) -> Result<Option<StoredIdentity>, Error> {
        let row = upstream_identity::Entity::find()
            .filter(upstream_identity::Column::Issuer.eq(issuer))
            .filter(upstream_identity::Column::UserId.eq(user.0))
            .one(&self.db())
            .await?;
        Ok(row.map(read))
    }

    /// Notes a sign-in, and what the provider calls them now.
    pub async fn touch_upstream_identity(&self, id: Uuid, label: &str) -> Result<(), Error> {
        upstream_identity::Entity::update_many()
            .filter(upstream_identity::Column::Id.eq(id))
            .col_expr(upstream_identity::Column::Label, Expr::value(label))
            .col_expr(upstream_identity::Column::UsedAt, Expr::value(self.now_us()))
            .exec(&self.db())
            .await?;
        Ok(())
    }

    /// Ends a link; whether there was one.
    pub async fn delete_upstream_identity(&self, id: Uuid) -> Result<bool, Error> {
        Ok(upstream_identity::Entity::delete_by_id(id).exec(&self.db()).await?.rows_affected == 1)
    }
}

fn read(row: upstream_identity::Model) -> StoredIdentity {
    StoredIdentity {
        id: row.id,
        issuer: row.issuer,
        subject: row.subject,
        user: UserId(row.user_id),
        label: row.label,
        own_mac: row.own_mac,
    }
}
