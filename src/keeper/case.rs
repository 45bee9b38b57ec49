//! One decision of a hand-out: a request over what was found, and what a refusal is told as.

use std::time::Duration;

use time::OffsetDateTime;

use crate::model::connection::{
    Connection, Degraded, DegradedCode, Freshness, LastError, Reason, Refusal, Request, State,
};
use crate::model::connector::Policy;

use super::flight::{Trouble, Verdict};
use super::{Error, Found};

/// One decision: a request over what was found.
pub(super) struct Case<'a> {
    pub(super) policy: &'a Policy,
    pub(super) request: Request,
    pub(super) found: &'a Found,
}

impl Case<'_> {
    pub(super) fn connection(&self) -> &Connection {
        &self.found.held.connection
    }

    /// The row's answer, unless the flight just told that the rejected token works.
    pub(super) fn decide(&self, verdict: Option<&Verdict>) -> Freshness {
        let (connection, now) = (self.connection(), self.found.now);
        let current = connection.token_set.as_ref().map(|set| set.id);
        match verdict {
            Some(Verdict::NotConfirmed(set)) if current == Some(*set) => {
                let warning = Degraded { code: DegradedCode::RejectionNotConfirmed, since: now };
                Freshness::despite(connection, self.policy, self.request, now, warning)
            }
            Some(Verdict::Confirmed(set)) if current == Some(*set) && connection.state == State::Active => {
                let until = connection.retry_at.max(connection.sending.resend_after).unwrap_or(now);
                Freshness::Refuse(Refusal::BackingOff { until })
            }
            _ => Freshness::of(connection, self.policy, self.request, now),
        }
    }

    /// Whether the token in hand lives and the caller asked for no more.
    pub(super) fn contented(&self) -> bool {
        let rejects = self.request.rejected == Some(self.connection().generation);
        let lives = self.connection().expires_at().is_none_or(|at| at > self.found.now);
        lives && !rejects && self.request.min_ttl.is_none()
    }

    /// Whether the provider gave the set in hand within the last minute.
    pub(super) fn just_issued(&self) -> bool {
        let set = self.connection().token_set.as_ref();
        let issued = set.and_then(|set| Some(set.expires_at? - set.initial_life?));
        issued.is_some_and(|at| self.found.now - at < time::Duration::minutes(1))
    }

    /// Whoever can be served waits no longer than half of what the token in hand has left.
    pub(super) fn patience(&self, wait: Duration) -> Duration {
        let left = self.connection().expires_at().map(|at| (at - self.found.now) / 2);
        match left.and_then(|left| Duration::try_from(left).ok()) {
            Some(half) if self.contented() => wait.min(half),
            _ => wait,
        }
    }

    pub(super) fn expires_in(&self) -> Option<i64> {
        self.connection().expires_at().map(|at| (at - self.found.now).whole_seconds().max(0))
    }

    pub(super) fn degraded(&self, trouble: Trouble) -> Degraded {
        let code = match trouble {
            Trouble::CredentialsMissing | Trouble::Unreadable | Trouble::NotOurs { .. } => {
                DegradedCode::ProviderMisconfigured
            }
            Trouble::Storage | Trouble::Unsettled | Trouble::Barred { .. } | Trouble::Full => {
                DegradedCode::ProviderUnavailable
            }
        };
        Degraded { code, since: self.found.now }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        let connection = self.connection();
        match refusal {
            Refusal::NotConnected => Error::ConnectionNotFound { flow: Some(connection.flow.clone()) },
            Refusal::Reauthorize(reason) => self.reauthorize(reason),
            Refusal::Misconfigured => Error::Misconfigured { provider_error: self.last_code() },
            Refusal::TtlUnsatisfiable { max_ttl } => {
                Error::TtlUnsatisfiable { max_ttl: max_ttl.whole_seconds() }
            }
            Refusal::HoldOff { until } => Error::RefreshInProgress {
                unknown_until: Some(until),
                retry_after: self.seconds_until(until),
                current_expires_in: self.current_expires_in(),
            },
            Refusal::BackingOff { until } if self.provider_is_away() => Error::ProviderUnavailable {
                retry_after: self.seconds_until(until),
                current_expires_in: self.current_expires_in(),
            },
            Refusal::BackingOff { .. } => Error::Misconfigured { provider_error: self.last_code() },
        }
    }

    pub(super) fn reauthorize(&self, reason: Reason) -> Error {
        let connection = self.connection();
        let over = connection.expires_at().filter(|_| connection.state == State::Active);
        Error::ReauthorizationRequired {
            reason,
            since: over.unwrap_or(connection.since),
            account: connection.account_label.clone(),
            connected_by: connection.owner_label.clone().or_else(|| connection.owner.clone()),
            flow: connection.flow.clone(),
        }
    }

    pub(super) fn out_of_luck(&self, trouble: Option<Trouble>) -> Error {
        let current_expires_in = self.current_expires_in();
        match trouble {
            None => Error::RefreshInProgress { unknown_until: None, retry_after: 1, current_expires_in },
            Some(Trouble::Unsettled) => Error::RefreshInProgress {
                unknown_until: Some(self.found.now + Duration::from_secs(15)),
                retry_after: 15,
                current_expires_in,
            },
            Some(Trouble::Barred { retry_after }) => {
                Error::ProviderUnavailable { retry_after, current_expires_in }
            }
            Some(Trouble::CredentialsMissing) => Error::CredentialsMissing,
            Some(Trouble::Unreadable) => Error::Unreadable(crate::vault::Error::DoesNotOpen {
                table: "token_set",
                column: "sealed_refresh",
            }),
            Some(Trouble::NotOurs { table }) => Error::Unreadable(crate::vault::Error::NotOurs { table }),
            Some(Trouble::Storage) => Error::Store(crate::store::Error::Interrupted),
            Some(Trouble::Full) => Error::Overloaded,
        }
    }

    pub(super) fn provider_is_away(&self) -> bool {
        self.connection().last_error.as_ref().is_none_or(LastError::is_ours)
    }

    pub(super) fn last_code(&self) -> String {
        self.connection().last_error.as_ref().map_or_else(String::new, |error| error.code.clone())
    }

    pub(super) fn current_expires_in(&self) -> Option<i64> {
        self.expires_in().filter(|left| *left > 0)
    }

    pub(super) fn seconds_until(&self, at: OffsetDateTime) -> u64 {
        u64::try_from((at - self.found.now).whole_seconds()).unwrap_or_default().saturating_add(1)
    }
}
