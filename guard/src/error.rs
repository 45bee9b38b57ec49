//! Why was a token refused?

/// Why a token was refused, or could not be judged.
///
/// The causes are stable and hold no part of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// Not three base64url parts of well-formed JSON, or a claim of the wrong kind.
    #[error("the token is malformed")]
    Malformed,
    /// Longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES).
    #[error("the token is too long")]
    TooLong,
    /// An algorithm that is not allowed, or not the one of its key.
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// A header parameter that would let the token choose its key, or that must be understood and is not.
    #[error("the token header carries `{0}`, which is not accepted")]
    Header(&'static str),
    /// Not an access token: wrong `typ`, or an ID token.
    #[error("the token is not an access token")]
    Type,
    /// No key of the issuer has this `kid`, or it has none and the issuer has several keys.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is not the one of the key.
    #[error("the token has an invalid signature")]
    Signature,
    /// From another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// For another audience.
    #[error("the token is for another audience")]
    Audience,
    /// A required claim is missing or empty.
    #[error("the token has no `{0}` claim")]
    MissingClaim(&'static str),
    /// `exp` has passed, leeway included.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is in the future, leeway included: often a clock that is wrong.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The issuer's keys are not known yet: the token may be good, nobody can say. Try again (503, not 401).
    #[error("the keys of the issuer are not available")]
    KeysUnavailable,
}

impl Error {
    /// Whether the same token may pass a moment later, without the caller doing anything.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::KeysUnavailable)
    }

    /// A stable snake_case name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::Algorithm => "algorithm",
            Self::Header(_) => "header",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::MissingClaim(_) => "missing_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}
