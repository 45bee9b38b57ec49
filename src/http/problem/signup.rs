//! Which problem each failure of connecting an account is.

use super::{Code, Problem};
use crate::model::connector::Violation;
use crate::signup::Error;

const RETURN_TO: &str = "must be a path here, an address at an origin that the operator has listed (`signup.return_to_origins`), or, of a \
    signup link, one at the origin of a redirect URI of the client";
const TOO_MANY: &str = "This browser has begun too many connections. Finish one, or wait ten minutes.";
const STATE: &str = "This answer of the provider was used before, came too late, or belongs to another browser \
    or person. Nothing was changed. Go back to the app’s connectors and start again.";
const OTHER_FLOW: &str = "The answer belongs to another connector or app. It was not used. Go back to the app’s \
    connectors and start again.";
const ISSUER: &str = "The answer names another provider than the one you were sent to. It was not used.";
const NO_CODE: &str = "The provider’s answer holds neither a code nor an error. Start again.";
const NO_CONSENT: &str = "The provider gave no consent. What was connected before stays as it was.";
const CHANGED: &str = "An admin has changed this connector meanwhile. Nothing was connected. Start again.";
const CODE_REFUSED: &str = "The provider refused its own answer. Nothing was connected. Start again.";
const UNAVAILABLE: &str = "The provider gave no usable answer. Nothing was connected. Start again.";
const NOT_IDENTIFIED: &str =
    "The provider did not tell whose account it is. Nothing was connected. Start again.";
const NOTHING_PENDING: &str =
    "Nothing awaits your confirmation here: it was answered, it expired, or it is somebody else’s.";
const LINK_UNUSABLE: &str =
    "This link was used before, or its half hour is over. Go back to where you got it and ask for a new one.";
const NOT_RETURNED: &str = "nothing awaits confirmation under this link: its person has not come back with a consent, it \
    was confirmed, or ten minutes have passed";
const NOT_ENTITLED: &str = "Only who connected the account before, or an admin of the app, may replace it.";

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(denied) => denied.into(),
            Error::AppNotFound => Self::new(Code::AppNotFound),
            Error::AppDisabled => Self::new(Code::AppDisabled),
            Error::ConnectorNotFound => Self::new(Code::ConnectorNotFound),
            Error::CredentialsMissing => Self::new(Code::CredentialsMissing),
            Error::Variables(wrong) => variables(wrong),
            Error::ReturnTo => Self::invalid("return_to", RETURN_TO),
            Error::TooManyPending => Self::of(Code::RateLimited, TOO_MANY).retry_after(600),
            Error::Overloaded => Self::new(Code::Overloaded),
            Error::State => Self::of(Code::InvalidRequest, STATE),
            Error::OtherFlow => Self::of(Code::InvalidRequest, OTHER_FLOW),
            Error::Issuer => Self::of(Code::InvalidRequest, ISSUER),
            Error::NoCode => Self::of(Code::InvalidRequest, NO_CODE),
            Error::NoConsent { .. } => Self::of(Code::Forbidden, NO_CONSENT),
            Error::Changed => Self::of(Code::PreconditionFailed, CHANGED),
            Error::CodeRefused { code } => {
                Self::of(Code::ReauthorizationRequired, CODE_REFUSED).with("provider_error", code)
            }
            Error::ProviderMisconfigured { code } => {
                Self::new(Code::ProviderMisconfigured).with("provider_error", code)
            }
            Error::ProviderUnavailable => Self::of(Code::ProviderUnavailable, UNAVAILABLE),
            Error::NotIdentified => Self::of(Code::ProviderUnavailable, NOT_IDENTIFIED),
            Error::LinkUnusable => Self::of(Code::NotFound, LINK_UNUSABLE),
            Error::NotReturned => Self::of(Code::NotFound, NOT_RETURNED),
            Error::NothingPending => Self::of(Code::NotFound, NOTHING_PENDING),
            Error::NotEntitled => Self::of(Code::Forbidden, NOT_ENTITLED),
            Error::Interrupted => Self::internal(&Error::Interrupted),
            Error::Unreadable => Self::new(Code::SecretUnreadable),
            Error::Vault(cause) => cause.into(),
            Error::Store(cause) => cause.into(),
            Error::Audit(cause) => cause.into(),
            Error::Registry(cause) => cause.into(),
            Error::Keeper(cause) => cause.into(),
        }
    }
}

fn variables(wrong: Vec<Violation>) -> Problem {
    let first = wrong.into_iter().next();
    let (at, why) = first.map_or_else(Default::default, |one| (one.pointer, one.detail));
    Problem::invalid(&at, why)
}
