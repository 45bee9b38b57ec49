//! What did a form or a query say? Parameters as RFC 6749 §3.1 reads them: empty ones are absent, none comes twice.

use std::collections::BTreeMap;

/// Parameters by name.
#[derive(Debug, Default)]
pub(super) struct Params(BTreeMap<String, String>);

/// Why parameters cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// A name came twice.
    #[error("parameter `{0}` is repeated")]
    Repeated(String),
    /// Not form-encoded UTF-8.
    #[error("the parameters are not form-encoded")]
    Malformed,
}

impl Params {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Unreadable> {
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_bytes(text).map_err(|_| Unreadable::Malformed)?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if params.insert(name.clone(), value).is_some() {
                return Err(Unreadable::Repeated(name));
            }
        }
        Ok(Self(params))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A whole number within bounds, or the default where the text says none.
    pub(super) fn number(&self, name: &str, default: usize, least: usize, most: usize) -> usize {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(default).clamp(least, most)
    }
}
