//! How does a person connect an account? From the click to a live connection.
//!
//! Promises: who starts is who finishes, in the same browser; a state is used once; nothing is sent to a provider
//! before the callback agrees with the flow it belongs to; an exchanged set is sealed before anything else happens
//! to it; an abandoned, denied or failed consent leaves the old connection as it was, and its own set is revoked.

mod callback;
mod confirm;
mod doubt;
mod exchanged;
mod expire;
mod link;
mod offer;
mod resolve;
mod return_to;
mod start;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::audit::{self, Audit};
use crate::identity::{Denied, Principal};
use crate::keeper::{self, SecretsKeeper};
use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::{ConnectorId, Violation};
use crate::model::entropy::Entropy;
use crate::model::public_url::PublicUrl;
use crate::model::time::Clock;
use crate::registry::{self, Registry};
use crate::store::{self, Store};
use crate::vault::{self, Vault};

pub use self::callback::{Answer, Arrival, Outcome};
pub use self::confirm::{Question, Victim};
pub use self::expire::Expired;
pub use self::link::{ConfirmedLink, MadeLink, NewLink, OpenLink};
pub use self::offer::{Installation, Offer, Proposal};
pub use self::start::Wish;

/// How long a consent may take, and how long an exchanged set waits for its confirmation.
const PENDING: Duration = Duration::minutes(10);
/// Consents one browser may have under way.
const PENDING_PER_SESSION: u64 = 50;

/// What signup is told by the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base of redirect URIs.
    pub public_url: PublicUrl,
    /// Origins beside our own that `return_to` may name.
    pub return_to_origins: Vec<String>,
    /// How much may be under way.
    pub bounds: Bounds,
}

/// What waits for people or providers is bounded.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Consents one app may have under way.
    pub pending_per_app: u64,
    /// Callbacks answered at the same time, each for one provider call or two.
    pub callbacks: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { pending_per_app: 1_000, callbacks: 200 }
    }
}

/// What signup is made of.
pub struct Parts {
    /// Rows.
    pub store: Store,
    /// Seals verifiers and exchanged sets.
    pub vault: Arc<Vault>,
    /// Writes denied and failed consents.
    pub audit: Arc<Audit>,
    /// Which connector, with which credentials.
    pub registry: Arc<Registry>,
    /// Makes a set live.
    pub keeper: Arc<SecretsKeeper>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// States and verifiers.
    pub entropy: Arc<dyn Entropy>,
}

/// A browser with a signed-in person.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The person, with the rights of now.
    pub principal: Principal,
    /// The browser's session.
    pub session: Uuid,
    /// What people call the person.
    pub label: String,
}

/// What was connected, and where the browser goes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Tenant.
    pub app: AppId,
    /// Kind of API.
    pub connector: ConnectorId,
    /// Which connection.
    pub flow: Flow,
    /// Where the starter wanted to go, checked at the start.
    pub return_to: Option<String>,
}

