//! How does the guard hold a token that was forwarded without ever printing it?

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A token in memory: zeroized when dropped, no `Display`, no `Serialize`, a mute `Debug`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the plaintext in.
    pub fn new(plaintext: impl Into<String>) -> Self {
        Self(SecretString::from(plaintext.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_mute() {
        assert_eq!(format!("{:?}", Secret::new("canary")), "[secret]");
    }
}
