//! How does the client hold a token or client secret without ever printing it?

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A token or client secret in memory: zeroized when dropped, no `Display`, no `Serialize`, a mute `Debug`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the plaintext in.
    pub fn new(plaintext: impl Into<String>) -> Self {
        Self(SecretString::from(plaintext.into()))
    }

    /// The same text, to the letter. Not for what a stranger presents: it tells by its time how much was right.
    pub fn is(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }

    /// The plaintext: every caller states its reason.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_mute() {
        assert_eq!(format!("{:?}", Secret::new("canary")), "[secret]");
    }
}
