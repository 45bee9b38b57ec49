//! What was spent, by whom, how often? The book the harness makes its assertions on.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::faults::Trouble;

/// Everything counted since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Every refresh token ever issued, oldest first.
    pub refresh_tokens: Vec<RefreshEntry>,
    /// Counters by client id.
    pub clients: BTreeMap<String, Counters>,
}

/// One refresh token.
#[derive(Clone, Debug, Serialize)]
pub struct RefreshEntry {
    /// SHA-256 of the token, hexadecimal; never the token.
    pub id: String,
    /// The one whose spending brought it; none after a consent.
    pub parent: Option<String>,
    /// Number of the grant (token family).
    pub grant: u64,
    /// The client it was given to.
    pub client_id: String,
    /// Whose grant it is.
    pub user: String,
    /// When it was given out.
    #[serde(with = "time::serde::rfc3339")]
    pub issued_at: OffsetDateTime,
    /// Whether spending it would succeed, as far as the profile goes.
    pub live: bool,
    /// How often it was presented.
    pub presented: usize,
    /// Each presentation, in order of arrival.
    pub presentations: Vec<Presentation>,
}

/// One time a refresh token was presented.
#[derive(Clone, Debug, Serialize)]
pub struct Presentation {
    /// When the request had arrived.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What the provider made of it.
    pub outcome: Outcome,
    /// What came over the wire instead of the answer; none: the answer itself.
    pub trouble: Option<Trouble>,
    /// Milliseconds the caller was kept waiting on purpose.
    pub waiting_ms: u64,
}

/// What a presentation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not decided yet: the request is being delayed.
    Waiting,
    /// Spent; a new refresh token was issued.
    Rotated,
    /// Accepted; it stays in force.
    Kept,
    /// Spent before, accepted again within the grace window; a new refresh token was issued.
    Repeated,
    /// Spent before: refused, and the family was killed.
    Reused,
    /// Refused, nothing changed.
    Refused,
    /// A fault came before the provider did anything.
    NotProcessed,
}

impl Outcome {
    /// Whether the provider gave tokens for it.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Rotated | Self::Kept | Self::Repeated)
    }
}

/// Counters of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Token requests that arrived, by grant type; `invalid` for any the sandbox does not know.
    pub token_requests: BTreeMap<String, u64>,
    /// Codes exchanged for tokens.
    pub code_exchanges: u64,
    /// Refresh tokens presented that were never issued.
    pub unknown_refresh_tokens: u64,
    /// Requests to revoke a token or a grant that arrived with good credentials.
    pub revocations: u64,
    /// Requests to introspect a token that arrived with good credentials.
    pub introspections: u64,
    /// API calls with a live token.
    pub api_calls: u64,
    /// API calls with a dead token of this client.
    pub api_refusals: u64,
}
