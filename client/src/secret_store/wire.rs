//! How does one call reach a store, and when is it sent again?

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::error::{StoreFault, StoreUnreached};
use crate::broker::{self, Answer};
use crate::error::Error;
use crate::patience::Patience;
use crate::secret::Secret;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What else is to be checked where the system's CAs do not know the one that signed.
pub(super) const CA: &str = "SSL_CERT_FILE, which names a PEM file of CAs";
/// The longest cause that is told, in bytes.
const LONGEST: usize = 300;

/// An HTTP client that knows which variable to name when nobody answers.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) http: reqwest::Client,
    check: &'static str,
    /// The same where an unknown CA signed.
    ca: &'static str,
}

impl Wire {
    pub(super) fn new(check: &'static str) -> Result<Self, StoreFault> {
        let http = broker::http_client(TIMEOUT).map_err(|error| StoreFault::Unfit(error.to_string()))?;
        Ok(Self { http, check, ca: CA })
    }

    /// One that believes the CAs in this PEM and no others; none where it holds none. The system's need not be there.
    pub(super) fn trusting(pem: &[u8], check: &'static str) -> Option<Self> {
        let roots = reqwest::Certificate::from_pem_bundle(pem).ok().filter(|roots| !roots.is_empty())?;
        let http = broker::http_client_of(TIMEOUT, Some(roots)).ok()?;
        Some(Self { http, check, ca: CA })
    }

    /// The same, which names `ca` where an unknown CA signed.
    pub(super) fn naming(self, ca: &'static str) -> Self {
        Self { ca, ..self }
    }

    /// The same, on its way to another address: where a store sends its callers to prove who they are.
    pub(super) fn checking(&self, check: &'static str) -> Self {
        Self { check, ..self.clone() }
    }

    /// Sends what `request` makes, and again where the store did not take it and asks for time.
    pub(super) async fn send(
        &self,
        at: &Url,
        request: impl Fn(&reqwest::Client) -> Result<reqwest::RequestBuilder, StoreFault>,
        asks_for_time: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, StoreFault> {
        let mut patience = Patience::new(3, Duration::from_secs(10), Duration::from_millis(200));
        loop {
            let answer =
                broker::exchange(request(&self.http)?).await.map_err(|error| self.fault(at, &error))?;
            let pause = if asks_for_time(&answer) { patience.pause(answer.retry_after) } else { None };
            let Some(pause) = pause else { return Ok(answer) };
            tokio::time::sleep(pause).await;
        }
    }

    pub(super) fn fault(&self, at: &Url, error: &Error) -> StoreFault {
        match error {
            Error::Transport(cause) => unreachable(at, cause, [self.check, self.ca]),
            _ => StoreFault::Garbled,
        }
    }
}

pub(super) fn unreachable(at: &Url, cause: &reqwest::Error, [check, ca]: [&'static str; 2]) -> StoreFault {
    let (at, why) = (at.origin().ascii_serialization(), why(cause));
    let check = if why.ends_with("UnknownIssuer") { ca } else { check };
    StoreFault::Unreachable(Box::new(StoreUnreached { at, why, check }))
}

/// What this machine says of a connection: once there is one, the words are the other side's, perhaps.
fn why(cause: &reqwest::Error) -> String {
    if cause.is_timeout() {
        return "not in time".to_owned();
    }
    let causes = std::iter::successors(cause.source(), |&cause| cause.source());
    let innermost = causes.last().filter(|_| cause.is_connect()).map(ToString::to_string);
    // A certificate may name a thousand hosts.
    let is_fit = |text: &String| text.len() <= LONGEST && !text.contains(char::is_control);
    innermost.filter(is_fit).unwrap_or_else(|| "the connection broke".to_owned())
}

/// A header that no log of the HTTP client shows.
#[expect(
    clippy::disallowed_methods,
    reason = "the credential for the store goes into a header of the call to it"
)]
pub(super) fn header(
    name: &'static str,
    prefix: &str,
    secret: &Secret,
) -> Result<(HeaderName, HeaderValue), StoreFault> {
    let text = format!("{prefix}{}", secret.expose_secret());
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| StoreFault::Unauthenticated("its token holds characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok((HeaderName::from_static(name), value))
}

/// The plaintext, on its way into a store.
#[expect(clippy::disallowed_methods, reason = "door: what is kept in a store goes there")]
pub(super) fn plain(secret: &Secret) -> &str {
    secret.expose_secret()
}

/// The JSON of an answer. The parser's own words are dropped: they may quote a secret.
pub(super) fn json(answer: &Answer) -> Result<Value, StoreFault> {
    serde_json::from_slice(&answer.body).map_err(|_| StoreFault::Garbled)
}

/// A string in it.
pub(super) fn text<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
    body.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::scripted::ScriptedServer;

    async fn told(url: &str) -> String {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let http = broker::http_client(Duration::from_millis(500)).unwrap();
        let Err(Error::Transport(cause)) = broker::exchange(http.get(url)).await else { panic!("{url}") };
        unreachable(&url.parse().unwrap(), &cause, ["", ""]).to_string()
    }

    #[tokio::test]
    async fn a_connection_that_fails_is_told_in_this_machines_words() {
        let silent = ScriptedServer::start(|_, _| (1, "", String::new())).await;
        let broken = ScriptedServer::start(|_, _| (0, "", String::new())).await;
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let speaks_no_tls = format!("https://{}", plain.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = plain.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 canary\r\n\r\n").await.unwrap();
        });
        for (url, why) in [
            (format!("{}/canary", silent.url), "not in time"),
            (format!("{}/canary", broken.url), "the connection broke"),
            (format!("{speaks_no_tls}/canary"), "received corrupt message of type InvalidContentType"),
        ] {
            let (at, told) = (url.trim_end_matches("/canary"), told(&url).await);
            assert!(told.starts_with(&format!("no answer from {at} ({why}): ")), "{told}");
        }
    }
}
