//! What does the provider say of itself? Its discovery document and its keys, asked for when they are needed.
//!
//! Both are kept for an hour. A failure is remembered for a few seconds, so that a provider that is down is not asked
//! by everybody who tries; of many who try at once one asks, and the others take what it found. Everything it says is hostile until it is read (OpenID Connect Discovery 1.0 §4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use jeton_guard::{Algorithm, GivenKeys, KeySet};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;
use tracing::warn;
use url::Url;

use crate::model::time::Clock;
use crate::model::uri::is_loopback;
use crate::outbound::{Outbound, Request, Response, Trust};

const KEPT: Duration = Duration::hours(1);
/// A provider that failed is left alone for so long.
const LEFT_ALONE: Duration = Duration::seconds(5);
/// Between two looks for a key that is not known yet.
const BETWEEN_KEYS: Duration = Duration::seconds(30);

/// Why the provider cannot be used. Holds nothing of what it sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It does not answer, or may not be called.
    #[error("{what} does not answer: {detail}")]
    NoAnswer {
        /// What was asked for.
        what: &'static str,
        /// The cause, without the address.
        detail: String,
    },
    /// It answers something else than 200.
    #[error("{what} answers with status {status}")]
    Status {
        /// What was asked for.
        what: &'static str,
        /// HTTP status.
        status: u16,
    },
    /// It answers no JSON of the form it must have.
    #[error("{what} is not JSON with what it must hold")]
    Unreadable {
        /// What was asked for.
        what: &'static str,
    },
    /// The document is another issuer's.
    #[error("the discovery document names another issuer than `login.oidc.issuer`")]
    OtherIssuer,
    /// An address in it is not https, or leads to this machine.
    #[error("`{0}` of the discovery document is not https")]
    Address(&'static str),
    /// It cannot do what we need.
    #[error("the provider does not support {0}")]
    Unsupported(&'static str),
    /// No key of it can be used.
    #[error("the provider publishes no key that can be used")]
    NoKeys,
}

/// What of the document is used.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    jwks_uri: Url,
    pub(super) algorithms: Vec<Algorithm>,
    /// `client_secret_post` is all it takes; else `client_secret_basic`.
    pub(super) secret_in_form: bool,
    /// RFC 9207 §3.
    pub(super) sends_iss: bool,
    scopes: Option<Vec<String>>,
}

impl Metadata {
    /// What is asked for: names and address where the provider has them, and the scope that some name like the claim
    /// it gives.
    pub(super) fn scope(&self, apps_claim: Option<&str>) -> String {
        let known = |scope: &&str| match &self.scopes {
            None => ["email", "profile"].contains(scope),
            Some(scopes) => scopes.iter().any(|known| known == scope),
        };
        let wanted = ["email", "profile"].into_iter().chain(apps_claim).filter(known);
        std::iter::once("openid").chain(wanted).collect::<Vec<_>>().join(" ")
    }
}

/// Asks the provider, and remembers.
pub(super) struct Provider {
    issuer: String,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Whose turn it is to ask.
    turn: Semaphore,
    pub(super) keys: GivenKeys,
}

#[derive(Default)]
struct Known {
    metadata: Option<(OffsetDateTime, Arc<Metadata>)>,
    keys_at: Option<OffsetDateTime>,
    failed: Option<(OffsetDateTime, Fault)>,
}

impl Known {
    /// The failure because of which it is left alone.
    fn fault(&self, now: OffsetDateTime) -> Option<Fault> {
        let failed = self.failed.as_ref().filter(|(at, _)| is_within(*at, now, LEFT_ALONE));
        failed.map(|(_, fault)| fault.clone())
    }
}

impl Provider {
    pub(super) fn new(issuer: String, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        let keys = GivenKeys::new(KeySet::default());
        Self { issuer, outbound, clock, known: Mutex::default(), turn: Semaphore::new(1), keys }
    }

