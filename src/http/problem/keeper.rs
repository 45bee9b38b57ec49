//! Problems of hand-outs and connections.

use time::format_description::well_known::Rfc3339;

use crate::http::problem::{Code, Problem};
use crate::keeper::Error;

impl From<Error> for Problem {
    /// Where app and connector are known, the caller adds `signup_url`.
    fn from(error: Error) -> Self {
        match error {
            Error::AppNotFound => Self::new(Code::AppNotFound),
            Error::AppDisabled => Self::new(Code::AppDisabled),
            Error::ConnectorNotFound => Self::new(Code::ConnectorNotFound),
            Error::ConnectionNotFound { .. } => Self::new(Code::ConnectionNotFound),
            Error::Ambiguous { flows } => {
                let flows: Vec<String> = flows.into_iter().map(String::from).collect();
                Self::new(Code::AmbiguousConnection).with("flows", flows)
            }
            Error::ReauthorizationRequired { reason, since, account, connected_by, .. } => {
                Self::new(Code::ReauthorizationRequired)
                    .with("reason", reason.as_str())
                    .with("since", since.format(&Rfc3339).ok())
                    .with("account", account)
                    .with("connected_by", connected_by)
            }
            Error::Misconfigured { provider_error } => {
                Self::new(Code::ProviderMisconfigured).with("provider_error", provider_error)
            }
            Error::TtlUnsatisfiable { max_ttl } => Self::new(Code::TtlUnsatisfiable).with("max_ttl", max_ttl),
            Error::CredentialsMissing => Self::new(Code::CredentialsMissing),
            Error::ProviderUnavailable { retry_after, current_expires_in } => {
                waiting(Code::ProviderUnavailable, retry_after, current_expires_in)
            }
            Error::RefreshInProgress { retry_after, current_expires_in } => {
                waiting(Code::RefreshInProgress, retry_after, current_expires_in)
            }
            Error::Overloaded => Self::new(Code::Overloaded),
            Error::AlreadyExists => Self::of(
                Code::AlreadyExists,
                "the connection exists; `replace` says that its token set may be replaced",
            ),
            Error::AlreadySpent => Self::new(Code::AlreadySpent),
            Error::DuplicateGrant => Self::new(Code::DuplicateGrant),
            Error::SignupGone => Self::of(Code::NotFound, "the consent this belongs to has ended"),
            Error::Unreadable(cause) => cause.into(),
            Error::Store(cause) => cause.into(),
            Error::Audit(cause) => cause.into(),
        }
    }
}

fn waiting(code: Code, retry_after: u64, current_expires_in: Option<i64>) -> Problem {
    Problem::new(code).retry_after(retry_after).with("current_expires_in", current_expires_in)
}
