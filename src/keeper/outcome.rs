//! What came of a send, recorded: success, refusal, not consumed, or unknown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tracing::{error, info, warn};

use crate::connectors::Error as ProviderError;
use crate::model::connection::{Connection, RATE_LIMITED, Reason, Sending, State, UNAVAILABLE};
use crate::model::connector::Grant;
use crate::model::token_set::TokenSet;
use crate::store::connections::{Held, SealedSet};
use crate::store::leases::{Claim, Spent};
use crate::store::token_sets::Learnt;

use super::flight::Verdict;
use super::refresh::{Kept, Trip, event};
use super::spooled::Answer;
use super::unrecorded::Refusal;
use super::{Error, Found, Landed, seal};

/// Longest wait a provider's `Retry-After` is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How long a provider limits our client that does not say so.
const LIMITED_UNSAID: Duration = Duration::from_secs(1);

/// Codes that say the grant is gone.
fn is_refusal(code: &str) -> bool {
    matches!(code, "invalid_grant" | "bad_refresh_token")
}

/// What a failure is called in the figures and in the audit.
pub(super) fn result(failure: &ProviderError) -> &'static str {
    match failure {
        ProviderError::Refused { .. } => "reauthorization_required",
        ProviderError::ClientRejected { .. } | ProviderError::RequestRejected { .. } => {
            "provider_misconfigured"
        }
        ProviderError::RateLimited { .. } => RATE_LIMITED,
        ProviderError::NotSent { .. } | ProviderError::Definition(_) | ProviderError::Ambiguous { .. } => {
            UNAVAILABLE
        }
    }
}

