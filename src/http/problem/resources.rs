//! Problems of administering resource servers.

use crate::admin::resources::Error;
use crate::http::problem::{Code, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::new(Code::NotFound),
            Error::Taken => {
                Self::of(Code::AlreadyExists, "this resource server is registered; change it by PUT")
            }
            Error::Own => Self::invalid("/uri", "is the broker's own: its scopes need no registration"),
            Error::TooManyScopes => Self::invalid("/scopes", "must be at most 200"),
            Error::Changed => Self::new(Code::PreconditionFailed),
            Error::Audit(cause) => cause.into(),
            Error::Store(cause) => cause.into(),
        }
    }
}
