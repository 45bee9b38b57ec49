//! What becomes of a claim whose commit is unknown? Nothing was sent under it: it is given back once the database answers.

use std::time::{Duration, Instant};

use tracing::debug;

use crate::model::app::AppId;
use crate::store;
use crate::store::leases::Attempt;

use super::{Core, Error, SecretsKeeper};

/// A claim of this process that may have been committed.
#[derive(Clone)]
pub(super) struct UnknownClaim {
    app: AppId,
    attempt: Attempt,
    /// A commit under way may land until then.
    until: Instant,
}

impl UnknownClaim {
    pub(super) fn new(app: &AppId, attempt: Attempt, lease: Duration) -> Self {
        Self { app: app.clone(), attempt, until: Instant::now() + lease }
    }
}

impl Core {
    async fn give_back(&self, claim: &UnknownClaim) -> Result<bool, store::Error> {
        let tx = self.parts.store.begin().await?;
        let was_there = tx.conn().app(&claim.app).release(claim.attempt).await?;
        tx.commit().await?;
        Ok(was_there)
    }
}

impl SecretsKeeper {
    /// Claims whose commit is unknown and that are still to be given back.
    pub fn unknown_claims(&self) -> usize {
        self.core.unknown_claims.len()
    }

    /// Gives claims back whose commit is unknown; how many had been committed. Ends at the first that the database does
    /// not take.
    pub async fn give_claims_back(&self) -> Result<usize, Error> {
        let mut given_back = 0;
        for claim in self.core.unknown_claims.all() {
            let was_there = self.core.parts.store.bounded(self.core.give_back(&claim)).await?;
            if was_there || claim.until <= Instant::now() {
                self.core.unknown_claims.forget(|other| other.attempt.lease == claim.attempt.lease);
                debug!(app.id = %claim.app, was_there, "a claim whose commit was unknown is settled");
            }
            given_back += usize::from(was_there);
        }
        Ok(given_back)
    }
}
