//! Section `issuer`: how our own tokens are signed and how long they live.

use super::reader::Reader;

/// Settings of our authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// JWS algorithm of new signing keys.
    pub algorithm: &'static str,
    /// Seconds an access token lives, where its client has no own value.
    pub token_lifetime_s: u32,
    /// After how many days another signing key takes over; 0: only when it is asked for.
    pub rotation_days: u32,
}

pub(super) fn read(reader: &mut Reader) -> Issuer {
    let known = |text: &str| ["ES256", "RS256"].into_iter().find(|known| *known == text);
    let algorithm = reader.hinted("issuer.algorithm", "`ES256` or `RS256`", known).unwrap_or("ES256");
    let token_lifetime_s = reader.number("issuer.token_lifetime_s", 60..=86_400).unwrap_or(3600);
    let rotation_days = reader.number("issuer.rotation_days", 0..=3_650).unwrap_or(90);
    Issuer { algorithm, token_lifetime_s, rotation_days }
}
