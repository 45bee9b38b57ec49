//! The decision "serve, refresh, or refuse": pure, over a row, a policy, a request and the time.

use time::{Duration, OffsetDateTime};

use super::{Connection, Reason, State};
use crate::model::connector::Policy;
use crate::model::protocol::HOLD_OFF_ABSURD_US;
use crate::model::token_set::Generation;

/// What a caller asks for beyond a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What must remain until `guaranteed_until`; `None`: best effort.
    pub min_ttl: Option<Duration>,
    /// "The API refused the token of this generation."
    pub rejected: Option<Generation>,
}

/// Why a served token is not as good as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DegradedCode {
    /// The provider could not be used for the refresh that is due.
    ProviderUnavailable,
    /// The provider refuses our client.
    ProviderMisconfigured,
    /// A new consent is needed; this token lives until it expires.
    ReauthorizationRequired,
    /// The provider says the rejected token works.
    RejectionNotConfirmed,
    /// Too many rejections; nothing was asked or refreshed.
    RejectionThrottled,
    /// The provider grants less than before.
    ScopeNarrowed,
}

impl DegradedCode {
    /// As answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProviderUnavailable => "provider_unavailable",
            Self::ProviderMisconfigured => "provider_misconfigured",
            Self::ReauthorizationRequired => "reauthorization_required",
            Self::RejectionNotConfirmed => "rejection_not_confirmed",
            Self::RejectionThrottled => "rejection_throttled",
            Self::ScopeNarrowed => "scope_narrowed",
        }
    }

    /// A sentence for people.
    pub fn detail(self) -> &'static str {
        match self {
            Self::ProviderUnavailable => "the refresh that is due did not succeed; it is tried again",
            Self::ProviderMisconfigured => {
                "the provider refuses our client; correct the connector's credentials"
            }
            Self::ReauthorizationRequired => {
                "the grant is gone; connect the account again before the token expires"
            }
            Self::RejectionNotConfirmed => "the provider accepts this token; look for another cause",
            Self::RejectionThrottled => "too many rejections of late; neither asked nor refreshed",
            Self::ScopeNarrowed => "the provider grants a narrower scope than before",
        }
    }
}

/// A warning that goes with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// Which.
    pub code: DegradedCode,
    /// Since when.
    pub since: OffsetDateTime,
}

/// Why no token is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Deleted, or never completed.
    NotConnected,
    /// A new consent is needed.
    Reauthorize(Reason),
    /// The provider refuses our client.
    Misconfigured,
    /// No token of this connection lives that long.
    TtlUnsatisfiable {
        /// The most there is.
        max_ttl: Duration,
    },
    /// A refresh is needed and backing off.
    BackingOff {
        /// When it is tried again.
        until: OffsetDateTime,
    },
    /// A refresh token was sent, its outcome is not known, and it must not be sent again yet.
    HoldOff {
        /// When it may be.
        until: OffsetDateTime,
    },
}

/// What to do for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Hand out the token in hand.
    Serve(Option<Degraded>),
    /// Refresh first.
    Refresh,
    /// The current token was rejected: ask the provider where possible, then refresh.
    Confirm,
    /// Give nothing.
    Refuse(Refusal),
}

impl Freshness {
    /// Decides. Serving needs no lock, and a refresh under way is not noticed by whoever can be served.
    pub fn of(connection: &Connection, policy: &Policy, request: Request, now: OffsetDateTime) -> Self {
        let case = Case { connection, policy, request, now };
        match connection.state_at(policy, now) {
            State::Revoked => Self::Refuse(Refusal::NotConnected),
            _ if connection.token_set.is_none() => Self::Refuse(Refusal::NotConnected),
            State::ReauthorizationRequired(reason) => case.parked(
                reason.leaves_token_alive(),
                DegradedCode::ReauthorizationRequired,
                Refusal::Reauthorize(reason),
            ),
            State::Misconfigured => {
                case.parked(true, DegradedCode::ProviderMisconfigured, Refusal::Misconfigured)
            }
            State::Active => case.active(),
        }
    }
}

impl Freshness {
    /// Decides for an admin who wants a newer token whatever the one in hand still gives: a refresh, or why there is
    /// none. `None`: there is nothing to refresh with.
    pub fn renewed(connection: &Connection, policy: &Policy, now: OffsetDateTime) -> Option<Self> {
        // More than any token in hand gives.
        let request = Request { min_ttl: Some(Duration::MAX), rejected: None };
        let case = Case { connection, policy, request, now };
        match connection.state_at(policy, now) {
            State::Active if !connection.can_refresh(policy) => None,
            State::Active => Some(match case.promised() {
                Some(refusal) => Self::Refuse(refusal),
                None => case.unless_barred(Self::Refresh),
            }),
            _ => Some(Self::of(connection, policy, request, now)),
        }
    }

    /// Decides as if nothing had been rejected; a token that is served so carries the warning.
    pub fn despite(
        connection: &Connection,
        policy: &Policy,
        request: Request,
        now: OffsetDateTime,
        warning: Degraded,
    ) -> Self {
        match Self::of(connection, policy, Request { rejected: None, ..request }, now) {
            Self::Serve(_) => Self::Serve(Some(warning)),
            other => other,
        }
    }
}

struct Case<'a> {
    connection: &'a Connection,
    policy: &'a Policy,
    request: Request,
    now: OffsetDateTime,
}

