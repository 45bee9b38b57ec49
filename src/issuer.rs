//! Our authorization server: who gets an access token of ours, and what it says.
//!
//! Promises RFC 6749 with tokens of RFC 9068: a client is known by its secret, never by anything else it says; a
//! token never grants more than the client's row; each one issued has its audit record before it leaves.

pub mod authentication;
pub mod authorize;
pub mod client_credentials;
pub mod code;
pub mod device;
pub mod keys;

mod claims;
mod failures;
mod grants;
mod mint;
mod refresh;
mod revoke;
mod signer;
mod target;

use std::sync::Arc;

use crate::audit::Audit;
use crate::identity::bearer::RecentRows;
use crate::model::entropy::Entropy;
use crate::model::time::Clock;
use crate::store::Store;
use crate::vault::Vault;

pub use self::claims::PersonClaims;
use self::failures::Failures;
use self::keys::Keys;
pub use self::mint::IssuedTokens;
pub use self::signer::Algorithm;

/// Rights went after the person's yes. A token without a scope would say that all that was asked for is in it (RFC 6749
/// §5.1), and be good for nothing.
const NOTHING_LEFT: Error = Error::InvalidGrant("nothing is left of what was granted");

/// What the operator sets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The public URL, byte for byte.
    pub issuer: String,
    /// Seconds an access token lives where the client's row does not say.
    pub token_lifetime_s: u32,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown, disabled, or with a wrong secret: the caller learns no difference.
    #[error("the client is not who it says")]
    InvalidClient,
    /// The client's failures come too fast.
    #[error("too many failed authentications")]
    TooManyFailures {
        /// When the next one is looked at.
        retry_after_s: u64,
    },
    /// Its kind does not use this grant.
    #[error("the client may not use this grant")]
    UnauthorizedClient,
    /// Malformed, unknown, or beyond the client's.
    #[error("the scope is beyond the client's")]
    InvalidScope,
    /// No resource server of the client.
    #[error("the resource is none of the client's")]
    InvalidTarget,
    /// No token comes of this code, refresh token or subject: what is wrong with it.
    #[error("{0}")]
    InvalidGrant(&'static str),
    /// The person has not answered yet (RFC 8628 §3.5).
    #[error("the person has not answered yet")]
    AuthorizationPending,
    /// The device polls too fast (RFC 8628 §3.5).
    #[error("the device polls too fast")]
    SlowDown,
    /// The person said no, or has nothing of it to give (RFC 8628 §3.5).
    #[error("{0}")]
    AccessDenied(&'static str),
    /// The device waited too long (RFC 8628 §3.5).
    #[error("the device code has expired")]
    ExpiredToken,
    /// The person was signed out while the page was open.
    #[error("the person is not signed in any more")]
    SignedOut,
    /// Too many devices of the client wait in one network.
    #[error("too many devices of the client wait in this network")]
    TooManyDevices {
        /// When to ask again.
        retry_after_s: u64,
    },
    /// Too many devices wait.
    #[error("too many devices wait")]
    Overloaded,
    /// A row of it was changed by somebody else than this instance.
    #[error("a stored row is not used")]
    NotOurs(#[from] crate::vault::Error),
    /// The database gave nothing.
    #[error("what is asked for could not be looked up or stored")]
    Store(#[from] crate::store::Error),
    /// No record, no token.
    #[error("the token's audit record was not written")]
    Audit(#[from] crate::audit::Error),
    /// Nothing can be signed.
    #[error("the signing keys cannot be used")]
    Keys(#[from] keys::Error),
}

/// Issues tokens.
pub struct Issuer {
    settings: Settings,
    store: Store,
    vault: Arc<Vault>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    keys: Keys,
    failures: Failures,
    recent: RecentRows,
}

impl Issuer {
    /// Opens the signing keys; `recent` is shared with whoever reads grants in this process.
    ///
    /// # Errors
    /// [`keys::Error::NoActiveKey`] before [`keys::create_first`].
    pub async fn load(
        settings: Settings,
        store: Store,
        vault: Arc<Vault>,
        audit: Arc<Audit>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        recent: RecentRows,
    ) -> Result<Self, keys::Error> {
        let keys = Keys::load(store.clone(), Arc::clone(&vault), clock.now()).await?;
        let failures = Failures::default();
        Ok(Self { settings, store, vault, audit, clock, entropy, keys, failures, recent })
    }

    /// Who signs: the public URL.
    pub fn url(&self) -> &str {
        &self.settings.issuer
    }

    /// How tokens may be signed: as now, then as by keys that wait or have just been retired (RFC 7518 §3.1).
    pub async fn signing_algorithms(&self) -> Vec<&'static str> {
        self.keys.current(self.clock.now()).await.algorithms.clone()
    }

    /// The public keys as a JWKS document (RFC 7517 §5).
    pub async fn jwks(&self) -> String {
        self.keys.current(self.clock.now()).await.jwks.clone()
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
