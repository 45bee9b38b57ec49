//! How are tokens made, and how are they told apart without keeping them?

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::entropy::{Entropy, token};

/// SHA-256 of a token, hexadecimal: its name in the book and in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(String);

impl Id {
    pub(super) fn of(token: &str) -> Self {
        Self(digest(&SHA256, token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A new token with a prefix, and its name.
pub(super) fn mint(prefix: &str, entropy: &dyn Entropy) -> (String, Id) {
    let text = format!("{prefix}{}", token::<32>(entropy));
    let id = Id::of(&text);
    (text, id)
}

/// The S256 challenge of a verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// A number that stands for a name, always the same, for APIs whose ids are numbers.
pub(super) fn number(name: &str) -> u32 {
    let hash = digest(&SHA256, name.as_bytes());
    hash.as_ref().iter().take(4).fold(0, |number, byte| (number << 8) | u32::from(*byte)) >> 1
}
