//! How a connection is named among others of its connector.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Tells several connections of one connector apart: 1 to 64 characters `A-Za-z0-9._-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Flow(String);

impl Flow {
    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl TryFrom<String> for Flow {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("must be 1 to 64 characters A-Za-z0-9._-")
    }
}

impl From<Flow> for String {
    fn from(flow: Flow) -> Self {
        flow.0
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
