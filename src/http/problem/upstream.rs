//! Which problem each failure of signing in through the upstream provider is.

use super::{Code, Problem};
use crate::identity::upstream::Error;

const UNAVAILABLE: &str = "The identity provider does not answer as it should. Sign in with your password, or try again \
    in a moment. An admin finds the cause in the log.";
const STATE: &str = "This answer of the identity provider was used before, came too late, or belongs to another \
    browser. Nobody was signed in. Go to the sign-in page and begin again.";
const ISSUER: &str =
    "The answer names another identity provider than the one you were sent to. It was not used.";
const NO_CODE: &str = "The identity provider’s answer holds neither a code nor an error. Begin again.";
const CODE_REFUSED: &str = "The identity provider refused its own answer. Nobody was signed in. Begin again.";
const MISCONFIGURED: &str = "The identity provider refuses this service: its client id, secret or redirect URI is \
    wrong. An admin must correct `login.oidc`.";
const UNTRUSTED: &str = "The identity provider’s answer cannot be trusted. Nobody was signed in. An admin finds the \
    cause in the log.";
const NOT_RENEWED: &str = "The application wants you to sign in anew. The identity provider did not ask you to, or does not \
    say when you did. Nothing was changed here.";
const DISABLED: &str = "Your account was disabled here.";
const ANOTHER: &str =
    "This account of the identity provider belongs to somebody else here. Nothing was linked.";
const BEFORE: &str = "You are linked to another account of the identity provider. Unlink that one first.";
const NOT_LINKED: &str = "No account of the identity provider is linked to yours.";
const ONLY_WAY_IN: &str = "You have no password: without the identity provider you could not sign in any more. Ask an admin for a link \
    that sets one.";
const TOO_MANY: &str =
    "Too many sign-ins are under way from here. Wait ten minutes, or sign in with your password.";
const OVERLOADED: &str =
    "Too many sign-ins are under way. Try again in a moment, or sign in with your password.";

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotConfigured => Self::new(Code::NotFound),
            Error::Unavailable(_) => Self::of(Code::ProviderUnavailable, UNAVAILABLE).retry_after(5),
            Error::State => Self::of(Code::InvalidRequest, STATE),
            Error::Issuer => Self::of(Code::InvalidRequest, ISSUER),
            // The page tells more of the first, and of the last.
            Error::Denied { .. } => Self::new(Code::Forbidden),
            Error::Unknown { label } => Self::of(Code::Forbidden, unknown(&label)),
            Error::NoCode => Self::of(Code::InvalidRequest, NO_CODE),
            Error::CodeRefused => Self::of(Code::InvalidRequest, CODE_REFUSED),
            Error::Misconfigured { code } => {
                tracing::warn!(code, "the upstream provider refuses our client: correct `login.oidc`");
                Self::of(Code::ProviderMisconfigured, MISCONFIGURED).with("provider_error", code)
            }
            Error::Untrusted(_) => Self::of(Code::InvalidRequest, UNTRUSTED),
            Error::NotRenewed => Self::of(Code::Forbidden, NOT_RENEWED),
            Error::Disabled => Self::of(Code::Forbidden, DISABLED),
            Error::LinkedToAnother => Self::of(Code::AlreadyExists, ANOTHER),
            Error::LinkedBefore => Self::of(Code::AlreadyExists, BEFORE),
            Error::NotLinked => Self::of(Code::NotFound, NOT_LINKED),
            Error::OnlyWayIn => Self::of(Code::Forbidden, ONLY_WAY_IN),
            Error::TooManyPending => Self::of(Code::RateLimited, TOO_MANY).retry_after(600),
            Error::Overloaded => Self::of(Code::Overloaded, OVERLOADED),
            Error::Vault(cause) => cause.into(),
            Error::People(cause) => cause.into(),
            Error::Session(cause) => cause.into(),
            Error::Store(cause) => cause.into(),
            Error::Audit(cause) => cause.into(),
        }
    }
}

fn unknown(label: &str) -> String {
    format!(
        "You are signed in at the provider as {label}, who is not known here. Ask an admin for an invitation, and open it \
         before you sign in."
    )
}