    /// What it says of itself, at most an hour old.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Fault> {
        if let Some(found) = self.found() {
            return found;
        }
        // It is never closed.
        let _turn = self.turn.acquire().await;
        if let Some(found) = self.found() {
            return found;
        }
        let found = self.discover().await;
        let now = self.clock.now();
        let mut known = self.known();
        match found {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                known.metadata = Some((now, Arc::clone(&metadata)));
                known.failed = None;
                Ok(metadata)
            }
            Err(fault) => {
                warn!(issuer = %self.issuer, error = %fault, "people cannot sign in through the upstream provider");
                known.failed = Some((now, fault.clone()));
                Err(fault)
            }
        }
    }

    /// Its keys are there and at most an hour old; `missed`: one was not among them.
    pub(super) async fn renew_keys(&self, metadata: &Metadata, missed: bool) -> Result<(), Fault> {
        if let Some(found) = self.found_keys(missed) {
            return found;
        }
        let _turn = self.turn.acquire().await;
        if let Some(found) = self.found_keys(missed) {
            return found;
        }
        let fetched = self.fetch_keys(metadata).await;
        let now = self.clock.now();
        let mut known = self.known();
        match &fetched {
            Ok(()) => known.keys_at = Some(now),
            Err(fault) => known.failed = Some((now, fault.clone())),
        }
        fetched
    }

    fn found(&self) -> Option<Result<Arc<Metadata>, Fault>> {
        let (now, known) = (self.clock.now(), self.known());
        match &known.metadata {
            Some((at, metadata)) if is_within(*at, now, KEPT) => Some(Ok(Arc::clone(metadata))),
            Some(_) | None => known.fault(now).map(Err),
        }
    }

    fn found_keys(&self, missed: bool) -> Option<Result<(), Fault>> {
        let (now, known) = (self.clock.now(), self.known());
        let kept = if missed { BETWEEN_KEYS } else { KEPT };
        if known.keys_at.is_some_and(|at| is_within(at, now, kept)) {
            return Some(Ok(()));
        }
        known.fault(now).map(Err)
    }

    async fn fetch_keys(&self, metadata: &Metadata) -> Result<(), Fault> {
        let what = "the key set of the provider";
        let body = self.read(&metadata.jwks_uri, HeaderMap::new(), what).await?;
        let keys = KeySet::from_jwks(&body).map_err(|_| Fault::Unreadable { what })?;
        if keys.is_empty() {
            return Err(Fault::NoKeys);
        }
        self.keys.replace(keys);
        Ok(())
    }

    /// The body of a 200 with JSON.
    pub(super) async fn read(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        what: &'static str,
    ) -> Result<Vec<u8>, Fault> {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.send(Method::GET, url, headers, Vec::new(), what).await?;
        if response.status != 200 {
            return Err(Fault::Status { what, status: response.status });
        }
        if !is_json(&response.headers) {
            return Err(Fault::Unreadable { what });
        }
        Ok(response.body)
    }

    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
        what: &'static str,
    ) -> Result<Response, Fault> {
        let request =
            Request { method, url: url.clone(), headers, body, trust: Trust::Operator, timeout: None };
        let sent = self.outbound.send(request).await;
        sent.map_err(|error| Fault::NoAnswer { what, detail: error.to_string() })
    }

    async fn discover(&self) -> Result<Metadata, Fault> {
        let what = "the discovery document of the provider";
        let issuer = self.issuer.trim_end_matches('/');
        let url = Url::parse(&format!("{issuer}/.well-known/openid-configuration"));
        let url = url.map_err(|_| Fault::Unreadable { what })?;
        let body = self.read(&url, HeaderMap::new(), what).await?;
        let document: Document = serde_json::from_slice(&body).map_err(|_| Fault::Unreadable { what })?;
        document.read(&self.issuer, is_loopback(&url))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two-sided: a clock may be set back.
fn is_within(at: OffsetDateTime, now: OffsetDateTime, time: Duration) -> bool {
    (now - at).abs() < time
}

/// `application/json`, or one of its family (`application/jwk-set+json`).
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The document as it is on the wire.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
    jwks_uri: String,
    response_types_supported: Vec<String>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Document {
    fn read(self, issuer: &str, local: bool) -> Result<Metadata, Fault> {
        if self.issuer != issuer {
            return Err(Fault::OtherIssuer);
        }
        if !self.response_types_supported.iter().any(|kind| kind == "code") {
            return Err(Fault::Unsupported("the response type `code`"));
        }
        if self.code_challenge_methods_supported.is_some_and(|all| !all.iter().any(|one| one == "S256")) {
            return Err(Fault::Unsupported("PKCE with S256"));
        }
        let ours = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa];
        let listed = self.id_token_signing_alg_values_supported;
        let algorithms: Vec<_> = match &listed {
            None => vec![Algorithm::Es256, Algorithm::Rs256],
            Some(listed) => {
                ours.into_iter().filter(|alg| listed.iter().any(|one| one == alg.as_str())).collect()
            }
        };
        if algorithms.is_empty() {
            return Err(Fault::Unsupported("ID tokens signed with ES256, RS256, PS256 or EdDSA"));
        }
        let methods = self.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.as_ref().is_some_and(|all| all.iter().any(|one| one == method));
        Ok(Metadata {
            authorization_endpoint: address("authorization_endpoint", &self.authorization_endpoint, local)?,
            token_endpoint: address("token_endpoint", &self.token_endpoint, local)?,
            userinfo_endpoint: self
                .userinfo_endpoint
                .map(|text| address("userinfo_endpoint", &text, local))
                .transpose()?,
            jwks_uri: address("jwks_uri", &self.jwks_uri, local)?,
            algorithms,
            secret_in_form: takes("client_secret_post") && !takes("client_secret_basic"),
            sends_iss: self.authorization_response_iss_parameter_supported,
            scopes: self.scopes_supported,
        })
    }
}

/// https; a provider on this machine may name plain http and this machine, another one must not send us here.
fn address(name: &'static str, text: &str, local: bool) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(|_| Fault::Address(name))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let fits = match (is_loopback(&url), url.scheme()) {
        (true, "https" | "http") => local,
        (false, scheme) => scheme == "https",
        (true, _) => false,
    };
    if bare && fits { Ok(url) } else { Err(Fault::Address(name)) }
}
