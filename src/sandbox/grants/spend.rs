//! What happens when a refresh token is presented? Arrival, spending by the rules of rotation, and the record.

use time::{Duration, OffsetDateTime};

use super::{Book, Denied, Issued, Terms};
use crate::sandbox::{
    faults::Faults,
    ledger::{Outcome, Presentation},
    opaque::Id,
    profile::Rotation,
};

/// Where a presentation stands in the ledger.
#[derive(Debug)]
pub(in crate::sandbox) struct Arrival {
    id: Id,
    at: usize,
}

/// What the rules say to a refresh token of the client that presents it.
enum Verdict {
    Rotate(Outcome),
    Keep,
    KillFamily,
    Refuse,
}

impl Book {
    /// Notes that a refresh token was presented; none where it was never issued.
    pub(in crate::sandbox) fn arrive(
        &mut self,
        token: &str,
        faults: &Faults,
        now: OffsetDateTime,
    ) -> Option<Arrival> {
        let id = Id::of(token);
        let presentations = &mut self.refresh.get_mut(&id)?.presentations;
        let at = presentations.len();
        presentations.push(Presentation {
            at: now,
            outcome: Outcome::Waiting,
            trouble: faults.before.clone().or_else(|| faults.after.clone()),
            waiting_ms: faults.waiting_ms(),
        });
        Some(Arrival { id, at })
    }

    /// Notes what a presentation came to.
    pub(in crate::sandbox) fn settle(&mut self, arrival: &Arrival, outcome: Outcome) {
        let entry = self.refresh.get_mut(&arrival.id);
        if let Some(presentation) = entry.and_then(|refresh| refresh.presentations.get_mut(arrival.at)) {
            presentation.outcome = outcome;
        }
    }

    /// Spends a refresh token by the rules in force.
    pub(in crate::sandbox) fn spend(
        &mut self,
        token: &str,
        client_id: &str,
        terms: &Terms<'_>,
    ) -> (Outcome, Result<Issued, Denied>) {
        let id = Id::of(token);
        let Some(number) = self.refresh.get(&id).map(|refresh| refresh.grant) else {
            return (Outcome::Refused, Err(Denied::BadRefreshToken));
        };
        let verdict = self.verdict(&id, number, client_id, terms);
        if let (Verdict::Keep | Verdict::Rotate(_), Some(user)) = (&verdict, &terms.faults.user)
            && let Some(grant) = self.grants.get_mut(&number)
        {
            grant.user.clone_from(user);
        }
        match verdict {
            Verdict::Refuse => (Outcome::Refused, Err(Denied::BadRefreshToken)),
            Verdict::KillFamily => {
                self.kill(number);
                (Outcome::Reused, Err(Denied::BadRefreshToken))
            }
            Verdict::Keep => (Outcome::Kept, Ok(self.renew(number, token, terms))),
            Verdict::Rotate(outcome) => {
                if let Some(refresh) = self.refresh.get_mut(&id) {
                    refresh.spent_at.get_or_insert(terms.now);
                }
                self.bury_access(number, terms);
                (outcome, Ok(self.issue(number, Some(id), terms)))
            }
        }
    }

    fn verdict(&self, id: &Id, number: u64, client_id: &str, terms: &Terms<'_>) -> Verdict {
        let (Some(refresh), Some(grant)) = (self.refresh.get(id), self.grants.get(&number)) else {
            return Verdict::Refuse;
        };
        let expired = refresh.expires_at.is_some_and(|end| end <= terms.now);
        if grant.client_id != client_id || grant.dead || expired {
            return Verdict::Refuse;
        }
        let rules = terms.rules(&grant.scope);
        match (refresh.spent_at, rules.rotation) {
            (_, Rotation::None) => Verdict::Keep,
            (None, _) if !rules.refreshable => Verdict::Keep,
            (None, _) => Verdict::Rotate(Outcome::Rotated),
            (Some(_), Rotation::SingleUse) => Verdict::Refuse,
            (Some(spent), Rotation::Grace(s)) if terms.now - spent <= Duration::seconds(i64::from(s)) => {
                Verdict::Rotate(Outcome::Repeated)
            }
            (Some(_), Rotation::Grace(_) | Rotation::Strict) => Verdict::KillFamily,
        }
    }

    /// A new access token beside the same refresh token, which the answer repeats unless it is left out.
    fn renew(&mut self, number: u64, token: &str, terms: &Terms<'_>) -> Issued {
        self.bury_access(number, terms);
        let grant = self.grants.get(&number);
        let granted = grant.map(|g| g.scope.clone()).unwrap_or_default();
        let user = grant.map(|g| g.user.clone()).unwrap_or_default();
        let rules = terms.rules(&granted);
        let scope = terms.faults.scope.as_ref().map_or(granted, |narrowed| terms.profile.scopes(narrowed));
        Issued {
            access_token: self.add_access(number, scope.clone(), &rules, terms),
            refresh_token: rules.refreshable.then(|| token.to_owned()),
            scope,
            lifetime_s: rules.lifetime_s,
            refresh_lifetime_s: rules.refresh_lifetime_s,
            user,
            nonce: None,
        }
    }

    /// Kills the access tokens given so far, where the rules say so.
    fn bury_access(&mut self, number: u64, terms: &Terms<'_>) {
        let Some(grant) = self.grants.get(&number) else { return };
        if !terms.rules(&grant.scope).kills_access_token {
            return;
        }
        for id in &grant.access {
            if let Some(access) = self.access.get_mut(id) {
                access.dead = true;
            }
        }
    }
}
