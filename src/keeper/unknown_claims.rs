//! What becomes of a claim whose commit is unknown? Nothing was sent under it: it is given back once the database answers.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::debug;

use crate::model::app::AppId;
use crate::store;
use crate::store::leases::Attempt;

use super::{Core, Error, SecretsKeeper};

/// Those that wait at most; beyond it a claim lapses by itself.
const MOST: usize = 1_000;

/// The claims of this process that may have been committed.
#[derive(Default)]
pub(super) struct UnknownClaims {
    waiting: Mutex<VecDeque<UnknownClaim>>,
}

#[derive(Clone)]
struct UnknownClaim {
    app: AppId,
    attempt: Attempt,
    /// A commit under way may land until then.
    until: Instant,
}

impl UnknownClaims {
    pub(super) fn add(&self, app: &AppId, attempt: Attempt, lease: Duration) {
        let mut waiting = self.lock();
        if waiting.len() < MOST {
            waiting.push_back(UnknownClaim { app: app.clone(), attempt, until: Instant::now() + lease });
        }
    }

    fn remove(&self, known: &Attempt) {
        self.lock().retain(|claim| claim.attempt.lease != known.lease);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<UnknownClaim>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.core.unknown_claims.lock().len()
    }

    /// Gives claims back whose commit is unknown; how many had been committed. Ends at the first that the database does
    /// not take.
    pub async fn give_claims_back(&self) -> Result<usize, Error> {
        let claims: Vec<UnknownClaim> = self.core.unknown_claims.lock().iter().cloned().collect();
        let mut given_back = 0;
        for claim in claims {
            let was_there = self.core.parts.store.bounded(self.core.give_back(&claim)).await?;
            if was_there || claim.until <= Instant::now() {
                self.core.unknown_claims.remove(&claim.attempt);
                debug!(app.id = %claim.app, was_there, "a claim whose commit was unknown is settled");
            }
            given_back += usize::from(was_there);
        }
        Ok(given_back)
    }
}
