//! Which providers are left alone in this process? A breaker for each token endpoint's origin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};
use uuid::Uuid;

use crate::connectors::Error as ProviderError;
use crate::model::breaker::{Admitted, Breaker};
use crate::model::connector::Grant;
use crate::model::time::Clock;

pub(super) struct Breakers {
    clock: Arc<dyn Clock>,
    of: Mutex<HashMap<String, Breaker>>,
}

/// The right to call an origin once. Dropped without [`Pass::report`], nothing was sent.
pub(super) struct Pass<'b> {
    breakers: &'b Breakers,
    origin: String,
    connection: Uuid,
    admitted: Admitted,
}

impl Breakers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, of: Mutex::default() }
    }

    /// Lets a call pass, or says how long none does.
    pub(super) fn admit(&self, origin: String, connection: Uuid) -> Result<Pass<'_>, Duration> {
        let now = self.clock.now();
        let admitted = match self.lock().get_mut(&origin) {
            None => Admitted::Freely,
            Some(breaker) => breaker.admit(now).map_err(|wait| wait.unsigned_abs())?,
        };
        Ok(Pass { breakers: self, origin, connection, admitted })
    }

    /// Whether no call passes now.
    pub(super) fn bars(&self, origin: &str) -> bool {
        let now = self.clock.now();
        self.lock().get(origin).is_some_and(|breaker| breaker.barred_for(now).is_some())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Breaker>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outage(&self, origin: &str, connection: Uuid) {
        let now = self.clock.now();
        let mut of = self.lock();
        of.retain(|_, breaker| !breaker.is_forgotten(now));
        let breaker = of.entry(origin.to_owned()).or_default();
        let before = breaker.barred_for(now);
        breaker.outage(connection, now);
        if before.is_none() && breaker.barred_for(now).is_some() {
            warn!(%origin, "{origin} seems to be away: no token is refreshed there for a while");
        }
    }

    fn answered(&self, origin: &str) {
        if let Some(Breaker::Open { .. } | Breaker::Trial { .. }) = self.lock().remove(origin) {
            info!(%origin, "{origin} answers again");
        }
    }
}

impl Pass<'_> {
    /// Counts what came of the call.
    pub(super) fn report(self, answer: &Result<Grant, ProviderError>) {
        match answer {
            Ok(_)
            | Err(
                ProviderError::Refused { .. }
                | ProviderError::ClientRejected { .. }
                | ProviderError::RequestRejected { .. }
                | ProviderError::RateLimited { .. },
            ) => self.breakers.answered(&self.origin),
            Err(ProviderError::NotSent { .. } | ProviderError::Ambiguous { .. }) => {
                self.breakers.outage(&self.origin, self.connection);
            }
            Err(ProviderError::Definition(_)) => {}
        }
    }
}

impl Drop for Pass<'_> {
    /// What was reported has ended the trial already.
    fn drop(&mut self) {
        if self.admitted == Admitted::OnTrial
            && let Some(breaker) = self.breakers.lock().get_mut(&self.origin)
        {
            breaker.give_back(self.breakers.clock.now());
        }
    }
}
