//! Which superseded sets are kept, and how one becomes current again.

use std::collections::{BTreeMap, HashMap};

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::model::connection::Connection;
use crate::model::protocol;
use crate::model::secret::{KeyedHash, Sealed};
use crate::model::time::from_micros;
use crate::model::token_set::{Generation, TokenSetId};
use crate::store::entity::{adoption, token_set};
use crate::store::{AppRows, Error};

use super::{NewConnection, NewTokenSet, TABLE};

/// A set whose tokens are still kept, sealed: the current one or a superseded one.
#[derive(Clone, Debug)]
pub struct Kept {
    row: token_set::Model,
    adoption: Option<adoption::Model>,
}

impl AppRows<'_> {
    /// The sets of a connection that are kept, the newest first, below a generation.
    pub async fn list_kept(
        &self,
        connection: Uuid,
        below: Option<Generation>,
        limit: u64,
    ) -> Result<Vec<Kept>, Error> {
        let below = below.map_or(i64::MAX, |generation| generation.0);
        let rows = self
            .kept(connection)
            .filter(token_set::Column::Generation.lt(below))
            .order_by_desc(token_set::Column::Generation)
            .limit(limit)
            .all(&self.conn.db())
            .await?;
        let ids = rows.iter().filter_map(|row| row.adopted_set_id);
        let found =
            adoption::Entity::find().filter(adoption::Column::Id.is_in(ids)).all(&self.conn.db()).await?;
        let adoptions: HashMap<Uuid, adoption::Model> = found.into_iter().map(|row| (row.id, row)).collect();
        let of = |row: &token_set::Model| row.adopted_set_id.and_then(|id| adoptions.get(&id).cloned());
        Ok(rows.into_iter().map(|row| Kept { adoption: of(&row), row }).collect())
    }

    /// The kept set of that generation.
    pub async fn find_kept(&self, connection: Uuid, generation: Generation) -> Result<Option<Kept>, Error> {
        let found = self
            .kept(connection)
            .filter(token_set::Column::Generation.eq(generation.0))
            .one(&self.conn.db())
            .await?;
        let Some(row) = found else { return Ok(None) };
        let adoption = match row.adopted_set_id {
            Some(id) => adoption::Entity::find_by_id(id).one(&self.conn.db()).await?,
            None => None,
        };
        Ok(Some(Kept { row, adoption }))
    }

    /// Undo: makes `copy` current, which holds the tokens of `from`, unless that was spent, revoked, deleted or of
    /// another account. The set itself counts as spent then: its refresh token lives in the copy alone.
    pub async fn restore(
        &self,
        from: TokenSetId,
        strict: bool,
        back: &NewConnection,
        copy: &NewTokenSet,
    ) -> Result<Option<Generation>, Error> {
        let unspent = if strict { "AND spent = FALSE" } else { "" };
        let sql = format!(
            "UPDATE token_set SET spent = TRUE WHERE id = $1 AND connection_id = $2 AND current = FALSE \
             AND deleted = FALSE AND revoke_pending = FALSE AND other_account = FALSE {unspent} \
             AND connection_id IN (SELECT id FROM connection WHERE app = $3 AND state <> 'revoked')"
        );
        let values = vec![from.0.into(), back.id.into(), self.app.as_str().into()];
        match self.conn.run(sql, values).await? {
            0 => Ok(None),
            _ => self.adopt(back, copy).await.map(Some),
        }
    }

    fn kept(&self, connection: Uuid) -> Select<token_set::Entity> {
        self.token_sets()
            .filter(token_set::Column::ConnectionId.eq(connection))
            .filter(token_set::Column::SealedAccess.is_not_null())
    }
}

impl Kept {
    /// Its name.
    pub fn id(&self) -> TokenSetId {
        TokenSetId(self.row.id)
    }

    /// Counts within its connection.
    pub fn generation(&self) -> Generation {
        Generation(self.row.generation)
    }

    /// When it was stored.
    pub fn created_at(&self) -> OffsetDateTime {
        from_micros(self.row.created_at)
    }