/// Why a consent does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither member nor superadmin, or no person at all.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Only a superadmin gets to see this.
    #[error("no such app")]
    AppNotFound,
    /// An admin disabled it.
    #[error("the app is disabled")]
    AppDisabled,
    /// No connector of this name, or it does not do this.
    #[error("no such connector")]
    ConnectorNotFound,
    /// Neither the app nor the instance has a client id for it.
    #[error("the connector has no credentials here")]
    CredentialsMissing,
    /// URL variables are missing, unknown or malformed.
    #[error("the URL variables do not fit")]
    Variables(Vec<Violation>),
    /// `return_to` is neither a path of ours nor at an allow-listed origin.
    #[error("return_to leads elsewhere")]
    ReturnTo,
    /// This browser has too many consents under way.
    #[error("too many consents of this browser are under way")]
    TooManyPending,
    /// The app has too many consents under way, or too many callbacks are being answered.
    #[error("too many consents are under way")]
    Overloaded,
    /// The state is unknown, used up, expired, or was made for another browser or person.
    #[error("the state is not one this browser can use now")]
    State,
    /// The callback came in at another address than the flow was started with.
    #[error("the callback belongs to another connector or app")]
    OtherFlow,
    /// `iss` names another provider than the flow was started with.
    #[error("the callback comes from another issuer")]
    Issuer,
    /// The callback has neither code nor error.
    #[error("the callback has neither a code nor an error")]
    NoCode,
    /// The person said no, or the provider did; its words, to be escaped.
    #[error("the provider gave no consent")]
    NoConsent {
        /// The connection that stays as it was.
        app: AppId,
        /// The provider's OAuth error code, cut.
        code: String,
        /// The provider's sentence, cut.
        description: Option<String>,
    },
    /// The definition or the credentials were changed since the flow was started.
    #[error("the connector's definition or credentials have changed since the start")]
    Changed,
    /// The provider refused the code.
    #[error("the provider refused the code ({code})")]
    CodeRefused {
        /// The provider's OAuth error code.
        code: String,
    },
    /// The provider refused our client or our request.
    #[error("the provider refuses our client ({code})")]
    ProviderMisconfigured {
        /// The provider's OAuth error code.
        code: String,
    },
    /// The provider gave no usable answer to the exchange.
    #[error("the provider gave no usable answer")]
    ProviderUnavailable,
    /// The provider did not tell whose account it is.
    #[error("the provider did not tell whose account it is")]
    NotIdentified,
    /// A service provider's link is unknown, used or over.
    #[error("the link cannot be used")]
    LinkUnusable,
    /// Nobody has come back from this link, or it is another client's.
    #[error("nothing of this link awaits confirmation")]
    NotReturned,
    /// No set awaits this person's confirmation: unknown, confirmed, given up, or somebody else's.
    #[error("nothing awaits confirmation here")]
    NothingPending,
    /// The account's owner or an app admin must confirm.
    #[error("only the connection's owner or an admin of the app may confirm this")]
    NotEntitled,
    /// The answering task ended early.
    #[error("answering the callback was interrupted")]
    Interrupted,
    /// A sealed set does not read back.
    #[error("a sealed set does not read back")]
    Unreadable,
    /// See the source.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// See the source.
    #[error("the audit record was not written")]
    Audit(#[from] audit::Error),
    /// See the source.
    #[error("the vault did not do it")]
    Vault(#[from] vault::Error),
    /// See the source.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// See the source.
    #[error(transparent)]
    Keeper(#[from] keeper::Error),
}

impl Error {
    /// Whether asking again could not make this set live: it is given back.
    fn ends_consent(&self) -> bool {
        matches!(self, Self::AppDisabled | Self::AppNotFound | Self::Keeper(keeper::Error::ConnectionChanged))
    }

    /// How the audit trail calls it.
    fn result(&self) -> &'static str {
        match self {
            Self::Denied(_) | Self::NotEntitled => "forbidden",
            Self::NoConsent { .. } => "consent_denied",
            Self::OtherFlow => "wrong_callback",
            Self::Issuer => "wrong_issuer",
            Self::NoCode => "no_code",
            Self::Changed => "connector_changed",
            Self::CodeRefused { .. } => "code_refused",
            Self::ProviderMisconfigured { .. } => "provider_misconfigured",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::NotIdentified => "not_identified",
            Self::Keeper(keeper::Error::ConnectionChanged) => "connection_changed",
            Self::AppNotFound
            | Self::AppDisabled
            | Self::ConnectorNotFound
            | Self::CredentialsMissing
            | Self::Variables(_)
            | Self::ReturnTo
            | Self::TooManyPending
            | Self::Overloaded
            | Self::State
            | Self::LinkUnusable
            | Self::NotReturned
            | Self::NothingPending => "refused",
            Self::Interrupted
            | Self::Unreadable
            | Self::Store(_)
            | Self::Audit(_)
            | Self::Vault(_)
            | Self::Registry(_)
            | Self::Keeper(_) => "failed",
        }
    }
}

/// Connects accounts.
pub struct Signup {
    settings: Settings,
    store: Store,
    vault: Arc<Vault>,
    audit: Arc<Audit>,
    registry: Arc<Registry>,
    keeper: Arc<SecretsKeeper>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    flights: Arc<Semaphore>,
}

impl Signup {
    /// Puts the parts together.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let Parts { store, vault, audit, registry, keeper, clock, entropy } = parts;
        let permits = usize::try_from(settings.bounds.callbacks).unwrap_or(usize::MAX);
        let flights = Arc::new(Semaphore::new(permits));
        Self { settings, store, vault, audit, registry, keeper, clock, entropy, flights }
    }

    /// Where browsers are sent back to, and other addresses of ours.
    pub fn public_url(&self) -> &PublicUrl {
        &self.settings.public_url
    }

    /// Waits until no callback is being answered and takes no more; for the end of the process.
    pub async fn drain(&self) {
        if let Ok(all) = self.flights.acquire_many(self.settings.bounds.callbacks).await {
            all.forget();
        }
    }
}
