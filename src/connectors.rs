//! Connectors: how to speak OAuth with each third-party API.
//!
//! A connector is data first (a [`Definition`] run by [`declarative`]); Rust holds only what data cannot say.
//! It promises one provider call per method call and an [`Error`] that tells whether a refresh token may be spent.
//! Three exceptions: with two live client secrets, `refresh` and `revoke` try the second after a definite
//! `invalid_client`, within the time of one call; a grant without a lifetime is followed by one introspection
//! of at most 3 s where the definition names its address; `revoke` asks once for each token.

mod aircall;
pub mod answer;
pub mod catalog;
mod declarative;
mod github;
#[cfg(test)]
mod scripted;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::model::connector::{Account, Credentials, Definition, Grant};
use crate::model::secret::Secret;
use crate::outbound::{Outbound, Trust};

pub use self::aircall::Aircall;
pub use self::catalog::Catalog;
pub use self::declarative::Declarative;
pub use self::github::GitHub;

/// What goes into the address a browser is sent to.
#[derive(Debug)]
pub struct Authorize<'a> {
    /// Who we are there.
    pub credentials: &'a Credentials,
    /// Where the answer comes.
    pub redirect_uri: &'a Url,
    /// 256 random bits, stored hashed.
    pub state: &'a Secret,
    /// The proof key; its S256 challenge is sent where the definition says so.
    pub verifier: &'a Secret,
}

/// What goes into a code exchange.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Who we are there.
    pub credentials: &'a Credentials,
    /// As it was in the authorization request.
    pub redirect_uri: &'a Url,
    /// From the callback.
    pub code: &'a Secret,
    /// The proof key.
    pub verifier: &'a Secret,
}

/// Tokens of one token set, opened to be revoked.
#[derive(Debug)]
pub struct Tokens<'a> {
    /// The access token, where it was kept.
    pub access_token: Option<&'a Secret>,
    /// The refresh token, where there is one.
    pub refresh_token: Option<&'a Secret>,
}

/// How a revocation ended, when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The provider has revoked the token.
    Revoked,
    /// The provider has no way to revoke.
    Unsupported,
}

/// What a provider says of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It answered with it.
    Works,
    /// 401 or 403: the rejection is confirmed.
    Rejected,
    /// There is nothing to ask, or the answer tells nothing.
    Unknown,
}

/// Why a provider call gave nothing. Only [`Error::Refused`], [`Error::ClientRejected`], [`Error::RateLimited`]
/// and [`Error::NotSent`] are definite; after the others a rotating provider may have rotated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `invalid_grant`, `bad_refresh_token`, and what the definition adds: a new consent is needed.
    #[error("the provider refused the grant ({code})")]
    Refused {
        /// The provider's OAuth error code.
        code: String,
    },
    /// `invalid_client`, `unauthorized_client`, `incorrect_client_credentials`: our credentials are wrong there.
    #[error("the provider refused our client ({code})")]
    ClientRejected {
        /// The provider's OAuth error code.
        code: String,
    },
    /// Another 4xx (or 200) with a readable OAuth error.
    #[error("the provider refused the request ({code}, status {status})")]
    RequestRejected {
        /// HTTP status.
        status: u16,
        /// The provider's OAuth error code.
        code: String,
    },
    /// 429; the request was not processed.
    #[error("the provider limits the rate")]
    RateLimited {
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No byte of the request left us: connect failed, name unknown, address refused.
    #[error("the provider was not reached: {detail}")]
    NotSent {
        /// For the log and `last_error`, free of secrets.
        detail: String,
    },
    /// Time-out, reset, 5xx, redirect, an unreadable answer.
    #[error("the provider's answer is unknown: {detail}")]
    Ambiguous {
        /// For the log and `last_error`, free of secrets.
        detail: String,
        /// From `Retry-After`, where one came.
        retry_after: Option<Duration>,
    },
    /// The definition and variables give no request; nothing was sent.
    #[error("the connector's definition gives no request: {0}")]
    Definition(String),
}

/// One kind of third-party API.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Its data.
    fn definition(&self) -> &Definition;

    /// The address to send the browser to.
    ///
    /// # Errors
    /// [`Error::Definition`] alone.
    fn authorize_url(&self, request: &Authorize<'_>) -> Result<Url, Error>;

    /// Swaps a code for tokens. Called once per code, ever.
    async fn exchange(&self, request: &Exchange<'_>) -> Result<Grant, Error>;

    /// Spends a refresh token.
    async fn refresh(&self, credentials: &Credentials, refresh_token: &Secret) -> Result<Grant, Error>;

    /// Revokes one token set's tokens.
    async fn revoke(&self, credentials: &Credentials, tokens: &Tokens<'_>) -> Result<Revocation, Error>;

    /// Whose account an access token belongs to; `None` where the provider can't be asked.
    async fn identify(
        &self,
        credentials: &Credentials,
        access_token: &Secret,
    ) -> Result<Option<Account>, Error>;

    /// Whether an access token still works.
    async fn probe(&self, credentials: &Credentials, access_token: &Secret) -> Result<Probe, Error>;
}

/// The connector of a definition. Custom definitions are data alone: none can borrow a built-in's code by its
/// name.
pub fn instantiate(definition: Arc<Definition>, outbound: Outbound, trust: Trust) -> Arc<dyn Connector> {
    let id = definition.id.clone();
    let plain = Declarative::new(definition, outbound, trust);
    match (trust, id.as_str()) {
        (Trust::Operator, "github" | "github-app") => Arc::new(GitHub::new(plain)),
        (Trust::Operator, "aircall") => Arc::new(Aircall::new(plain)),
        (Trust::Operator | Trust::Custom, _) => Arc::new(plain),
    }
}
