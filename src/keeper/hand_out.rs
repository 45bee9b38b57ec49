//! What does a caller get, once it is decided that the token in hand is the one? Recorded before it leaves.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::identity::MayReceive;
use crate::model::connection::{Degraded, Flow, Freshness, State};
use crate::model::connector::Policy;
use crate::model::event::Action;
use crate::model::secret::Secret;
use crate::model::token_set::Generation;

use super::case::Case;
use super::{Error, Landed, Lifetime, SecretsKeeper};

/// A token with what is known and guaranteed of it.
#[derive(Debug)]
pub struct HandedToken {
    /// The provider's access token.
    pub access_token: Secret,
    /// When it dies; `None`: not known.
    pub expires_at: Option<OffsetDateTime>,
    /// Whole seconds until then.
    pub expires_in: Option<i64>,
    /// Until when it surely works.
    pub guaranteed_until: Option<OffsetDateTime>,
    /// Whole seconds until then, by the clock that tells it: the database's.
    pub guaranteed_in: Option<i64>,
    /// As granted.
    pub scope: Option<String>,
    /// Which connection.
    pub flow: Flow,
    /// Which token set.
    pub generation: Generation,
    /// Whether it was refreshed while the caller waited.
    pub refreshed: bool,
    /// Fields of the provider's answer that jobs need.
    pub extra: Map<String, Value>,
    /// A warning.
    pub degraded: Option<Degraded>,
}

impl SecretsKeeper {
    /// A set that came while the caller waited and still gives less than was asked (the provider answers with
    /// shorter lives than before): another refresh would bring no more.
    pub(super) async fn as_it_came(
        &self,
        by: &MayReceive,
        case: &Case<'_>,
        before: Generation,
    ) -> Result<HandedToken, Error> {
        if case.contented() {
            return self.hand_out(by, case, None, before).await;
        }
        let until = case.connection().guaranteed_until(case.policy);
        let max_ttl = until.map_or(0, |until| (until - case.found.now).whole_seconds().max(0));
        Err(Error::TtlUnsatisfiable { max_ttl })
    }

    /// The database could not take the set: those who waited for it get it all the same.
    pub(super) async fn hand_out_spooled(
        &self,
        by: &MayReceive,
        policy: &Policy,
        lifetime: Lifetime,
        landed: &Landed,
    ) -> Result<HandedToken, Error> {
        let case = Case { policy, request: lifetime.request, found: &landed.found };
        match case.decide(None) {
            Freshness::Serve(degraded) => self.hand_out(by, &case, degraded, landed.before).await,
            _ => self.as_it_came(by, &case, landed.before).await,
        }
    }

    pub(super) async fn hand_out(
        &self,
        by: &MayReceive,
        case: &Case<'_>,
        degraded: Option<Degraded>,
        before: Generation,
    ) -> Result<HandedToken, Error> {
        let connection = &case.found.held.connection;
        let now = case.found.now;
        let opened = self.core.open_access(&case.found.held).await?;
        let event = by.principal().event(Action::TokenHandOut).about(connection);
        let asked = self.core.parts.clock.now();
        self.core.parts.audit.record(event).await?;
        // The record may have waited for a database that stalled: what died meanwhile is given to nobody.
        let now_recorded = now + (self.core.parts.clock.now() - asked);
        if connection.expires_at().is_some_and(|at| at <= now_recorded) {
            return Err(Error::RefreshInProgress {
                unknown_until: None,
                retry_after: 1,
                current_expires_in: None,
            });
        }
        let parked = connection.state != State::Active;
        let guaranteed_until = connection.guaranteed_until(case.policy).filter(|at| !parked && *at > now);
        Ok(HandedToken {
            access_token: opened.access,
            expires_at: connection.expires_at(),
            expires_in: case.expires_in(),
            guaranteed_until,
            guaranteed_in: guaranteed_until.map(|at| (at - now_recorded).whole_seconds().max(0)),
            scope: connection.granted_scope.clone(),
            flow: connection.flow.clone(),
            generation: connection.generation,
            refreshed: connection.generation > before,
            extra: opened.extra,
            degraded,
        })
    }
}
