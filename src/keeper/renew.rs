//! An admin wants a newer token now: compare-and-refresh, through the same flights and claims as every other refresh.
//!
//! Nobody may press harder than the protocol allows: a parked connection is not called, back-off and hold-off are waited
//! for, and where a refresh kills the old token nothing is refreshed while others are promised it.

use std::time::{Duration, Instant};

use crate::identity::Superadmin;
use crate::model::app::AppId;
use crate::model::connection::{Flow, Freshness, Request, State};
use crate::model::connector::ConnectorId;
use crate::model::event::{Action, Event};
use crate::model::token_set::Generation;

use super::case::Case;
use super::flight::Verdict;
use super::status::told;
use super::{Error, SecretsKeeper, Status, refresh};

/// How long an admin waits for the outcome.
const PATIENCE: Duration = Duration::from_secs(20);

impl SecretsKeeper {
    /// Refreshes where `generation` is still current, and tells how the connection is then; another generation costs no
    /// call.
    pub async fn renew(
        &self,
        by: &Superadmin,
        (app, connector): (&AppId, &ConnectorId),
        flow: Option<&Flow>,
        generation: Generation,
    ) -> Result<Status, Error> {
        let definition = self.core.definition(connector).await?;
        let policy = definition.policy();
        let started = Instant::now();
        let mut verdict: Option<Verdict> = None;
        loop {
            let found = self.core.find(app, connector, flow).await?;
            let connection = &found.held.connection;
            let moved = connection.generation != generation;
            if moved && (verdict.is_none() || connection.state == State::Active) {
                return Ok(told(connection, &policy, found.now));
            }
            let case = Case { policy: &policy, request: Request::default(), found: &found };
            match Freshness::renewed(connection, &policy, found.now).ok_or(Error::NotRefreshable)? {
                Freshness::Refuse(refusal) => return Err(case.refused(refusal)),
                _ => {
                    let patience = PATIENCE.saturating_sub(started.elapsed());
                    let trouble = verdict.as_ref().and_then(Verdict::trouble);
                    if trouble.is_some() || patience.is_zero() {
                        return Err(case.out_of_luck(trouble));
                    }
                    if verdict.is_none() {
                        let event = by.principal().event(Action::ConnectionRefresh).about(connection);
                        let event = Event { subject: Some(format!("generation {generation}")), ..event };
                        self.core.parts.audit.record(event).await?;
                    }
                    let target = refresh::Target::new(&definition, connection.clone(), false, found.now);
                    match self.flights.board(&self.core, target, patience).await {
                        Verdict::Spooled(landed) => {
                            let found = &landed.found;
                            return Ok(told(&found.held.connection, &policy, found.now));
                        }
                        other => verdict = Some(other),
                    }
                }
            }
        }
    }
}
