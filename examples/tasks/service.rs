//! What does each of the services have? A guard for those who call it, and tokens for those it calls.

use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use clap::Parser;
use jeton_client::secret_store::{Reference, StoreError, StoredCredential, Variables};
use jeton_client::{Authorized, TokenSource};
use jeton_guard::{Guard, RemoteKeys};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

/// A coordinator and two services that call each other with tokens
#[derive(Debug, Parser)]
pub(crate) struct Settings {
    /// Who issues tokens, to the letter
    #[arg(long, env = "JETON_URL")]
    issuer: String,
    /// The services are registered there as this and `/coordinator`, `/extract`, `/load`
    #[arg(long, env = "TASKS_AUDIENCE")]
    audience: String,
    /// The place in a secret store where each finds its credential as STACK/NAME
    #[arg(long, env = "CREDENTIALS")]
    credentials: String,
    #[arg(long, env = "STACK")]
    stack: String,
    /// The address they listen on
    #[arg(long, env = "TASKS_HOST", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Seconds that a task takes
    #[arg(long, env = "WORK_S", default_value_t = 1)]
    pub(crate) work_s: u32,
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a service cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    #[error("a service cannot verify tokens: {0}")]
    Guard(#[from] jeton_guard::BuildError),
    #[error("JETON_URL is no address of an issuer: {0}")]
    Issuer(#[from] jeton_guard::UrlError),
    #[error("{0}")]
    Client(#[from] jeton_client::Error),
    #[error("`{0}` answered {1}")]
    Refused(&'static str, StatusCode),
    #[error("`{0}` did not end its task in time")]
    Late(&'static str),
    #[error("an answer of `{0}` cannot be read")]
    Answer(&'static str),
}

/// A task, as it is named in requests.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) task: String,
}

/// A task, as whoever works at it tells it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum State {
    Running,
    Ended { rows: u64 },
}

impl Settings {
    fn audience_of(&self, name: &str) -> String {
        format!("{}/{name}", self.audience.trim_end_matches('/'))
    }

    /// Lets in whoever has a token for the service of this name; the keys are the issuer's JWKS, found by discovery.
    pub(crate) fn guard(&self, name: &str) -> Result<Guard, Error> {
        let keys = RemoteKeys::discovery(&self.issuer)?;
        Ok(Guard::builder(&self.issuer).audience(self.audience_of(name)).keys(keys).build()?)
    }

    /// Calls `callee` as `name`, with a token for `callee` alone: what it gets is worth nothing elsewhere. It is got
    /// once and kept for as long as it is valid.
    pub(crate) async fn caller(&self, name: &str, callee: &str) -> Result<Authorized, Error> {
        let reference = Reference::named(&self.credentials, &self.stack, name).map_err(StoreError::from);
        let reference = reference.map_err(jeton_client::Error::from)?;
        let credential = StoredCredential::open(&reference, &Variables::of_process()).await;
        let credential = credential.map_err(jeton_client::Error::from)?;
        let source = TokenSource::stored_for(credential.into(), &self.audience_of(callee))?;
        Ok(Authorized::new(http_client()?, source))
    }
}

/// Sends a request with a token; what comes is a success.
pub(crate) async fn send(
    callee: &'static str,
    api: &Authorized,
    request: reqwest::RequestBuilder,
) -> Result<reqwest::Response, Error> {
    let answer = api.send(request).await?;
    if answer.status().is_success() { Ok(answer) } else { Err(Error::Refused(callee, answer.status())) }
}

/// Where a service listens, which is told.
pub(crate) fn address(listener: &TcpListener, name: &str) -> Result<Url, Error> {
    let address = format!("http://{}/", listener.local_addr()?);
    tell(&format!("{name} listens on {address}"));
    Ok(Url::parse(&address).map_err(std::io::Error::other)?)
}

impl Error {
    /// As all commands end (the table of examples/README.md).
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) => error.exit_code(),
            Self::Refused(_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => 77,
            Self::Refused(..) | Self::Answer(_) => 1,
            Self::Late(_) => 75,
            Self::Listen(_) | Self::Guard(_) | Self::Issuer(_) => 78,
        }
    }
}

/// To whoever started it.
#[expect(clippy::print_stdout, reason = "the results of a program that is run by hand")]
pub(crate) fn tell(line: &str) {
    println!("{line}");
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, apart from the server's `outbound`")]
fn http_client() -> Result<reqwest::Client, Error> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(Duration::from_secs(15)).build().map_err(jeton_client::Error::from)?)
}
