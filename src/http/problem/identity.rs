//! Problems of who calls: RFC 6750 §3 challenges.

use jeton_guard::{BearerError, Challenge};

use crate::http::problem::{Chain, Code, Problem};
use crate::identity::Denied;
use crate::identity::bearer::Error;

/// What challenges name.
const REALM: &str = "jeton";

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Missing => Self::new(Code::Unauthenticated).challenge(Challenge::new(REALM).to_string()),
            Error::Header(cause) => invalid(Code::InvalidToken, &cause.to_string()),
            Error::Refused(jeton_guard::Error::KeysUnavailable) => Self::new(Code::StorageUnavailable),
            Error::Refused(cause) => invalid(Code::InvalidToken, &cause.to_string()),
            Error::NotAClient => invalid(Code::InvalidToken, "the token speaks for no client"),
            Error::Revoked => invalid(Code::InvalidToken, "the token was revoked"),
            Error::UserDisabled => invalid(Code::InvalidToken, "the person is disabled or gone"),
            Error::NotOurs(cause) => cause.into(),
            Error::Outdated => invalid(Code::InvalidToken, "the token was withdrawn"),
            Error::ClientDisabled => invalid(Code::ClientDisabled, "the client is disabled"),
            Error::Store(_) => {
                tracing::warn!(cause = %Chain(&error), "a bearer token could not be judged");
                Self::new(Code::StorageUnavailable)
            }
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Forbidden => {
                let challenge = Challenge::new(REALM).error(BearerError::InsufficientScope);
                Self::new(Code::Forbidden).challenge(challenge.to_string())
            }
        }
    }
}

fn invalid(code: Code, description: &str) -> Problem {
    let challenge = Challenge::new(REALM).error(BearerError::InvalidToken).description(description);
    Problem::of(code, format!("{}: {description}", code.title())).challenge(challenge.to_string())
}
