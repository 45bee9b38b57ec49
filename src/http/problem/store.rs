//! Problems of the database, the audit trail and the registry.

use crate::http::problem::{Chain, Code, Problem};
use crate::{audit, registry, store, vault};

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::AlreadyExists => Self::new(Code::AlreadyExists),
            store::Error::Corrupt { .. } | store::Error::NoKey => Self::internal(&error),
            store::Error::Unavailable(_)
            | store::Error::Untrusted(_)
            | store::Error::Interrupted
            | store::Error::Locked(_)
            | store::Error::File { .. } => {
                tracing::warn!(cause = %Chain(&error), "the database gave nothing");
                Self::new(Code::StorageUnavailable)
            }
        }
    }
}

impl From<audit::Error> for Problem {
    fn from(error: audit::Error) -> Self {
        match error {
            audit::Error::Store(_) | audit::Error::Group => {
                tracing::warn!(cause = %Chain(&error), "an audit record was not written");
                Self::new(Code::AuditUnavailable)
            }
            audit::Error::Full => Self::new(Code::Overloaded),
        }
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::Store(cause) => cause.into(),
            registry::Error::Unreadable(cause) => cause.into(),
        }
    }
}

impl From<vault::Error> for Problem {
    fn from(error: vault::Error) -> Self {
        match error {
            vault::Error::DoesNotOpen { .. } | vault::Error::DataKey(_) | vault::Error::NotText => {
                tracing::error!(cause = %Chain(&error), "a stored secret does not open");
                Self::new(Code::SecretUnreadable)
            }
            vault::Error::NotOurs { table } => {
                tracing::error!(cause = %Chain(&error), "a stored row is not used");
                Self::of(Code::SecretUnreadable, not_ours(table))
            }
            vault::Error::Keyring(_) => Self::internal(&error),
        }
    }
}

/// What to do about a row that somebody else wrote.
fn not_ours(table: &str) -> &'static str {
    match table {
        "connector" => {
            "the connector's definition was changed in the database and is not used: an unconfined superadmin must \
             store it again, with every origin in `confirm_origin`"
        }
        "connector_credentials" => {
            "the connector's credentials were changed in the database and are not used: a superadmin must store them \
             again"
        }
        "client" => {
            "the client was changed in the database and is not used: a superadmin must delete and make it again"
        }
        "oauth_grant" | "device_code" => {
            "what was granted was changed in the database and is not used: grant it again"
        }
        _ => {
            "the connection was changed in the database and its provider is not called: connect the account again"
        }
    }
}
