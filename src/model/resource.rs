//! Other resource servers whose tokens we issue (RFC 8707), and the scopes they know.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::scope::Scope;
use super::uri::ResourceUri;

/// A scope of another resource server: a scope token of RFC 6749 §3.3 that is none of the broker's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceScope(String);

/// The longest, in bytes.
const MAX_BYTES: usize = 100;

impl ResourceScope {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        // NQCHAR of RFC 6749, appendix A.
        let allowed = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        let token = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed);
        (token && Scope::parse(text).is_none()).then(|| Self(text.to_owned()))
    }

    /// The scope token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ResourceScope {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("must be a scope token that is none of the broker's")
    }
}

impl From<ResourceScope> for String {
    fn from(scope: ResourceScope) -> Self {
        scope.0
    }
}

impl fmt::Display for ResourceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource server registered here: tokens for it carry its URI as `aud`, and its scopes alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Names it in `resource` and `aud`.
    pub uri: ResourceUri,
    /// For people.
    pub name: String,
    /// What it knows.
    pub scopes: BTreeSet<ResourceScope>,
    /// Counts changes; the `ETag`.
    pub version: i64,
    /// When it was registered.
    pub created_at: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_others_are_scope_tokens_and_none_of_ours() {
        for good in ["terms:read", "tasks.start", "https://api.example/scope", "!#[]~"] {
            assert!(ResourceScope::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "a\"b", "a\\b", "é", "superadmin", "binb:read", "openid", &"a".repeat(101)] {
            assert!(ResourceScope::parse(bad).is_none(), "{bad}");
        }
    }
}
