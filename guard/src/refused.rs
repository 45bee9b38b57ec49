//! Why may a request not pass, and what is its sender told?

use crate::{BearerError, Challenge, Error, HeaderError, IdTokenError};

/// Why a request is not let through. Holds no part of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No access token came: 401, a challenge without an error code (RFC 6750 §3.1).
    #[error("the request carries no access token")]
    Missing,
    /// Forwarded tokens from an address that is no trusted proxy: 401.
    #[error("the request does not come from a trusted proxy")]
    UntrustedPeer,
    /// A header that came twice or does not hold what it is for: 401.
    #[error("the header `{name}` cannot be used")]
    Header {
        /// The header, as it was configured.
        name: String,
        /// What is wrong with it.
        #[source]
        cause: HeaderError,
    },
    /// The access token is refused: 401; with [`Error::KeysUnavailable`] it could not be judged: 503.
    #[error(transparent)]
    AccessToken(#[from] Error),
    /// The ID token is refused: 401; 503 as above.
    #[error("the ID token is refused")]
    IdToken(#[source] IdTokenError),
    /// The ID token, or what the proxy says of the person, is about somebody else than the access token: 401.
    #[error("the header `{0}` speaks of somebody else than the access token")]
    OtherSubject(String),
    /// The token is good but lacks one of these scopes, separated by spaces: 403.
    #[error("the token lacks a scope that is needed: `{0}`")]
    InsufficientScope(&'static str),
}

impl Refused {
    /// Whether the same request may pass a moment later: answer 503 with `Retry-After`, never 401.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::AccessToken(error) | Self::IdToken(IdTokenError::Token(error)) => error.is_temporary(),
            _ => false,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3); none where the token could not be judged.
    pub fn challenge(&self, realm: &str) -> Option<Challenge> {
        let challenge = Challenge::new(realm);
        match self {
            _ if self.is_temporary() => None,
            Self::Missing | Self::UntrustedPeer => Some(challenge),
            Self::InsufficientScope(scope) => {
                Some(challenge.error(BearerError::InsufficientScope).scope(scope))
            }
            Self::Header { .. } | Self::AccessToken(_) | Self::IdToken(_) | Self::OtherSubject(_) => {
                Some(challenge.error(BearerError::InvalidToken).description(&self.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(refused: &Refused) -> Option<String> {
        refused.challenge("terms").map(|challenge| challenge.to_string())
    }

    #[test]
    fn the_challenge_tells_what_is_missing_or_wrong() {
        let header = Refused::Header { name: "x-id-token".to_owned(), cause: HeaderError::Repeated };
        let told = [
            (Refused::Missing, r#"Bearer realm="terms""#),
            (Refused::UntrustedPeer, r#"Bearer realm="terms""#),
            (
                header,
                r#"Bearer realm="terms", error="invalid_token", error_description="the header `x-id-token` cannot be used""#,
            ),
            (
                Refused::AccessToken(Error::Expired),
                r#"Bearer realm="terms", error="invalid_token", error_description="the token has expired""#,
            ),
            (
                Refused::InsufficientScope("terms:read terms:write"),
                r#"Bearer realm="terms", error="insufficient_scope", scope="terms:read terms:write""#,
            ),
        ];
        for (refused, expected) in told {
            assert_eq!(challenge(&refused).as_deref(), Some(expected));
            assert!(!refused.is_temporary());
        }
    }

    #[test]
    fn who_could_not_be_judged_is_told_nothing_of_the_token() {
        for refused in [
            Refused::AccessToken(Error::KeysUnavailable),
            Refused::IdToken(IdTokenError::Token(Error::KeysUnavailable)),
        ] {
            assert!(refused.is_temporary());
            assert_eq!(challenge(&refused), None);
        }
    }
}
