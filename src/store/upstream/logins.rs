//! Which browsers were sent to the upstream provider? Times are the database's: another replica may take the callback.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use time::OffsetDateTime;

use crate::model::secret::{KeyedHash, Sealed};
use crate::model::time::to_micros;
use crate::store::entity::upstream_login;
use crate::store::{Conn, Error};

/// A browser that was sent to the provider.
#[derive(Clone, Debug)]
pub struct StoredLogin {
    /// Row id; first half of the state.
    pub id: Uuid,
    /// Keyed hash of the second half, and of what must be the same when it comes back.
    pub state_hash: KeyedHash,
    /// The session that wants to be linked.
    pub session: Option<Uuid>,
    /// Keyed hash of its network.
    pub network: KeyedHash,
    /// Proof key, and where to go afterwards.
    pub flow: Sealed,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

impl Conn<'_> {
    /// Stores a sign-in at its start.
    pub async fn insert_upstream_login(&self, new: &StoredLogin) -> Result<(), Error> {
        let row = upstream_login::ActiveModel {
            id: Set(new.id),
            state_hash: Set(new.state_hash.to_vec()),
            session_id: Set(new.session),
            network_hash: Set(new.network.to_vec()),
            sealed_flow: Set(new.flow.bytes.clone()),
            key_id: Set(new.flow.key_id),
            expires_at: Set(to_micros(new.expires_at)),
        };
        upstream_login::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// How many are under way: of one network, and in all.
    pub async fn count_upstream_logins(
        &self,
        network: KeyedHash,
        now: OffsetDateTime,
    ) -> Result<(u64, u64), Error> {
        let pending =
            || upstream_login::Entity::find().filter(upstream_login::Column::ExpiresAt.gt(to_micros(now)));
        let of_network = pending().filter(upstream_login::Column::NetworkHash.eq(network.to_vec()));
        Ok((of_network.count(&self.db()).await?, pending().count(&self.db()).await?))
    }

    /// Uses a state up, whatever comes of it: only in the browser that it was given to, only once, only in time.
    pub async fn take_upstream_login(
        &self,
        id: Uuid,
        state_hash: KeyedHash,
        session: Option<Uuid>,
        now: OffsetDateTime,
    ) -> Result<Option<StoredLogin>, Error> {
        let same_session = match session {
            Some(session) => upstream_login::Column::SessionId.eq(session),
            None => upstream_login::Column::SessionId.is_null(),
        };
        let rows = upstream_login::Entity::delete_many()
            .filter(upstream_login::Column::Id.eq(id))
            .filter(upstream_login::Column::StateHash.eq(state_hash.to_vec()))
            .filter(same_session)
            .filter(upstream_login::Column::ExpiresAt.gt(to_micros(now)))
            .exec_with_returning(&self.db())
            .await?;
        rows.into_iter().next().map(read).transpose()
    }

    /// Forgets those that nobody finished in time.
    pub async fn purge_upstream_logins(&self, now: OffsetDateTime) -> Result<(), Error> {
        let over = upstream_login::Column::ExpiresAt.lte(to_micros(now));
        upstream_login::Entity::delete_many().filter(over).exec(&self.db()).await?;
        Ok(())
    }
}

fn read(row: upstream_login::Model) -> Result<StoredLogin, Error> {
    let corrupt = |column| Error::Corrupt { table: super::LOGINS, column };
    let hash = |bytes: Vec<u8>, column| bytes.try_into().map(KeyedHash).map_err(|_| corrupt(column));
    Ok(StoredLogin {
        id: row.id,
        state_hash: hash(row.state_hash, "state_hash")?,
        session: row.session_id,
        network: hash(row.network_hash, "network_hash")?,
        flow: Sealed { key_id: row.key_id, bytes: row.sealed_flow },
        expires_at: crate::model::time::from_micros(row.expires_at),
    })
}
