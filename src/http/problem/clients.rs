//! Problems of administering clients.

use jeton_client::Action;

use crate::admin::clients::Error;
use crate::http::problem::{Chain, Code, Problem};
use crate::secret_stores;

impl From<secret_stores::Error> for Problem {
    fn from(error: secret_stores::Error) -> Self {
        let told = error.to_string();
        let secret_stores::Error::Store(cause) = error else {
            return Self::invalid("/deliver_to", told);
        };
        match cause.action() {
            // A store that is busy, sealed or away is none the better for being asked every second.
            Action::Retry => Self::of(Code::ProviderUnavailable, told).retry_after(60),
            Action::ChangeRequest => Self::of(Code::AlreadyExists, told),
            Action::Reauthorize | Action::FixConfiguration | Action::RequestAccess => match cause.fault() {
                Some(_) => Self::of(Code::ProviderMisconfigured, told),
                None => Self::invalid("/deliver_to", told),
            },
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::new(Code::NotFound),
            Error::ExceedsOwn => Self::of(Code::Forbidden, "the client's rights exceed your own"),
            Error::IdentifierTaken => Self::of(Code::AlreadyExists, "another client has this identifier"),
            Error::TwoSecrets(..) => Self::of(Code::AlreadyExists, error.to_string()),
            Error::UnderWay => {
                Self::of(Code::ProviderUnavailable, Chain(&error).to_string()).retry_after(120)
            }
            Error::Changed => Self::new(Code::PreconditionFailed),
            Error::Invalid { field, reason } => Self::invalid(&format!("/{field}"), reason),
            Error::UnknownScope { .. } => Self::invalid("/scopes", error.to_string()),
            Error::Delivery(cause) => cause.into(),
            Error::HalfDone(client, cause) => {
                let cause = Self::from(*cause);
                let told = format!(
                    "the client {client} was made and its credential not delivered; try that again with `jeton client \
                     deliver {client}`: {}",
                    cause.detail
                );
                Self { detail: told, ..cause }
            }
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
