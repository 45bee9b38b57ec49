//! Problems of administering clients.

use crate::admin::clients::Error;
use crate::http::problem::{Chain, Code, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::new(Code::NotFound),
            Error::ExceedsOwn => Self::of(Code::Forbidden, "the client's rights exceed your own"),
            Error::IdentifierTaken => Self::of(Code::AlreadyExists, "another client has this identifier"),
            Error::TwoSecrets => {
                Self::of(Code::AlreadyExists, "the client has two live secrets; delete one first")
            }
            Error::Changed => Self::new(Code::PreconditionFailed),
            Error::Invalid { field, reason } => Self::invalid(&format!("/{field}"), reason),
            Error::NotOurs(cause) => cause.into(),
            Error::Store(_) => {
                tracing::warn!(cause = %Chain(&error), "clients could not be read or written");
                Self::new(Code::StorageUnavailable)
            }
            Error::Audit(_) => {
                tracing::warn!(cause = %Chain(&error), "a client was not changed");
                Self::new(Code::AuditUnavailable)
            }
        }
    }
}
