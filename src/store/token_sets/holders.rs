//! Who holds a refresh token already?

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use crate::model::secret::KeyedHash;
use crate::store::entity::token_set;
use crate::store::{Conn, Error};

/// A stored set with the fingerprint that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Of which connection.
    pub connection: Uuid,
    /// Whether it is that connection's current set.
    pub current: bool,
    /// Whether its connection was deleted while it was current or unspent.
    pub deleted: bool,
}

impl Conn<'_> {
    /// Lets one transaction at a time decide about a refresh token; SQLite has one writer anyway.
    pub async fn lock_fingerprint(&self, fingerprint: KeyedHash) -> Result<(), Error> {
        if self.is_postgres() {
            let [a, b, c, d, e, f, g, h, ..] = fingerprint.0;
            let key = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
            self.run("SELECT pg_advisory_xact_lock($1)".to_owned(), vec![key.into()]).await?;
        }
        Ok(())
    }

    /// Sets anywhere in the instance whose refresh token has this fingerprint.
    pub async fn find_refresh_holders(&self, fingerprint: KeyedHash) -> Result<Vec<Holder>, Error> {
        let rows = token_set::Entity::find()
            .filter(token_set::Column::RefreshFingerprint.eq(fingerprint.to_vec()))
            .all(&self.db())
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| Holder { connection: row.connection_id, current: row.current, deleted: row.deleted })
            .collect())
    }
}
