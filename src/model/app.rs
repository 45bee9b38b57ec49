//! An app: one tenant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// First path segments that routes of ours use: no app may be called so.
const RESERVED: [&str; 17] = [
    "admin",
    "api",
    "o",
    "oauth",
    "connect",
    "login",
    "logout",
    "invitations",
    "console",
    "static",
    "healthz",
    "readyz",
    "metrics",
    "docs",
    "problems",
    "well-known",
    "account",
];

/// Why a text is not a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlugError {
    /// Wrong characters or none.
    #[error("must match [a-z0-9]([a-z0-9-]*[a-z0-9])?")]
    Alphabet,
    /// Too many bytes.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// The name of a route of ours.
    #[error("is a reserved name")]
    Reserved,
}

/// Whether `text` matches `[a-z0-9]([a-z0-9-]*[a-z0-9])?` and has at most `max` bytes.
pub(super) fn check_slug(text: &str, max: usize) -> Result<(), SlugError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || text.starts_with('-') || text.ends_with('-') || !text.bytes().all(allowed) {
        return Err(SlugError::Alphabet);
    }
    if text.len() > max { Err(SlugError::TooLong(max)) } else { Ok(()) }
}

/// A tenant's id: a slug of at most 63 bytes, never reused, never the first segment of a route of ours.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId(String);

impl AppId {
    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        check_slug(text, 63)?;
        if RESERVED.contains(&text) { Err(SlugError::Reserved) } else { Ok(Self(text.to_owned())) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AppId {
    type Error = SlugError;
    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::parse(&text)
    }
}

impl From<AppId> for String {
    fn from(id: AppId) -> Self {
        id.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an app's tokens are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppState {
    /// In use.
    Active,
    /// Every hand-out and signup is refused with `app_disabled`.
    Disabled,
}

impl AppState {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its slug.
    pub id: AppId,
    /// What people call it.
    pub name: String,
    /// Whether it is in use.
    pub state: AppState,
    /// When it was made.
    pub created_at: time::OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_strictly() {
        assert!(AppId::parse("acme-2").is_ok());
        assert!(AppId::parse(&"a".repeat(63)).is_ok());
        assert_eq!(AppId::parse(&"a".repeat(64)), Err(SlugError::TooLong(63)));
        assert_eq!(AppId::parse("admin"), Err(SlugError::Reserved));
        for bad in ["", "-a", "a-", "Acme", "a b", "a/b", "é"] {
            assert_eq!(AppId::parse(bad), Err(SlugError::Alphabet), "{bad}");
        }
    }
}
