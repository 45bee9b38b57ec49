//! Why is nobody signed in through the upstream provider?

use super::Fault;
use crate::identity::{people, session};

/// Why nobody is signed in, and nothing is linked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No provider is configured.
    #[error("no upstream provider is configured")]
    NotConfigured,
    /// The provider does not answer, or not as a provider does.
    #[error("the upstream provider cannot be used")]
    Unavailable(#[from] Fault),
    /// The state is unknown, used, over, or another browser's: not told apart.
    #[error("the state is not one of this browser")]
    State,
    /// The answer names another issuer (RFC 9207), or none where one was promised.
    #[error("the answer is another issuer's")]
    Issuer,
    /// The provider says no.
    #[error("the provider signed nobody in")]
    Denied {
        /// Its code, in its words.
        code: String,
        /// What it says beside.
        description: Option<String>,
    },
    /// Neither a code nor an error.
    #[error("the answer holds neither a code nor an error")]
    NoCode,
    /// The token endpoint does not take the code.
    #[error("the provider refused its own code")]
    CodeRefused,
    /// The token endpoint does not take us.
    #[error("the provider refuses our client: {code}")]
    Misconfigured {
        /// Its code, one that the standard knows.
        code: &'static str,
    },
    /// The ID token is not what it should be.
    #[error("the ID token is refused")]
    Untrusted(#[from] jeton_guard::IdTokenError),
    /// The person signed in at the provider longer ago than is asked for, or it does not tell when.
    #[error("the sign-in at the provider is too old, or its time is not told")]
    NotRenewed,
    /// Nobody here is known by this identity, and nothing lets them in.
    #[error("nobody is known by this identity")]
    Unknown {
        /// What the provider calls them.
        label: String,
    },
    /// Whoever it is was disabled here.
    #[error("the person is disabled")]
    Disabled,
    /// The identity is somebody else's here.
    #[error("the identity is linked to somebody else")]
    LinkedToAnother,
    /// The person has another identity of this provider.
    #[error("the person is linked to another identity")]
    LinkedBefore,
    /// There is no link to end.
    #[error("nothing is linked")]
    NotLinked,
    /// Without it the person could not sign in any more.
    #[error("the link is the only way in")]
    OnlyWayIn,
    /// Too many sign-ins from one network wait for their end.
    #[error("too many sign-ins are under way from here")]
    TooManyPending,
    /// Too much is under way.
    #[error("too many sign-ins are under way")]
    Overloaded,
    /// Keys or ciphertexts.
    #[error(transparent)]
    Vault(#[from] crate::vault::Error),
    /// Invitations.
    #[error(transparent)]
    People(#[from] people::Error),
    /// Sessions.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The database gave nothing.
    #[error("the sign-in cannot be stored")]
    Store(#[from] crate::store::Error),
    /// The audit trail took no record.
    #[error(transparent)]
    Audit(#[from] crate::audit::Error),
}
