//! How does one call reach the broker, and when is it sent again?
//!
//! Promises: redirects are not followed, an answer is read up to a bound, a write is repeated only where it
//! cannot have been received, and a refused bearer is renewed once.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::RETRY_AFTER;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::error::Error;
use crate::login::{LoginError, address, renew};
use crate::patience::Patience;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::settings::{BrokerSettings, Credential, SettingsError};
use crate::sign_in;
use crate::token_source::{Bearer, TokenSource};

const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// The broker, as one client of it. Cheap to clone; clones share the sign-in.
#[derive(Clone)]
pub struct Broker {
    wire: Arc<Wire>,
    sign_in: TokenSource,
}

impl Broker {
    /// Prepares the calls; sends nothing yet.
    ///
    /// # Errors
    /// When the URL is plain http to another machine, or TLS cannot be set up.
    pub fn new(settings: BrokerSettings) -> Result<Self, Error> {
        settings.check()?;
        let wire = Arc::new(Wire { http: http_client(settings.timeout)?, settings });
        Ok(Self { sign_in: sign_in::source(&wire), wire })
    }

    /// A new ID token of the person for whom this program speaks.
    ///
    /// # Errors
    /// [`Error::action`] says what to do; a program that speaks for nobody, or without the scope `openid`, gets none.
    pub async fn fresh_id_token(&self) -> Result<Secret, Error> {
        let none = || Error::from(LoginError::NoIdToken(address(&self.wire.settings.url)));
        let Credential::Login(store) = &self.wire.settings.credential else { return Err(none()) };
        renew::renewed(&self.wire, store).await?.id_token.ok_or_else(none)
    }

    /// Sends a call with the bearer, again where that helps, and answers a success or a typed error.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let url = join(&self.wire.settings.url, call.path)?;
        let mut patience = Patience::of(&self.wire.settings);
        let mut renewed = false;
        loop {
            let bearer = self.sign_in.bearer().await?;
            let pause = match self.wire.exchange(self.request(call, &url, &bearer)).await {
                Ok(answer) if answer.is_success() => return Ok(answer),
                Ok(answer) if answer.status == 401 && !renewed => {
                    self.sign_in.forget(&bearer);
                    renewed = true;
                    continue;
                }
                Ok(answer) => {
                    let again = call.may_repeat_after(&answer).then(|| patience.pause(answer.retry_after));
                    again.flatten().ok_or_else(|| answer.problem())?
                }
                Err(error) if call.may_repeat(&error) => patience.pause(None).ok_or(error)?,
                Err(error) => return Err(error),
            };
            tokio::time::sleep(pause).await;
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the bearer goes into the Authorization header of the call"
    )]
    fn request(&self, call: &Call<'_>, url: &Url, bearer: &Bearer) -> reqwest::RequestBuilder {
        let request = self.wire.http.request(call.method.clone(), url.clone());
        let request = request.bearer_auth(bearer.token.expose_secret());
        let request = if call.query.is_empty() { request } else { request.query(call.query) };
        match call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("settings", &self.wire.settings).finish_non_exhaustive()
    }
}

/// One call, before it is sent.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, String)],
    pub(crate) body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a [&'a str], query: &'a [(&'a str, String)]) -> Self {
        Self { method: Method::GET, path, query, body: None }
    }

    fn may_repeat_after(&self, answer: &Answer) -> bool {
        self.method == Method::GET && answer.asks_to_wait()
    }

    fn may_repeat(&self, error: &Error) -> bool {
        match error {
            // A broker that has kept silent through a whole timeout is not waited for again.
            Error::Transport(error) => {
                error.is_connect() || (self.method == Method::GET && !error.is_timeout())
            }
            _ => false,
        }
    }
}

/// The HTTP client and where it points.
pub(crate) struct Wire {
    pub(crate) http: reqwest::Client,
    pub(crate) settings: BrokerSettings,
}

impl Wire {
    pub(crate) async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Answer, Error> {
        exchange(request).await
    }
}

/// Sends one request and reads its answer, whatever the status.
pub(crate) async fn exchange(request: reqwest::RequestBuilder) -> Result<Answer, Error> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|s| s.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(Error::Garbled("a call"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, body })
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn asks_to_wait(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// Reads the JSON. The parser's own words are dropped: they may quote a token.
    pub(crate) fn parse<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| Error::Garbled(what))
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn problem(&self) -> Error {
        Problem::read(self.status, self.retry_after, &self.body).into()
    }
}

/// `base` with the segments after its own path, each percent-encoded.
pub(crate) fn join(base: &Url, segments: &[&str]) -> Result<Url, Error> {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
        for (place, segment) in segments.iter().enumerate() {
            let is_final_slash = segment.is_empty() && place + 1 == segments.len();
            if matches!(*segment, "." | "..") || (segment.is_empty() && !is_final_slash) {
                return Err(Error::Segment((*segment).to_owned()));
            }
            path.push(segment);
        }
    }
    Ok(url)
}

#[cfg(test)]
impl Broker {
    /// As if the bearer in hand had been got so long ago.
    pub(crate) fn age(&self, by: Duration) {
        self.sign_in.age(by);
    }

    /// Waits for the request in the background, if there is one.
    pub(crate) async fn landed(&self) {
        self.sign_in.landed().await;
    }
}

pub(crate) fn http_client(timeout: Duration) -> Result<reqwest::Client, SettingsError> {
    http_client_of(timeout, None)
}

/// One that believes these CAs and no others; the system's where none are named.
#[expect(clippy::disallowed_methods, reason = "the client library is apart from the server's `outbound`")]
pub(crate) fn http_client_of(
    timeout: Duration,
    roots: Option<Vec<reqwest::Certificate>>,
) -> Result<reqwest::Client, SettingsError> {
    let builder = reqwest::Client::builder();
    let builder = match roots {
        Some(roots) => builder.tls_certs_only(roots),
        None => builder,
    };
    builder
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5).min(timeout))
        .timeout(timeout)
        .user_agent(concat!("jeton-client/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| SettingsError::Tls(error.to_string()))
}

#[cfg(test)]
#[path = "broker_tests.rs"]
mod tests;
