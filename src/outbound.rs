//! How does the server call anything on the network? Through here alone.
//!
//! Promises: TLS verified, no redirect followed, no system proxy, answers of at most [`BODY_LIMIT`] bytes also
//! after decompression, only admitted addresses connected to, and an [`Error`] that tells whether any byte of
//! the request can have left. Refuses plain http and private addresses, loopback excepted where allowed.

mod guard;
#[cfg(test)]
pub(crate) mod scripted;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use reqwest::{Certificate, Client, Proxy};
use tokio::time::Instant;
use url::Url;

use self::guard::Guard;
pub use self::guard::Refusal;
use crate::model::address::Network;
pub use crate::model::address::is_public;

/// Longest body that is read, after decompression.
pub const BODY_LIMIT: usize = 1 << 20;

/// Shorter than the idle time of common servers (5 s at Apache, Node and actix), with room for a machine that stalls: a
/// connection that the server closes under a request leaves it unknown whether a refresh token was spent, and the
/// connection is held off for minutes.
const POOL_IDLE: Duration = Duration::from_secs(3);

/// How the server reaches out; section `outbound` of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Loopback targets are allowed, over plain http too.
    pub allow_loopback: bool,
    /// Networks that targets set by the operator may be in.
    pub allow_networks: Vec<Network>,
    /// A proxy for everything but loopback. It resolves names itself: rebinding is then its business.
    pub proxy: Option<Url>,
    /// PEM certificates trusted beside the machine's.
    pub ca_file: Option<PathBuf>,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For the whole call, answer included.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            allow_networks: Vec::new(),
            proxy: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
        }
    }
}

/// Who set the address that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operator: catalog, configuration.
    Operator,
    /// An admin over REST: never reaches `allow_networks`.
    Custom,
}

/// One call.
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its address.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; empty for none.
    pub body: Vec<u8>,
    /// Who set the address.
    pub trust: Trust,
    /// A shorter time-out than the settings'.
    pub timeout: Option<Duration>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.origin().ascii_serialization())
    }
}

/// What came back, whatever its status.
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}, {} bytes", self.status, self.body.len())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target may not be called; nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No byte of the request left: name unknown, connection or TLS handshake failed.
    #[error("nothing was sent: {detail}")]
    NotSent {
        /// The innermost cause, without the address.
        detail: String,
    },
    /// The request, or a part of it, may have been received.
    #[error("the answer is unknown: {detail}")]
    Ambiguous {
        /// The innermost cause, without the address.
        detail: String,
    },
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The file of certificates cannot be read.
    #[error("the certificates in {} cannot be read", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificates, proxy or TLS set-up are wrong.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// The HTTP client. Clones share its connections.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    /// One client for each trust: a pooled connection to an allowed network never serves a custom target.
    operator: (Guard, Client),
    custom: (Guard, Client),
    proxied: Option<Client>,
    connect_timeout: Duration,
    timeout: Duration,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}

impl Outbound {
    /// Sets up the clients.
    pub fn new(settings: &Settings) -> Result<Self, BuildError> {
        let roots = roots(settings)?;
        let direct = |networks: &[Network]| -> Result<(Guard, Client), BuildError> {
            let guard = Guard::new(settings.allow_loopback, networks);
            let client = builder(settings, &roots).no_proxy().dns_resolver(guard.clone()).build()?;
            Ok((guard, client))
        };
        let proxied = match &settings.proxy {
            Some(proxy) => {
                Some(builder(settings, &roots).no_proxy().proxy(Proxy::all(proxy.clone())?).build()?)
            }
            None => None,
        };
        Ok(Self(Arc::new(Inner {
            operator: direct(&settings.allow_networks)?,
            custom: direct(&[])?,
            proxied,
            connect_timeout: settings.connect_timeout,
            timeout: settings.timeout,
        })))
    }

    /// How long a whole call may take.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Calls once: no redirect, no retry.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let started = Instant::now();
        let client = self.client_for(&request).await?;
        let timeout = request.timeout.map_or(self.0.timeout, |shorter| shorter.min(self.0.timeout));
        let answer = client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .timeout(timeout.saturating_sub(started.elapsed()))
            .send()
            .await
            .map_err(classify)?;
        read(answer).await
    }

    /// The client that may make this call.
    async fn client_for(&self, request: &Request) -> Result<&Client, Error> {
        let (guard, direct) = match request.trust {
            Trust::Operator => &self.0.operator,
            Trust::Custom => &self.0.custom,
        };
        guard.check(&request.url)?;
        match &self.0.proxied {
            Some(proxied) if !guard::is_loopback(&request.url) => {
                guard.check_name(&request.url, self.0.connect_timeout, request.trust).await?;
                Ok(proxied)
            }
            _ => Ok(direct),
        }
    }
}

fn roots(settings: &Settings) -> Result<Vec<Certificate>, BuildError> {
    let Some(path) = &settings.ca_file else { return Ok(Vec::new()) };
    let pem = std::fs::read(path).map_err(|source| BuildError::CaFile { path: path.clone(), source })?;
    Ok(Certificate::from_pem_bundle(&pem)?)
}

#[expect(clippy::disallowed_methods, reason = "this is the one HTTP client")]
fn builder(settings: &Settings, roots: &[Certificate]) -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("jeton/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(16)
        .tls_certs_merge(roots.iter().cloned())
}

/// Reads the body chunk by chunk, so that neither a huge one nor one that unpacks to much fills the memory.
async fn read(mut answer: reqwest::Response) -> Result<Response, Error> {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) =
        answer.chunk().await.map_err(|error| Error::Ambiguous { detail: innermost(&error) })?
    {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Error::Ambiguous { detail: format!("the answer is over {BODY_LIMIT} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body })
}

/// Whether a failed call can have reached its target. Connecting covers name, TCP and TLS; whatever fails
/// after it counts as sent.
fn classify(error: reqwest::Error) -> Error {
    if let Some(refusal) = causes(&error).find_map(|cause| cause.downcast_ref::<Refusal>()) {
        return Error::Refused(refusal.clone());
    }
    let detail = innermost(&error);
    if error.is_connect() || error.is_builder() {
        Error::NotSent { detail }
    } else {
        Error::Ambiguous { detail }
    }
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The innermost cause alone: outer ones repeat the address, which may hold what must not be logged.
fn innermost(error: &reqwest::Error) -> String {
    match causes(error).last() {
        Some(cause) if !cause.is::<reqwest::Error>() => cause.to_string().chars().take(200).collect(),
        _ if error.is_timeout() => "timed out".to_owned(),
        _ => "the call failed".to_owned(),
    }
}

#[cfg(test)]
mod tests;
