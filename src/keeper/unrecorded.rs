//! What becomes of a refusal that the database did not take? It is recorded once the database answers: else the token
//! that was refused would be sent again after its hold-off.

use std::time::{Duration, Instant};

use tracing::info;

use crate::model::app::AppId;
use crate::model::event::Event;
use crate::store::leases::Attempt;

use super::{Core, Error, SecretsKeeper};

/// How long it is tried. Nobody claims the row before its hold-off is over, and whoever does then has another lease.
const TRYING: Duration = Duration::from_secs(3_600);

/// A refusal of the grant, as it is recorded.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) app: AppId,
    pub(super) attempt: Attempt,
    /// As `Reason::as_str` says it.
    pub(super) reason: &'static str,
    /// The provider's code.
    pub(super) code: String,
    pub(super) event: Event,
    until: Instant,
}

impl Refusal {
    pub(super) fn new(
        app: AppId,
        attempt: Attempt,
        reason: &'static str,
        code: String,
        event: Event,
    ) -> Self {
        Self { app, attempt, reason, code, event, until: Instant::now() + TRYING }
    }
}

impl Core {
    /// Says whether the claim was still ours.
    pub(super) async fn record_refusal(&self, refusal: &Refusal) -> Result<bool, Error> {
        let Refusal { app, attempt, reason, code, event, .. } = refusal;
        let tx = self.parts.store.begin().await?;
        let recorded = tx.conn().app(app).record_refusal(*attempt, reason, code).await?;
        if recorded {
            self.parts.audit.record_in(tx.conn(), event.clone()).await?;
        }
        tx.commit().await?;
        Ok(recorded)
    }
}

impl SecretsKeeper {
    /// Refusals that the database has not taken yet.
    pub fn unrecorded_refusals(&self) -> usize {
        self.core.unrecorded.len()
    }

    /// Records the refusals that the database did not take; how many. Ends at the first that it still does not take.
    pub async fn record_refusals(&self) -> Result<usize, Error> {
        let mut recorded = 0;
        for refusal in self.core.unrecorded.all() {
            let done = self.core.record_refusal(&refusal);
            let bounded = async { done.await.map(Some) };
            let taken = match self.core.parts.store.bounded(bounded).await {
                Err(error) if refusal.until > Instant::now() => return Err(error),
                taken => taken.unwrap_or_default(),
            };
            self.core.unrecorded.forget(|other| other.attempt.lease == refusal.attempt.lease);
            info!(app.id = %refusal.app, ?taken, "a refusal that the database had not taken is settled");
            recorded += usize::from(taken == Some(true));
        }
        Ok(recorded)
    }
}
