//! A connection: one account's grant for an app, a connector and a flow.

mod freshness;
mod key;
mod rejection;
mod unasked;

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::app::AppId;
use super::connector::{ConnectorId, Policy};
use super::own::Own;
use super::protocol::LEASE_ABSURD_US;
use super::token_set::{Generation, TokenSet};

pub use self::freshness::{Degraded, DegradedCode, Freshness, Refusal, Request};
pub use self::key::Flow;
pub use self::rejection::Rejections;
pub use self::unasked::Lives;

/// Why a new consent is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The provider refused the grant.
    Revoked,
    /// The refresh token is past its life, or there is none and the access token is.
    Expired,
    /// The provider may have rotated and its answer was lost.
    LostRotation,
    /// The API refuses the token and it cannot be refreshed.
    Rejected,
    /// The grant now belongs to another account.
    AccountChanged,
}

impl Reason {
    const ALL: [Self; 5] =
        [Self::Revoked, Self::Expired, Self::LostRotation, Self::Rejected, Self::AccountChanged];

    /// As stored and answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::LostRotation => "lost_rotation",
            Self::Rejected => "rejected",
            Self::AccountChanged => "account_changed",
        }
    }

    /// Reads a stored value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether a token that still lives may be served.
    fn leaves_token_alive(self) -> bool {
        matches!(self, Self::Revoked | Self::Expired | Self::LostRotation)
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Served and refreshed.
    Active,
    /// Parked until its credentials change.
    Misconfigured,
    /// Parked until somebody consents again.
    ReauthorizationRequired(Reason),
    /// Deleted by an admin.
    Revoked,
}

impl State {
    /// Every name of [`State::as_str`].
    pub const NAMES: [&'static str; 4] = ["active", "misconfigured", "reauthorization_required", "revoked"];

    /// As stored and answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Misconfigured => "misconfigured",
            Self::ReauthorizationRequired(_) => "reauthorization_required",
            Self::Revoked => "revoked",
        }
    }

    /// Reads a stored value.
    pub fn parse(state: &str, reason: Option<&str>) -> Option<Self> {
        match state {
            "active" => Some(Self::Active),
            "misconfigured" => Some(Self::Misconfigured),
            "reauthorization_required" => Some(Self::ReauthorizationRequired(Reason::parse(reason?)?)),
            "revoked" => Some(Self::Revoked),
            _ => None,
        }
    }

    /// Why, where a reason belongs to the state.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::ReauthorizationRequired(reason) => Some(reason),
            Self::Active | Self::Misconfigured | Self::Revoked => None,
        }
    }
}

/// The last failure, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// A stable code of ours, or the provider's OAuth error code.
    pub code: String,
    /// When.
    pub at: OffsetDateTime,
}

/// Codes of ours in [`LastError`]; any other is the provider's OAuth error code.
pub const UNAVAILABLE: &str = "provider_unavailable";
/// See [`UNAVAILABLE`].
pub const RATE_LIMITED: &str = "rate_limited";

impl LastError {
    /// Whether the provider could not be used, as against refusing the request.
    pub fn is_ours(&self) -> bool {
        self.code == UNAVAILABLE || self.code == RATE_LIMITED
    }
}

/// A refresh under way, or one whose outcome is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// Until when somebody refreshes.
    pub lease_until: Option<OffsetDateTime>,
    /// Sends of the current refresh token without a definite answer.
    pub sends: i32,
    /// No resend before.
    pub resend_after: Option<OffsetDateTime>,
}

impl Sending {
    /// Whether somebody holds the claim. A lease longer than any statement of ours gives (a clock that went back)
    /// holds nothing.
    pub fn is_under_way(&self, now: OffsetDateTime) -> bool {
        self.lease_until
            .is_some_and(|until| until > now && until <= now + Duration::microseconds(LEASE_ABSURD_US))
    }
}

