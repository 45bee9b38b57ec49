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
    /// Whether the refresh token was or may have been sent.
    pub spent: bool,
    /// Whether it is still to be revoked at the provider.
    pub revoke_pending: bool,
}

/// Why a refresh token cannot become another connection's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// A connection lives by it, or it is about to be revoked.
    Held,
    /// It was or may have been sent, and sending spends it: again would end the grant of whoever holds it now.
    Spent,
}

impl Elsewhere {
    /// What the holders that are not `own` say; `strict`: sending spends a refresh token.
    pub fn of(holders: &[Holder], own: Option<Uuid>, strict: bool) -> Option<Self> {
        let mut others = holders.iter().filter(|holder| Some(holder.connection) != own);
        if others.clone().any(|other| other.revoke_pending || (other.current && !other.deleted)) {
            return Some(Self::Held);
        }
        others.any(|other| strict && other.spent).then_some(Self::Spent)
    }
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
            .map(|row| Holder {
                connection: row.connection_id,
                current: row.current,
                deleted: row.deleted,
                spent: row.spent,
                revoke_pending: row.revoke_pending,
            })
            .collect())
    }
}
