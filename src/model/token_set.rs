//! A token set: what one answer of a provider left us with.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Names a token set for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenSetId(pub Uuid);

impl std::fmt::Display for TokenSetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the token sets of a connection; what people and jobs see. The first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub i64);

impl Generation {
    /// The one after.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The current token set of a connection, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// Its name.
    pub id: TokenSetId,
    /// When the access token dies; `None`: not known.
    pub expires_at: Option<OffsetDateTime>,
    /// Life left when it was stored: stands for an unknown lifetime in margins.
    pub initial_life: Option<Duration>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
}
