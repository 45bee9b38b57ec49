//! Chance, as an argument.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::time::Clock;

/// Nature's dice.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `buffer` with bytes nobody can predict.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::expect_used, reason = "without random numbers nothing may go on")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives random bytes");
    }
}

/// `BYTES` random bytes as base64url without padding: characters `A-Za-z0-9_-` only.
pub fn token<const BYTES: usize>(entropy: &dyn Entropy) -> String {
    let mut bytes = [0_u8; BYTES];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A time-ordered id (UUIDv7, RFC 9562 §5.7).
pub fn uuid(clock: &dyn Clock, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0_u8; 10];
    entropy.fill(&mut random);
    let millis = clock.now().unix_timestamp_nanos() / 1_000_000;
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or_default(), &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::SystemClock;

    #[test]
    fn ids_are_version_7_and_differ() {
        let (a, b) = (uuid(&SystemClock, &SystemEntropy), uuid(&SystemClock, &SystemEntropy));
        assert_eq!(a.get_version_num(), 7);
        assert_ne!(a, b);
    }

    #[test]
    fn a_256_bit_token_has_43_url_safe_characters() {
        let token = token::<32>(&SystemEntropy);
        assert_eq!(token.len(), 43);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    }
}
