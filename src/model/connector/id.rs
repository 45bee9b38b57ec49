//! How is a connector called?

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::app::{SlugError, check_slug};

/// A connector's id: a slug of at most 40 bytes, matched without regard to case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectorId(String);

impl ConnectorId {
    /// Reads an id; upper case is folded.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        let folded = text.to_ascii_lowercase();
        check_slug(&folded, 40)?;
        Ok(Self(folded))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConnectorId {
    type Error = SlugError;
    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::parse(&text)
    }
}

impl From<ConnectorId> for String {
    fn from(id: ConnectorId) -> Self {
        id.0
    }
}

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fold_case() {
        assert_eq!(ConnectorId::parse("GitHub").unwrap().as_str(), "github");
        assert!(ConnectorId::parse(&"a".repeat(41)).is_err());
    }
}
