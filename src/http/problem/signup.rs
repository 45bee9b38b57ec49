//! Which problem each failure of connecting an account is.

use super::{Code, Problem};
use crate::signup::Error;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let again = "Go back to the app’s connectors and start again.";
        match error {
            Error::Denied(denied) => denied.into(),
            Error::AppNotFound => Self::new(Code::AppNotFound),
            Error::AppDisabled => Self::new(Code::AppDisabled),
            Error::ConnectorNotFound => Self::new(Code::ConnectorNotFound),
            Error::CredentialsMissing => Self::new(Code::CredentialsMissing),
            Error::Variables(wrong) => {
                let first = wrong.into_iter().next();
                let (at, why) = first.map_or_else(Default::default, |one| (one.pointer, one.detail));
                Self::invalid(&at, why)
            }
            Error::ReturnTo => {
                Self::invalid("return_to", "must be a path here or an address the operator has listed")
            }
            Error::TooManyPending => {
                let detail = "This browser has begun too many connections. Finish one, or wait ten minutes.";
                Self::of(Code::RateLimited, detail).retry_after(600)
            }
            Error::Overloaded => Self::new(Code::Overloaded),
            Error::State => Self::of(
                Code::InvalidRequest,
                format!(
                    "This answer of the provider was used before, came too late, or belongs to another browser \
                     or person. Nothing was changed. {again}"
                ),
            ),
            Error::OtherFlow => {
                let detail =
                    format!("The answer belongs to another connector or app. It was not used. {again}");
                Self::of(Code::InvalidRequest, detail)
            }
            Error::Issuer => {
                let detail =
                    "The answer names another provider than the one you were sent to. It was not used.";
                Self::of(Code::InvalidRequest, detail)
            }
            Error::NoCode => {
                let detail = format!("The provider’s answer holds neither a code nor an error. {again}");
                Self::of(Code::InvalidRequest, detail)
            }
            Error::NoConsent { .. } => {
                let detail = "The provider gave no consent. What was connected before stays as it was.";
                Self::of(Code::Forbidden, detail)
            }
            Error::Changed => {
                let detail = format!("An admin has changed this connector meanwhile. {again}");
                Self::of(Code::PreconditionFailed, detail)
            }
            Error::CodeRefused { code } => {
                let detail = format!("The provider refused its own answer. {again}");
                Self::of(Code::ReauthorizationRequired, detail).with("provider_error", code)
            }
            Error::ProviderMisconfigured { code } => {
                Self::new(Code::ProviderMisconfigured).with("provider_error", code)
            }
            Error::ProviderUnavailable => {
                let detail = format!("The provider gave no usable answer. Nothing was changed. {again}");
                Self::of(Code::ProviderUnavailable, detail)
            }
            Error::NotIdentified => {
                let detail =
                    format!("The provider did not tell whose account it is. Nothing was changed. {again}");
                Self::of(Code::ProviderUnavailable, detail)
            }
            Error::NothingPending => {
                let detail =
                    "Nothing awaits your confirmation here: it was answered, it expired, or it is another’s.";
                Self::of(Code::NotFound, detail)
            }
            Error::NotEntitled => {
                let detail = "Only who connected the account before, or an admin of the app, may replace it.";
                Self::of(Code::Forbidden, detail)
            }
            Error::Interrupted => Self::internal(&Error::Interrupted),
            Error::Unreadable => Self::new(Code::SecretUnreadable),
            Error::Store(cause) => cause.into(),
            Error::Audit(cause) => cause.into(),
            Error::Vault(cause) => cause.into(),
            Error::Registry(cause) => cause.into(),
            Error::Keeper(cause) => cause.into(),
        }
    }
}
