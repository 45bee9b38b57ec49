//! How does a call to the broker fail, and with which exit code does a job then end?

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use url::Url;

use crate::login::LoginError;
use crate::problem::{Action, Problem};
use crate::secret_store::{Reference, StoreError};
use crate::settings::SettingsError;
use crate::sts::StsRefusal;

/// A failed call. Cloned to every task that waited for the same request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot work.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The broker refused.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The broker was not reached, or the connection broke.
    #[error("the broker was not reached")]
    Transport(#[source] Arc<reqwest::Error>),
    /// The token endpoint of a stored credential was not reached, or the connection broke.
    #[error(transparent)]
    IssuerUnreached(Box<IssuerUnreached>),
    /// The token endpoint did not take a stored credential.
    #[error(transparent)]
    CredentialRefused(Box<CredentialRefused>),
    /// The answer is not what the contract promises. What it held is not told: it may be a token.
    #[error("the answer to `{0}` is not as documented")]
    Garbled(&'static str),
    /// The person's sign-in cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A secret store gave or took nothing.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// AWS STS gave no keys.
    #[error(transparent)]
    Sts(Arc<StsRefusal>),
    /// AWS STS was not reached, or the connection broke.
    #[error("AWS STS was not reached")]
    StsUnreached(#[source] Arc<reqwest::Error>),
    /// An API that a token was for was not reached.
    #[error("the API was not reached")]
    ApiUnreached(#[source] Arc<reqwest::Error>),
    /// The task that asked the broker was ended.
    #[error("the sign-in was interrupted")]
    Interrupted,
    /// An id that cannot be a path segment.
    #[error("`{0}` cannot be an id")]
    Segment(String),
}

/// Nobody answered where a stored credential leads.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the issuer {issuer}, named by the credential at `{reference}`, was not reached")]
pub struct IssuerUnreached {
    /// Where the credential is.
    pub reference: Reference,
    /// Whom it names.
    pub issuer: Url,
    /// Why.
    pub source: Arc<reqwest::Error>,
}

/// A stored credential is none, or no longer one, where it leads.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the credential at `{reference}` is refused: {problem}")]
pub struct CredentialRefused {
    /// Where the credential is.
    pub reference: Reference,
    /// How it was refused.
    pub problem: Problem,
}

impl Error {
    /// Whether the broker's address was reached and no TLS came of it, for want of a certificate that is believed or of
    /// TLS itself: it will not pass.
    pub fn is_of_tls(&self) -> bool {
        self.tls_fault().is_some()
    }

    /// Whether what was reached there does not speak TLS at all.
    pub fn is_of_plain_http(&self) -> bool {
        self.tls_fault().is_some_and(|fault| fault.contains("InvalidContentType"))
    }

    /// What the TLS library said, which tells the kinds of its errors by their text alone.
    fn tls_fault(&self) -> Option<String> {
        let Self::Transport(error) = self else { return None };
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        let mut faults = causes.filter_map(|cause| invalid_data(cause.downcast_ref::<io::Error>()?));
        let fault = faults.next()?;
        error.is_connect().then(|| fault.to_string())
    }

    /// What to do about it; none where only the program or its input can be mended.
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Settings(_) => Some(Action::FixConfiguration),
            Self::Problem(problem) => Some(problem.action),
            Self::CredentialRefused(refused) => Some(refused.problem.action),
            Self::Sts(refusal) => Some(refusal.action()),
            Self::Store(error) => Some(error.action()),
            Self::Transport(_) if self.is_of_tls() => Some(Action::FixConfiguration),
            Self::Transport(_)
            | Self::IssuerUnreached(_)
            | Self::StsUnreached(_)
            | Self::ApiUnreached(_)
            | Self::Interrupted
            | Self::Login(LoginError::Busy(_)) => Some(Action::Retry),
            Self::Login(_) => Some(Action::FixConfiguration),
            Self::Garbled(_) => None,
            Self::Segment(_) => Some(Action::ChangeRequest),
        }
    }

    /// The exit code for a program that ends with this error: 75 try again later, 77 no permission,
    /// 78 configuration or consent needed, else 1.
    pub fn exit_code(&self) -> u8 {
        match self.action() {
            Some(Action::Retry) => 75,
            Some(Action::RequestAccess) => 77,
            Some(Action::Reauthorize | Action::FixConfiguration) => 78,
            Some(Action::ChangeRequest) | None => 1,
        }
    }

    /// The broker's refusal, where it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::CredentialRefused(refused) => Some(&refused.problem),
            _ => None,
        }
    }
}

/// The error itself, or one that it only wraps, where what came is not what the protocol allows.
fn invalid_data(error: &io::Error) -> Option<&io::Error> {
    if error.kind() == io::ErrorKind::InvalidData {
        return Some(error);
    }
    invalid_data(error.get_ref()?.downcast_ref::<io::Error>()?)
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_action() {
        for (word, code) in [
            ("retry", 75),
            ("reauthorize", 78),
            ("fix_configuration", 78),
            ("request_access", 77),
            ("change_request", 1),
        ] {
            let body = format!(r#"{{"code":"x","action":"{word}"}}"#);
            let error = Error::from(Problem::read(500, None, body.as_bytes()));
            assert_eq!(error.exit_code(), code, "{word}");
        }
        assert_eq!(Error::from(SettingsError::Missing("JETON_URL")).exit_code(), 78);
        assert_eq!(Error::Garbled("x").exit_code(), 1);
    }
}
