//! What becomes of a refresh that came too late to be current?

use sea_orm::entity::prelude::*;

use crate::model::token_set::TokenSetId;
use crate::store::entity::token_set;
use crate::store::{AppRows, Error};

use super::{NewTokenSet, Place, Stored, TABLE};

impl AppRows<'_> {
    /// Somebody superseded the set that was seen; what its refresh brought is kept beside theirs.
    pub(super) async fn store_late(&self, seen: TokenSetId, set: &NewTokenSet) -> Result<Stored, Error> {
        if self.find_set(set.id).await?.is_some() {
            return Ok(Stored::Already);
        }
        let seen_row = self.find_set(seen).await?;
        let place = Place {
            generation: self.next_generation(set.connection).await?,
            adopted_set: seen_row.as_ref().and_then(|row| row.adopted_set_id),
            current: false,
            deleted: seen_row.as_ref().is_none_or(|row| row.deleted),
            other_account: seen_row.is_some_and(|row| row.other_account),
        };
        self.insert(set, place).await?;
        Ok(Stored::Superseded)
    }

    async fn find_set(&self, id: TokenSetId) -> Result<Option<token_set::Model>, Error> {
        Ok(self.token_sets().filter(token_set::Column::Id.eq(id.0)).one(&self.conn.db()).await?)
    }

    /// The number of a set that came too late to be current: the next that is current gets the one after.
    async fn next_generation(&self, connection: Uuid) -> Result<i64, Error> {
        let sql = "UPDATE connection SET last_generation = last_generation + 1 WHERE id = $1 AND app = $2 \
                   RETURNING last_generation";
        let values = vec![connection.into(), self.app.as_str().into()];
        let missing = Error::Corrupt { table: TABLE, column: "connection_id" };
        let row = self.conn.one(sql.to_owned(), values).await?.ok_or(missing)?;
        Ok(row.try_get("", "last_generation")?)
    }
}