impl Case<'_> {
    /// A token that still lives is served with a warning to whoever asked for nothing more.
    fn parked(&self, may_serve: bool, code: DegradedCode, refusal: Refusal) -> Freshness {
        let asks_more = self.request.min_ttl.is_some() || self.rejects_current();
        if may_serve && !asks_more && self.lives() {
            return Freshness::Serve(Some(Degraded { code, since: self.connection.since }));
        }
        Freshness::Refuse(refusal)
    }

    fn active(&self) -> Freshness {
        if self.rejects_current() {
            return match self.connection.rejections.another(self.now) {
                Some(_) => self.unless_barred(Freshness::Confirm),
                None => Freshness::despite(
                    self.connection,
                    self.policy,
                    self.request,
                    self.now,
                    Degraded { code: DegradedCode::RejectionThrottled, since: self.rejected_since() },
                ),
            };
        }
        if self.is_fresh() {
            return self.narrowed();
        }
        if !self.connection.can_refresh(self.policy) {
            return self.cannot_refresh();
        }
        if let Some(refusal) = self.never_enough() {
            return Freshness::Refuse(refusal);
        }
        self.unless_barred(Freshness::Refresh)
    }

    fn rejects_current(&self) -> bool {
        self.request.rejected == Some(self.connection.generation)
    }

    fn lives(&self) -> bool {
        self.connection.expires_at().is_none_or(|at| at > self.now)
    }

    /// Whether the token in hand gives what was asked.
    fn is_fresh(&self) -> bool {
        let Some(expires_at) = self.connection.expires_at() else {
            // Where no lifetime is known, what is due is due for the refresh token's sake alone.
            return self.connection.known_lifetime(self.policy).is_none()
                || self.connection.refresh_due_at.is_none_or(|due| due > self.now);
        };
        match self.request.min_ttl {
            Some(min_ttl) => self.gives(min_ttl),
            None => {
                let life = self.connection.life_for_margins(self.policy);
                expires_at - Duration::minutes(1).min(life / 5) > self.now
            }
        }
    }

    fn gives(&self, min_ttl: Duration) -> bool {
        self.connection.guaranteed_until(self.policy).is_none_or(|until| until - self.now >= min_ttl)
    }

    /// Beyond what a new token could give, or a refresh that would kill a token others were promised.
    fn never_enough(&self) -> Option<Refusal> {
        let min_ttl = self.request.min_ttl?;
        let max_ttl = self.connection.max_ttl(self.policy);
        if let Some(max_ttl) = max_ttl.filter(|max| min_ttl > *max) {
            return Some(Refusal::TtlUnsatisfiable { max_ttl });
        }
        self.promised()
    }

    /// A refresh would kill a token that others were promised.
    fn promised(&self) -> Option<Refusal> {
        let promised = self.connection.guaranteed_until(self.policy).filter(|until| *until > self.now);
        match promised {
            Some(until) if self.policy.kills_access_token => {
                Some(Refusal::TtlUnsatisfiable { max_ttl: until - self.now })
            }
            _ => None,
        }
    }

    /// No refresh is possible and the token in hand is not over: `state_at` has caught the rest.
    fn cannot_refresh(&self) -> Freshness {
        match self.request.min_ttl {
            None => self.narrowed(),
            Some(_) => {
                let left =
                    self.connection.guaranteed_until(self.policy).map_or(Duration::ZERO, |at| at - self.now);
                Freshness::Refuse(Refusal::TtlUnsatisfiable { max_ttl: left.max(Duration::ZERO) })
            }
        }
    }

    /// `wanted`, unless back-off or hold-off bar the provider call: then the live token, or a refusal for
    /// whoever asked for more than it gives.
    fn unless_barred(&self, wanted: Freshness) -> Freshness {
        // A time that no statement of ours writes (a clock that went back) bars nothing.
        let within = |at: Option<OffsetDateTime>, limit: Duration| {
            at.filter(|at| *at > self.now && *at <= self.now + limit)
        };
        let strict = self.connection.is_strict(self.policy);
        let unknown_outcome = strict && self.connection.sending.sends > 0;
        let contented = self.lives() && self.request.min_ttl.is_none() && !self.rejects_current();
        let leased = self.connection.sending.is_under_way(self.now);
        let held_off =
            within(self.connection.sending.resend_after, Duration::microseconds(HOLD_OFF_ABSURD_US));
        let refusal = if let Some(until) = within(self.connection.retry_at, Duration::hours(2)) {
            Refusal::BackingOff { until }
        } else if let Some(until) = held_off.filter(|_| !leased) {
            Refusal::HoldOff { until }
        } else if unknown_outcome && contented && !leased {
            return self.failing();
        } else {
            return wanted;
        };
        if contented { self.failing() } else { Freshness::Refuse(refusal) }
    }

    /// A refresh that is due failed: whether the provider could not be used or refuses the request.
    fn failing(&self) -> Freshness {
        let error = self.connection.last_error.as_ref();
        let code = match error {
            Some(error) if !error.is_ours() => DegradedCode::ProviderMisconfigured,
            _ => DegradedCode::ProviderUnavailable,
        };
        let since = error.map_or(self.connection.since, |error| error.at);
        Freshness::Serve(Some(Degraded { code, since }))
    }

    fn rejected_since(&self) -> OffsetDateTime {
        self.connection.rejections.since.unwrap_or(self.now)
    }

    fn narrowed(&self) -> Freshness {
        let since = self.connection.last_refresh_at.unwrap_or(self.connection.since);
        let narrowed = Degraded { code: DegradedCode::ScopeNarrowed, since };
        Freshness::Serve(self.connection.scope_narrowed.then_some(narrowed))
    }
}
