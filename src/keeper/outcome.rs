//! What came of a send, recorded: success, refusal, not consumed, or unknown.

use std::time::Duration;

use time::OffsetDateTime;
use tracing::{error, info, warn};

use crate::connectors::Error as ProviderError;
use crate::model::connection::Reason;
use crate::model::connector::Grant;
use crate::model::secret::Secret;
use crate::store::leases::{Claim, Spent};
use crate::store::token_sets::{Learnt, NewTokenSet, Stored};

use super::refresh::{Trip, event};
use super::{Error, seal};

/// Codes of ours in `last_error`; any other is the provider's OAuth error code.
pub(super) const UNAVAILABLE: &str = "provider_unavailable";
const LIMITED: &str = "rate_limited";

/// Whether a recorded code means "the provider cannot be used", not "it refuses the request".
pub(super) fn is_ours(code: &str) -> bool {
    code == UNAVAILABLE || code == LIMITED
}

/// Longest wait a provider's `Retry-After` is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

impl Trip<'_> {
    /// Records the answer; what could not be recorded stays ambiguous, and the lease lapses by itself.
    pub(super) async fn record(&self, claim: &Claim, sent: Secret, answer: Result<Grant, ProviderError>) {
        let connection = &self.target.connection;
        match answer {
            Ok(grant) => self.keep(claim, &sent, grant).await,
            Err(failure) => {
                let recorded = self.record_failure(claim, &failure).await;
                warn!(app.id = %connection.app, connector = %connection.connector, flow = %connection.flow, %failure,
                    "a refresh did not succeed");
                if let Err(error) = recorded {
                    error!(%error, "the outcome of a refresh could not be recorded; it counts as unknown");
                }
            }
        }
    }

    async fn record_failure(&self, claim: &Claim, failure: &ProviderError) -> Result<(), Error> {
        let parts = &self.core.parts;
        let connection = &self.target.connection;
        let strict = connection.is_strict(&self.target.definition.policy());
        let tx = parts.store.begin().await?;
        let rows = tx.conn().app(&connection.app);
        let (recorded, result) = match failure {
            ProviderError::Refused { code } => {
                let over = connection.refresh_expires_at.is_some_and(|at| at <= claim.at);
                let reason = if over { Reason::Expired } else { Reason::Revoked };
                (rows.record_refusal(self.attempt, reason.as_str(), code).await?, "reauthorization_required")
            }
            ProviderError::ClientRejected { code } => {
                let version = self.opened.version;
                let parked = rows.record_misconfigured(self.attempt, version, code).await?;
                let recorded = parked || rows.release(self.attempt).await?;
                (recorded, "provider_misconfigured")
            }
            ProviderError::RequestRejected { code, .. } => {
                let at = self.retry_at(None);
                (
                    rows.record_failure(self.attempt, Spent::No, code, Some(at)).await?,
                    "provider_misconfigured",
                )
            }
            ProviderError::RateLimited { retry_after } => {
                let at = self.retry_at(*retry_after);
                (rows.record_failure(self.attempt, Spent::No, LIMITED, Some(at)).await?, LIMITED)
            }
            ProviderError::NotSent { .. } | ProviderError::Definition(_) => {
                let at = self.retry_at(None);
                (rows.record_failure(self.attempt, Spent::No, UNAVAILABLE, Some(at)).await?, UNAVAILABLE)
            }
            ProviderError::Ambiguous { retry_after, .. } => {
                // A rotating token is barred by the hold-off that the claim has set.
                let at = (!strict).then(|| self.retry_at(*retry_after));
                (rows.record_failure(self.attempt, Spent::Unknown, UNAVAILABLE, at).await?, UNAVAILABLE)
            }
        };
        if recorded {
            parts.audit.record_in(tx.conn(), event(connection, self.attempt.seen, result)).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Exponential back-off with jitter, at least what the provider asked for.
    fn retry_at(&self, retry_after: Option<Duration>) -> OffsetDateTime {
        let failures = u32::try_from(self.target.connection.failures).unwrap_or_default();
        let base_ms = 1_000_u64.saturating_mul(2_u64.saturating_pow(failures.min(9))).min(300_000);
        let backoff = Duration::from_millis(self.core.jittered(base_ms).max(500));
        self.core.parts.clock.now() + backoff.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
    }

    /// Stores what the provider gave, before anyone gets it; goes on trying for as long as the process lives.
    async fn keep(&self, claim: &Claim, sent: &Secret, grant: Grant) {
        let connection = &self.target.connection;
        let (set, learnt) = match self.seal(claim, sent, &grant).await {
            Ok(sealed) => sealed,
            Err(error) => {
                error!(%error, app.id = %connection.app, "a refreshed token could not be sealed");
                return;
            }
        };
        let mut pause = Duration::from_millis(100);
        loop {
            match self.store(&set, learnt).await {
                Ok(stored) => {
                    info!(app.id = %connection.app, connector = %connection.connector, flow = %connection.flow,
                        ?stored, "refreshed a token");
                    return;
                }
                Err(error) => {
                    error!(%error, app.id = %connection.app, connector = %connection.connector,
                        "a refreshed token could not be stored yet; trying again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn store(&self, set: &NewTokenSet, learnt: Learnt) -> Result<Stored, Error> {
        let parts = &self.core.parts;
        let connection = &self.target.connection;
        let tx = parts.store.begin().await?;
        let stored = tx.conn().app(&connection.app).store_refreshed(self.attempt.seen, set, learnt).await?;
        let result = match stored {
            Stored::Current | Stored::Already => "ok",
            Stored::Superseded => "superseded",
        };
        if stored != Stored::Already {
            parts.audit.record_in(tx.conn(), event(connection, set.id, result)).await?;
        }
        tx.commit().await?;
        Ok(stored)
    }

    async fn seal(
        &self,
        claim: &Claim,
        sent: &Secret,
        grant: &Grant,
    ) -> Result<(NewTokenSet, Learnt), Error> {
        let connection = &self.target.connection;
        let definition = &self.target.definition;
        let found = self.core.find(&connection.app, &connection.connector, Some(&connection.flow)).await;
        let extra = match found {
            Ok(found) => {
                self.core.open_access(&found.held).await.map(|opened| opened.extra).unwrap_or_default()
            }
            Err(_) => serde_json::Map::new(),
        };
        let new = seal::Fresh {
            connection: connection.id,
            app: &connection.app,
            connector: &connection.connector,
            definition,
            key: &claim.key,
            sent_at: claim.at,
            keep_refresh: Some(sent),
            keep_extra: extra,
            keep_scope: connection.granted_scope.as_deref(),
            expires_at: None,
        };
        let set = new.seal(&self.core.parts, grant)?;
        let learnt = Learnt {
            lifetime: grant.expires_in.map(time::Duration::seconds),
            rotates: Some(seal::rotated(sent, grant)),
            scope_narrowed: seal::narrowed(connection.granted_scope.as_deref(), grant.scope.as_deref()),
        };
        Ok((set, learnt))
    }
}