/// A connection as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Row id.
    pub id: Uuid,
    /// Tenant.
    pub app: AppId,
    /// Kind of API.
    pub connector: ConnectorId,
    /// Which of several.
    pub flow: Flow,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: OffsetDateTime,
    /// Counts token sets.
    pub generation: Generation,
    /// The highest that any of its sets has; the next to be current gets the one after.
    pub last_generation: Generation,
    /// The current token set.
    pub token_set: Option<TokenSet>,
    /// Who connected it: an actor, as stored.
    pub owner: Option<String>,
    /// Keyed hash of [`Owner`].
    pub owner_mac: Option<Vec<u8>>,
    /// What people call the owner.
    pub owner_label: Option<String>,
    /// Whether app members may exchange for it.
    pub shared: bool,
    /// Keyed hash of [`Sharing`].
    pub shared_mac: Option<Vec<u8>>,
    /// Keyed hash of the account's id at the provider.
    pub account_fingerprint: Option<Vec<u8>>,
    /// What people call the account.
    pub account_label: Option<String>,
    /// URL variables.
    pub variables: BTreeMap<String, String>,
    /// Keyed hash over whose they are and the variables: these are worth nothing until it was checked.
    pub own_mac: Vec<u8>,
    /// As granted last.
    pub granted_scope: Option<String>,
    /// Whether the last answer granted less than the one before.
    pub scope_narrowed: bool,
    /// Longest lifetime an answer of the provider gave.
    pub lifetime: Option<Duration>,
    /// Learnt: `Some(false)` once a refresh answer brought no new refresh token.
    pub rotates: Option<bool>,
    /// When the refresh token dies, where known.
    pub refresh_expires_at: Option<OffsetDateTime>,
    /// When it is to be refreshed in the background.
    pub refresh_due_at: Option<OffsetDateTime>,
    /// When a refresh succeeded last.
    pub last_refresh_at: Option<OffsetDateTime>,
    /// The last failure since.
    pub last_error: Option<LastError>,
    /// Consecutive failures.
    pub failures: i32,
    /// No refresh before (back-off).
    pub retry_at: Option<OffsetDateTime>,
    /// A refresh under way.
    pub sending: Sending,
    /// Refreshes caused by `rejected`.
    pub rejections: Rejections,
    /// Credentials row and version it was made with.
    pub credentials: Option<(Uuid, i64)>,
}

impl Connection {
    /// Whether a refresh spends the refresh token, as far as is known ("strict").
    pub fn is_strict(&self, policy: &Policy) -> bool {
        policy.rotates.unwrap_or(self.rotates != Some(false))
    }

    /// Whether a refresh can be tried at all.
    pub fn can_refresh(&self, policy: &Policy) -> bool {
        policy.refreshes && self.token_set.as_ref().is_some_and(|set| set.refreshable)
    }

    /// The state as told: a grant without refresh whose token is over needs a new consent, with no write.
    pub fn state_at(&self, policy: &Policy, now: OffsetDateTime) -> State {
        let over = self.expires_at().is_some_and(|at| at <= now);
        if self.state == State::Active && over && !self.can_refresh(policy) {
            return State::ReauthorizationRequired(Reason::Expired);
        }
        self.state
    }

    /// When the access token dies, where known.
    pub fn expires_at(&self) -> Option<OffsetDateTime> {
        self.token_set.as_ref().and_then(|set| set.expires_at)
    }

    /// Until when the access token surely works for the caller (api.md §1): a little before it dies, and
    /// before a refresh that kills it may begin.
    pub fn guaranteed_until(&self, policy: &Policy) -> Option<OffsetDateTime> {
        let expires_at = self.expires_at()?;
        let life = self.life_for_margins(policy);
        let margin = Duration::seconds(30).min(life / 20);
        let kill_zone = if policy.kills_access_token { life / 5 } else { Duration::ZERO };
        Some(expires_at - margin.max(kill_zone))
    }

    /// The lifetime by definition, else as learnt from the provider's own answers; never from an import.
    pub fn known_lifetime(&self, policy: &Policy) -> Option<Duration> {
        policy.lifetime.or(self.lifetime)
    }

    /// The longest `min_ttl` a new token could meet.
    pub fn max_ttl(&self, policy: &Policy) -> Option<Duration> {
        let lifetime = self.known_lifetime(policy)?;
        let usable = if policy.kills_access_token {
            lifetime * 4 / 5 - Duration::minutes(1)
        } else {
            lifetime - Duration::minutes(1).max(lifetime / 10)
        };
        Some(usable.max(Duration::ZERO))
    }

    /// A known lifetime, else the life that was left when the token was stored.
    fn life_for_margins(&self, policy: &Policy) -> Duration {
        let initial = self.token_set.as_ref().and_then(|set| set.initial_life);
        self.known_lifetime(policy).or(initial).unwrap_or(Duration::ZERO)
    }
}
/// Whose a connection is: who may exchange a token for its.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'c> {
    /// Its row.
    pub id: Uuid,
    /// Tenant.
    pub app: &'c AppId,
    /// As stored.
    pub owner: &'c str,
}

impl Own for Owner<'_> {
    const TABLE: &'static str = "connection";

    fn covered(&self) -> Vec<Vec<u8>> {
        let parts: [&[u8]; 4] =
            [b"owner", self.id.as_bytes(), self.app.as_str().as_bytes(), self.owner.as_bytes()];
        parts.map(<[u8]>::to_vec).to_vec()
    }
}

/// Whether members of the app may exchange a token for a connection's.
#[derive(Clone, Copy, Debug)]
pub struct Sharing<'c> {
    /// Its row.
    pub id: Uuid,
    /// Tenant.
    pub app: &'c AppId,
    /// As stored.
    pub shared: bool,
}

impl Own for Sharing<'_> {
    const TABLE: &'static str = "connection";

    fn covered(&self) -> Vec<Vec<u8>> {
        let shared = [u8::from(self.shared)];
        let parts: [&[u8]; 4] = [b"shared", self.id.as_bytes(), self.app.as_str().as_bytes(), &shared];
        parts.map(<[u8]>::to_vec).to_vec()
    }
}
