//! What may not be used (again): assertions seen, access tokens revoked. Kept until they end by themselves.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use time::OffsetDateTime;

use crate::model::secret::KeyedHash;
use crate::model::time::to_micros;
use crate::store::entity::{client_assertion, revoked_token};
use crate::store::{Conn, Error};

impl Conn<'_> {
    /// Notes an assertion, in one statement; whether it was not seen before, on any replica.
    pub async fn note_assertion(&self, jti: KeyedHash, expires_at: OffsetDateTime) -> Result<bool, Error> {
        let over = client_assertion::Column::ExpiresAt.lte(self.now_us());
        self.sweep::<client_assertion::Entity>(client_assertion::Column::JtiHash, over).await?;
        let row = client_assertion::ActiveModel {
            jti_hash: Set(jti.to_vec()),
            expires_at: Set(to_micros(expires_at)),
        };
        let seen = OnConflict::column(client_assertion::Column::JtiHash).do_nothing().to_owned();
        let inserted = client_assertion::Entity::insert(row)
            .on_conflict(seen)
            .exec_without_returning(&self.db())
            .await?;
        Ok(inserted == 1)
    }

    /// Revokes one access token.
    pub async fn revoke_token(&self, jti: Uuid, expires_at: OffsetDateTime) -> Result<(), Error> {
        let over = revoked_token::Column::ExpiresAt.lte(self.now_us());
        self.sweep::<revoked_token::Entity>(revoked_token::Column::Jti, over).await?;
        let row = revoked_token::ActiveModel { jti: Set(jti), expires_at: Set(to_micros(expires_at)) };
        let again = OnConflict::column(revoked_token::Column::Jti).do_nothing().to_owned();
        revoked_token::Entity::insert(row).on_conflict(again).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Whether an access token was revoked.
    pub async fn is_token_revoked(&self, jti: Uuid) -> Result<bool, Error> {
        Ok(revoked_token::Entity::find_by_id(jti).one(&self.db()).await?.is_some())
    }
}
