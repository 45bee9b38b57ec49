//! Which problem each refusal of the secrets keeper is.

use super::{Act, Code, Problem};
use crate::http::problem::rfc3339;
use crate::http::settings::WebSettings;
use crate::keeper::Error;
use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;

impl Problem {
    /// A refusal about one connection: whoever must consent again is told where.
    pub fn of_connection(error: Error, app: &AppId, connector: &ConnectorId, web: &WebSettings) -> Self {
        let flow = match &error {
            Error::ReauthorizationRequired { flow, .. } => Some(flow.clone()),
            Error::ConnectionNotFound { flow } => flow.clone(),
            _ => None,
        };
        let problem = Self::from(error);
        if problem.code().action() != Act::Reauthorize {
            return problem;
        }
        let flow = flow
            .filter(|flow| *flow != Flow::default())
            .map_or_else(String::new, |flow| format!("?flow={flow}"));
        problem.with("signup_url", web.absolute(&format!("/{app}/{connector}/signup{flow}")))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::AppNotFound => Self::new(Code::AppNotFound),
            Error::AppDisabled => Self::new(Code::AppDisabled),
            Error::ConnectorNotFound => Self::new(Code::ConnectorNotFound),
            Error::ConnectionNotFound { .. } => Self::new(Code::ConnectionNotFound),
            Error::Ambiguous { flows } => {
                let flows: Vec<String> = flows.into_iter().map(String::from).collect();
                Self::of(Code::AmbiguousConnection, "several connections match; name one with `flow`")
                    .with("flows", flows)
            }
            Error::ReauthorizationRequired { reason, since, account, connected_by, .. } => {
                Self::of(Code::ReauthorizationRequired, "the provider no longer accepts this grant")
                    .with("reason", reason.as_str())
                    .with("since", rfc3339(since))
                    .with("account", account)
                    .with("connected_by", connected_by)
            }
            Error::Misconfigured { provider_error } => {
                Self::new(Code::ProviderMisconfigured).with("provider_error", provider_error)
            }
            Error::TtlUnsatisfiable { max_ttl } => {
                let told = format!("{max_ttl} seconds at most can be promised: a token's life less a margin");
                Self::of(Code::TtlUnsatisfiable, told).with("max_ttl", max_ttl)
            }
            Error::CredentialsMissing => Self::new(Code::CredentialsMissing),
            Error::ProviderUnavailable { retry_after, current_expires_in } => {
                later(Self::new(Code::ProviderUnavailable), retry_after, current_expires_in)
            }
            Error::RefreshInProgress { unknown_until: None, retry_after, current_expires_in } => {
                later(Self::new(Code::RefreshInProgress), retry_after, current_expires_in)
            }
            Error::RefreshInProgress { unknown_until: Some(at), retry_after, current_expires_in } => {
                let detail = format!(
                    "what became of the last refresh is not known: the refresh token is not sent again before {}",
                    rfc3339(at)
                );
                later(Self::of(Code::RefreshInProgress, detail), retry_after, current_expires_in)
            }
            Error::Overloaded => Self::new(Code::Overloaded),
            Error::AlreadyExists => {
                Self::of(Code::AlreadyExists, "the connection exists; say `replace` to replace its tokens")
            }
            Error::AlreadySpent => Self::new(Code::AlreadySpent),
            Error::GenerationNotFound => Self::of(
                Code::NotFound,
                "no token set of this generation is kept; list them at `generations`",
            ),
            Error::NotRefreshable => Self::of(
                Code::InvalidRequest,
                "the connection has nothing to refresh with: connect the account again for new tokens",
            ),
            Error::DuplicateGrant => Self::new(Code::DuplicateGrant),
            Error::ConnectionChanged => {
                Self::of(Code::AlreadyExists, "The connection changed meanwhile; connect it again.")
            }
            Error::SignupGone => Self::of(Code::NotFound, "the consent has ended; start again"),
            Error::Unreadable(cause) => cause.into(),
            Error::Store(cause) => cause.into(),
            Error::Audit(cause) => cause.into(),
        }
    }
}

fn later(problem: Problem, retry_after: u64, current_expires_in: Option<i64>) -> Problem {
    problem.retry_after(retry_after).with("current_expires_in", current_expires_in)
}
