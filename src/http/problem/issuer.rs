//! Problems of the authorization server, where a page tells them.

use crate::http::problem::{Chain, Code, Problem};
use crate::issuer::Error;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TooManyFailures { retry_after_s } => {
                let minutes = retry_after_s.div_ceil(60);
                Self::of(Code::RateLimited, format!("Too many wrong codes. Try again in {minutes} minutes."))
                    .retry_after(retry_after_s)
            }
            Error::TooManyDevices { retry_after_s } => {
                Self::new(Code::RateLimited).retry_after(retry_after_s)
            }
            Error::Overloaded => Self::new(Code::Overloaded),
            Error::SignedOut => {
                Self::of(Code::Unauthenticated, "You were signed out meanwhile. Sign in, and begin again.")
            }
            Error::NotOurs(cause) => cause.into(),
            Error::Store(cause) => cause.into(),
            Error::Audit(cause) => cause.into(),
            Error::Keys(_) => Self::internal(&error),
            Error::InvalidClient
            | Error::UnauthorizedClient
            | Error::InvalidScope
            | Error::InvalidTarget
            | Error::InvalidGrant(_)
            | Error::AuthorizationPending
            | Error::SlowDown
            | Error::AccessDenied(_)
            | Error::ExpiredToken => Self::of(Code::InvalidRequest, Chain(&error).to_string()),
        }
    }
}
