//! How is one key set read over HTTP?

use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use url::Url;

use super::{is_allowed, is_loopback, lock};
use crate::{KeySet, KeySetError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Reads the key set of one issuer.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    Jwks(Url),
    Discovery {
        issuer: String,
        document: Url,
        /// The `jwks_uri` found, until it fails.
        found: Mutex<Option<Url>>,
    },
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer")]
    Transport(#[source] reqwest::Error),
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    #[error("the answer is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    #[error("the discovery document is not JSON with `issuer` and `jwks_uri`")]
    NotADiscoveryDocument,
    #[error("the discovery document names another issuer")]
    OtherIssuer,
    #[error("the `jwks_uri` of the discovery document is not allowed")]
    JwksUri,
    #[error("the key set cannot be read")]
    KeySet(#[from] KeySetError),
    #[error("the key set has no usable key")]
    NoUsableKey,
}

impl Fetcher {
    pub(super) fn jwks(url: Url) -> Result<Self, reqwest::Error> {
        Ok(Self { client: client()?, origin: Origin::Jwks(url) })
    }

    pub(super) fn discovery(issuer: &str, document: Url) -> Result<Self, reqwest::Error> {
        let origin = Origin::Discovery { issuer: issuer.to_owned(), document, found: Mutex::default() };
        Ok(Self { client: client()?, origin })
    }

    /// The address the operator knows the issuer by.
    pub(super) fn address(&self) -> &Url {
        match &self.origin {
            Origin::Jwks(url) => url,
            Origin::Discovery { document, .. } => document,
        }
    }

    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let result = self.fetch_keys().await;
        if let (Err(_), Origin::Discovery { found, .. }) = (&result, &self.origin) {
            *lock(found) = None;
        }
        result
    }

    async fn fetch_keys(&self) -> Result<KeySet, FetchError> {
        let url = match &self.origin {
            Origin::Jwks(url) => url.clone(),
            Origin::Discovery { issuer, document, found } => {
                let known = lock(found).clone();
                match known {
                    Some(url) => url,
                    None => {
                        let url = self.discover(issuer, document).await?;
                        *lock(found) = Some(url.clone());
                        url
                    }
                }
            }
        };
        let set = KeySet::from_jwks(&self.read(&url).await?)?;
        if set.is_empty() { Err(FetchError::NoUsableKey) } else { Ok(set) }
    }

    async fn discover(&self, issuer: &str, document: &Url) -> Result<Url, FetchError> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let body = self.read(document).await?;
        let discovery: Discovery =
            serde_json::from_slice(&body).map_err(|_| FetchError::NotADiscoveryDocument)?;
        if discovery.issuer != issuer {
            return Err(FetchError::OtherIssuer);
        }
        let url = Url::parse(&discovery.jwks_uri).map_err(|_| FetchError::JwksUri)?;
        // A public issuer must not send us to a service of this host.
        let fits = is_allowed(&url) && (!is_loopback(&url) || is_loopback(document));
        if fits { Ok(url) } else { Err(FetchError::JwksUri) }
    }

    /// The body of a 200, counted after decompression.
    async fn read(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let mut response = self.client.get(url.clone()).send().await.map_err(transport)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

#[expect(clippy::disallowed_methods, reason = "this crate stands alone and cannot use the server's client")]
fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .build()
}

/// The address is logged beside, by whoever knows whether it may be.
fn transport(error: reqwest::Error) -> FetchError {
    FetchError::Transport(error.without_url())
}