impl Trip<'_> {
    /// Records the answer; what could not be recorded stays ambiguous, and the lease lapses by itself.
    pub(super) async fn record(
        &self,
        claim: &Claim,
        kept: Kept,
        answer: Result<Grant, ProviderError>,
    ) -> Verdict {
        let connection = &self.target.connection;
        match answer {
            Ok(grant) => self.keep(claim, kept, grant).await,
            Err(failure) => {
                let recorded = self.record_failure(claim, &failure).await;
                warn!(app.id = %connection.app, connector = %connection.connector, flow = %connection.flow, %failure,
                    "a refresh did not succeed");
                if let Err(error) = recorded {
                    error!(%error, "the outcome of a refresh could not be recorded; it counts as unknown");
                }
                if let ProviderError::RateLimited { retry_after } = &failure {
                    self.hold_credentials(claim, *retry_after).await;
                }
                match self.target.want_proof {
                    true => Verdict::Confirmed(self.attempt.seen),
                    false => Verdict::Done,
                }
            }
        }
    }

    /// The provider limits our client, not the connection: all wait as long as it asked, and this one's own back-off
    /// holds back no other. In a transaction of its own: it must not cost the record of the outcome.
    async fn hold_credentials(&self, claim: &Claim, retry_after: Option<Duration>) {
        let asked = retry_after.unwrap_or(LIMITED_UNSAID).min(RETRY_AFTER_MAX);
        let until = claim.at + self.stopwatch.elapsed(self.core) + asked;
        let held = async {
            let tx = self.core.parts.store.begin().await?;
            tx.conn().hold_credentials(self.opened.id, until).await?;
            tx.commit().await
        };
        if let Err(error) = held.await {
            warn!(%error, "that a provider limits our client could not be stored");
        }
    }

    /// Where the database does not take it, it is owed: the token is spent, and known to be.
    async fn record_refusal(&self, claim: &Claim, code: &str) -> Result<(), Error> {
        let connection = &self.target.connection;
        let over = connection.is_grant_over(&self.target.definition.policy(), claim.at);
        let reason = if over { Reason::Expired } else { Reason::Revoked };
        let event = event(connection, self.attempt.seen, "reauthorization_required");
        let (app, code) = (connection.app.clone(), code.to_owned());
        let refusal = Refusal::new(app, self.attempt, reason.as_str(), code, event);
        let recorded = self.core.record_refusal(&refusal).await;
        if recorded.is_err() {
            self.core.unrecorded.add(refusal);
        }
        recorded.map(drop)
    }

    async fn record_failure(&self, claim: &Claim, failure: &ProviderError) -> Result<(), Error> {
        let connection = &self.target.connection;
        let soon = || Some(self.retry_at(claim, None));
        let (spent, code, at) = match failure {
            ProviderError::Refused { code } => return self.record_refusal(claim, code).await,
            ProviderError::ClientRejected { code } => (Spent::No, code.as_str(), soon()),
            ProviderError::RequestRejected { code, .. } => {
                // A refusal of the grant under a status that only a gateway gives is not to be believed either way.
                let spent = if is_refusal(code) { Spent::Unknown } else { Spent::No };
                (spent, code.as_str(), soon())
            }
            ProviderError::RateLimited { retry_after } => {
                (Spent::No, RATE_LIMITED, Some(self.retry_at(claim, *retry_after)))
            }
            ProviderError::NotSent { .. } | ProviderError::Definition(_) => (Spent::No, UNAVAILABLE, soon()),
            ProviderError::Ambiguous { retry_after, .. } => {
                // A rotating token is barred by the hold-off that the claim has set, and by what the provider asked.
                let strict = connection.is_strict(&self.target.definition.policy());
                let asked = !strict || retry_after.is_some();
                (Spent::Unknown, UNAVAILABLE, asked.then(|| self.retry_at(claim, *retry_after)))
            }
        };
        let parts = &self.core.parts;
        let tx = parts.store.begin().await?;
        let rows = tx.conn().app(&connection.app);
        // Credentials that have changed meanwhile were not refused: tried again with the new ones, a little later.
        let parked = match failure {
            ProviderError::ClientRejected { code } => {
                let refused = (self.opened.id, self.opened.version);
                rows.record_misconfigured(self.attempt, refused, code).await?
            }
            _ => false,
        };
        if parked || rows.record_failure(self.attempt, spent, code, at).await? {
            parts.audit.record_in(tx.conn(), event(connection, self.attempt.seen, result(failure))).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Exponential back-off with jitter, at least what the provider asked for; by the database's clock, and from now
    /// on: a provider that kept us waiting is not asked again at once.
    fn retry_at(&self, claim: &Claim, retry_after: Option<Duration>) -> OffsetDateTime {
        let failures = u32::try_from(self.target.connection.failures).unwrap_or_default();
        let base_ms = 1_000_u64.saturating_mul(2_u64.saturating_pow(failures.min(9))).min(300_000);
        let backoff = Duration::from_millis(self.core.jittered(base_ms).max(500));
        claim.at
            + self.stopwatch.elapsed(self.core)
            + backoff.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
    }

    /// Stores what the provider gave, before anyone gets it. What the database does not take within the time is in
    /// the spool by then; where that takes it neither, storing goes on for as long as the process lives.
    async fn keep(&self, claim: &Claim, kept: Kept, grant: Grant) -> Verdict {
        let connection = &self.target.connection;
        let answer = match self.seal(claim, kept, &grant) {
            Ok(answer) => answer,
            Err(error) => {
                error!(%error, app.id = %connection.app, "a refreshed token could not be sealed");
                return Verdict::Done;
            }
        };
        let begun = Instant::now();
        let mut pause = Duration::from_millis(100);
        let mut safe = false;
        loop {
            let left = self.core.settings.store_patience.saturating_sub(begun.elapsed()).max(pause);
            match tokio::time::timeout(left, answer.store(self.core)).await {
                Ok(Ok(stored)) => {
                    if safe {
                        self.core.forget(answer.set.id).await;
                    }
                    info!(app.id = %connection.app, connector = %connection.connector, flow = %connection.flow,
                        ?stored, "refreshed a token");
                    return Verdict::Done;
                }
                Ok(Err(error)) => warn!(%error, app.id = %connection.app, connector = %connection.connector,
                    "a refreshed token could not be stored yet; trying again"),
                Err(_) => warn!(app.id = %connection.app, connector = %connection.connector,
                    "the database takes long to store a refreshed token"),
            }
            safe = safe || self.put_aside(&answer).await;
            if safe && begun.elapsed() >= self.core.settings.store_patience {
                return Verdict::Spooled(Arc::new(self.landed(claim, answer)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn put_aside(&self, answer: &Answer) -> bool {
        let kept = self.core.put_aside(answer).await;
        if let Err(error) = &kept {
            error!(%error, app.id = %answer.app, connector = %answer.connector,
                "neither the database nor the spool takes a refreshed token; it is kept in memory, trying again");
        }
        kept.is_ok()
    }

    /// The connection as it will be once the answer is stored.
    fn landed(&self, claim: &Claim, answer: Answer) -> Landed {
        let before = &self.target.connection;
        let Answer { set, learnt, .. } = answer;
        let connection = Connection {
            state: State::Active,
            generation: before.last_generation.next(),
            token_set: Some(TokenSet {
                id: set.id,
                expires_at: set.expires_at,
                initial_life: set.initial_life,
                refreshable: set.refresh.is_some(),
            }),
            granted_scope: set.scope,
            scope_narrowed: learnt.scope_narrowed,
            lifetime: before.lifetime.max(learnt.lifetime),
            refresh_due_at: set.refresh_due_at,
            refresh_expires_at: set.refresh_expires_at,
            last_error: None,
            retry_at: None,
            sending: Sending::default(),
            ..before.clone()
        };
        let sealed = SealedSet { access: Some(set.access), extra: set.extra, key: Some(claim.key.clone()) };
        let now = claim.at + self.stopwatch.elapsed(self.core);
        Landed { found: Found { held: Held { connection, sealed }, now }, before: before.generation }
    }

    fn seal(&self, claim: &Claim, kept: Kept, grant: &Grant) -> Result<Answer, Error> {
        let connection = &self.target.connection;
        let definition = &self.target.definition;
        let rotated = seal::rotated(&kept.refresh_token, grant);
        // What was told of this refresh token, or follows from its consent; not where the provider knew better.
        let stays = !rotated || definition.policy().absolute.is_some();
        let new = seal::Fresh {
            connection: connection.id,
            app: &connection.app,
            connector: &connection.connector,
            definition,
            key: &claim.key,
            sent_at: claim.at,
            keep_refresh: Some(&kept.refresh_token),
            keep_extra: kept.extra,
            keep_scope: connection.granted_scope.as_deref(),
            expires_at: None,
            grant_ends_at: connection.refresh_expires_at.filter(|at| stays && *at > claim.at),
        };
        let set = new.seal(&self.core.parts, grant)?;
        let learnt = Learnt {
            lifetime: grant.expires_in.map(time::Duration::seconds),
            rotates: Some(rotated),
            scope_narrowed: seal::narrowed(connection.granted_scope.as_deref(), grant.scope.as_deref()),
        };
        Ok(Answer {
            app: connection.app.clone(),
            connector: connection.connector.clone(),
            flow: connection.flow.clone(),
            seen: self.attempt.seen,
            set,
            learnt,
        })
    }
}