    /// Since when it is no longer current.
    pub fn superseded_at(&self) -> Option<OffsetDateTime> {
        self.row.superseded_at.map(from_micros)
    }

    /// When its access token dies.
    pub fn expires_at(&self) -> Option<OffsetDateTime> {
        self.row.expires_at.map(from_micros)
    }

    /// Life left when it was stored.
    pub fn initial_life(&self) -> Option<Duration> {
        self.row.initial_life_us.map(Duration::microseconds)
    }

    /// When its refresh token dies.
    pub fn refresh_expires_at(&self) -> Option<OffsetDateTime> {
        self.row.refresh_expires_at.map(from_micros)
    }

    /// As granted.
    pub fn scope(&self) -> Option<&str> {
        self.row.scope.as_deref()
    }

    /// Whether it is current.
    pub fn is_current(&self) -> bool {
        self.row.current
    }

    /// Whether its refresh token was or may have been sent, or lives on in a copy.
    pub fn is_spent(&self) -> bool {
        self.row.spent
    }

    /// Whether it can be made current again.
    pub fn is_restorable(&self, strict: bool) -> bool {
        let row = &self.row;
        let set = protocol::Set {
            id: row.id,
            token: row.id,
            spent: row.spent,
            revoke_pending: row.revoke_pending,
            deleted: row.deleted,
            other_account: row.other_account,
        };
        // A set that came late may descend from what is no longer known.
        !row.current && self.adoption.is_some() && set.is_restorable(strict)
    }

    /// What people call its account.
    pub fn account_label(&self) -> Option<&str> {
        self.adoption.as_ref().and_then(|row| row.account_label.as_deref())
    }

    /// What people call whoever connected it.
    pub fn connected_by(&self) -> Option<&str> {
        self.adoption.as_ref().and_then(|row| row.owner_label.as_deref().or(row.owner.as_deref()))
    }

    /// Its sealed columns: access token, refresh token, extra fields.
    pub fn sealed(&self) -> [Option<Sealed>; 3] {
        let row = &self.row;
        [&row.sealed_access, &row.sealed_refresh, &row.sealed_extra]
            .map(|bytes| bytes.clone().map(|bytes| Sealed { key_id: row.key_id, bytes }))
    }

    /// Data key of the sealed columns.
    pub fn key_id(&self) -> Uuid {
        self.row.key_id
    }

    /// The token endpoint's origin its refresh token is bound to.
    pub fn origin(&self) -> &str {
        &self.row.origin
    }

    /// Keyed hashes of the refresh and the access token.
    pub fn fingerprints(&self) -> (Option<KeyedHash>, Option<KeyedHash>) {
        let read =
            |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(|bytes| bytes.try_into().ok()).map(KeyedHash);
        (read(&self.row.refresh_fingerprint), read(&self.row.access_fingerprint))
    }

    /// The connection as the consent or import made it that this set descends from.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where no row tells.
    pub fn connection(&self, of: &Connection) -> Result<NewConnection, Error> {
        let missing = Error::Corrupt { table: TABLE, column: "adopted_set_id" };
        let was = self.adoption.as_ref().filter(|row| row.connection_id == of.id).ok_or(missing)?;
        let corrupt = |column| Error::Corrupt { table: "adoption", column };
        let variables: BTreeMap<String, String> =
            serde_json::from_value(was.variables.clone()).map_err(|_| corrupt("variables"))?;
        let hash = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map(KeyedHash);
        let account = was.account_fingerprint.as_deref().map(hash).transpose();
        Ok(NewConnection {
            id: of.id,
            connector: of.connector.clone(),
            flow: of.flow.clone(),
            owner: was.owner.clone().ok_or(corrupt("owner"))?,
            owner_label: was.owner_label.clone(),
            account_fingerprint: account.map_err(|_| corrupt("account_fingerprint"))?,
            account_label: was.account_label.clone(),
            variables,
            own_mac: hash(&was.own_mac).map_err(|_| corrupt("own_mac"))?,
            credentials: was.credentials_id.zip(was.credentials_version),
            lifetime: None,
        })
    }
}
