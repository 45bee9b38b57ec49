//! Why was no token handed out, or nothing changed? Each cause names what its caller can act on.

use time::OffsetDateTime;

use crate::model::connection::{Flow, Reason};
use crate::store::token_sets::Elsewhere;

/// Why no token was handed out, or nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No app of that id.
    #[error("no such app")]
    AppNotFound,
    /// The app is disabled.
    #[error("the app is disabled")]
    AppDisabled,
    /// No connector of that name.
    #[error("no such connector")]
    ConnectorNotFound,
    /// Nothing is connected, or it was deleted.
    #[error("no account is connected")]
    ConnectionNotFound {
        /// The flow asked for.
        flow: Option<Flow>,
    },
    /// Several connections match.
    #[error("several connections match")]
    Ambiguous {
        /// Their names.
        flows: Vec<Flow>,
    },
    /// A new consent is needed.
    #[error("a new consent is needed ({})", reason.as_str())]
    ReauthorizationRequired {
        /// Why.
        reason: Reason,
        /// Since when.
        since: OffsetDateTime,
        /// What people call the account.
        account: Option<String>,
        /// Who connected it.
        connected_by: Option<String>,
        /// Which connection.
        flow: Flow,
    },
    /// The provider refuses our client or our request.
    #[error("the provider refuses our client ({provider_error})")]
    Misconfigured {
        /// Its error code.
        provider_error: String,
    },
    /// No token of this connection lives that long.
    #[error("no token lives that long")]
    TtlUnsatisfiable {
        /// Seconds; the most there is.
        max_ttl: i64,
    },
    /// The connector has no client id here.
    #[error("the connector has no credentials")]
    CredentialsMissing,
    /// The provider cannot be used now.
    #[error("the provider cannot be used now")]
    ProviderUnavailable {
        /// Seconds.
        retry_after: u64,
        /// Seconds the token in hand lives, for whoever asks for less.
        current_expires_in: Option<i64>,
    },
    /// A refresh is under way, or its outcome is not known.
    #[error("a refresh is under way or its outcome is not known")]
    RefreshInProgress {
        /// Nothing is under way, but an earlier send's outcome is not known: the refresh token is not sent before.
        unknown_until: Option<OffsetDateTime>,
        /// Seconds.
        retry_after: u64,
        /// Seconds the token in hand lives, for whoever asks for less.
        current_expires_in: Option<i64>,
    },
    /// Too many wait.
    #[error("too many callers wait")]
    Overloaded,
    /// The connection exists and `replace` was not said.
    #[error("the connection exists")]
    AlreadyExists,
    /// The refresh token was sent before.
    #[error("the refresh token was spent")]
    AlreadySpent,
    /// No token set of this generation is kept.
    #[error("no such generation is kept")]
    GenerationNotFound,
    /// There is no refresh token, or the connector has no refresh.
    #[error("the connection cannot be refreshed")]
    NotRefreshable,
    /// Another connection holds the refresh token.
    #[error("another connection holds the refresh token")]
    DuplicateGrant,
    /// What the consent was judged by has changed: it would replace or end something nobody was shown.
    #[error("the connection changed meanwhile")]
    ConnectionChanged,
    /// The consent this belongs to has ended.
    #[error("the consent has ended")]
    SignupGone,
    /// A ciphertext does not open in its place.
    #[error("a stored secret does not open")]
    Unreadable(#[source] crate::vault::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] crate::audit::Error),
}

impl From<crate::registry::Error> for Error {
    fn from(error: crate::registry::Error) -> Self {
        match error {
            crate::registry::Error::Store(error) => Self::Store(error),
            crate::registry::Error::Unreadable(error) => Self::Unreadable(error),
        }
    }
}

impl From<crate::vault::Error> for Error {
    fn from(error: crate::vault::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Elsewhere> for Error {
    fn from(elsewhere: Elsewhere) -> Self {
        match elsewhere {
            Elsewhere::Held => Self::DuplicateGrant,
            Elsewhere::Spent => Self::AlreadySpent,
        }
    }
}
