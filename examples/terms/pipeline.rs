//! How does a pipeline work on for longer than a token lives?
//!
//! It holds no token: for each call it asks its [`TokenSource`], which gives the living one and replaces it before it
//! ends. [`Authorized`] asks once more where the service refuses one. Each new token is also put into the pipeline's
//! secret store, for the steps that are other programs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jeton_client::secret_store::{
    Expected, Reference, SecretStore, StoreError, StoredCredential, Variables, open,
};
use jeton_client::{Authorized, Bearer, TokenSource};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// What the pipeline is told; never a secret, only where one is.
#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// Its credential in a secret store
    #[arg(long, env = "JETON_CREDENTIAL")]
    credential: Reference,
    /// Where it keeps its token
    #[arg(long, env = "PIPELINE_TOKEN")]
    token: Reference,
    /// How many terms it creates
    #[arg(long, env = "TERMS", default_value_t = 5)]
    terms: u32,
    /// Seconds of other work before each
    #[arg(long, env = "WORK_S", default_value_t = 1)]
    work_s: u32,
}

#[derive(Debug)]
pub(crate) struct Report {
    created: u32,
    listed: usize,
    tokens: u32,
    kept_at: Reference,
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Client(#[from] jeton_client::Error),
    #[error("the service answered {0}")]
    Service(StatusCode),
    #[error("the service's answer cannot be read")]
    Answer,
}

/// Where the token is kept, and which one is.
struct Keeper {
    store: Arc<dyn SecretStore>,
    kept: Option<Arc<Bearer>>,
    tokens: u32,
}

pub(crate) async fn run(settings: &PipelineArgs, service: &Url) -> Result<Report, Error> {
    let variables = Variables::of_process();
    let credential = StoredCredential::open(&settings.credential, &variables).await.map_err(client)?;
    let source = TokenSource::stored(credential.into())?;
    let store = open(&settings.token, &variables).map_err(client)?;
    let mut keeper = Keeper { store, kept: None, tokens: 0 };
    let api = Authorized::new(http_client()?, source.clone());
    for number in 1..=settings.terms {
        tokio::time::sleep(Duration::from_secs(settings.work_s.into())).await;
        keeper.keep(source.bearer().await?).await.map_err(client)?;
        let term = json!({"name": format!("term-{number}"), "definition": "made by the pipeline"});
        call(&api, api.http().post(at(service, "api/create-term/")?).json(&term)).await?;
    }
    let answer = call(&api, api.http().get(at(service, "api/list-terms/")?)).await?;
    keeper.keep(source.bearer().await?).await.map_err(client)?;
    let terms: Listed = answer.json().await.map_err(|_| Error::Answer)?;
    let kept_at = settings.token.clone();
    Ok(Report { created: settings.terms, listed: terms.terms.len(), tokens: keeper.tokens, kept_at })
}

impl Keeper {
    /// Puts a token that is new into the store, in the place of the older one.
    async fn keep(&mut self, bearer: Arc<Bearer>) -> Result<(), StoreError> {
        if self.kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &bearer)) {
            return Ok(());
        }
        let there = self.store.get().await?;
        let expected = there.map_or(Expected::Absent, |there| Expected::Version(there.version));
        let version = self.store.put(bearer.token(), &expected).await?;
        self.store.activate(&version, &expected).await?;
        (self.kept, self.tokens) = (Some(bearer), self.tokens + 1);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Listed {
    terms: Vec<Value>,
}

async fn call(api: &Authorized, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
    let answer = api.send(request).await?;
    if answer.status().is_success() { Ok(answer) } else { Err(Error::Service(answer.status())) }
}

fn at(service: &Url, path: &str) -> Result<Url, Error> {
    service.join(path).map_err(|_| Error::Answer)
}

fn client(error: StoreError) -> Error {
    Error::Client(error.into())
}

impl Error {
    /// As all commands end (the table of examples/README.md).
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) => error.exit_code(),
            Self::Service(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => 77,
            Self::Service(status) if status.is_server_error() => 75,
            Self::Service(_) | Self::Answer => 1,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, listed, tokens, kept_at } = self;
        write!(
            f,
            "{created} terms created, {listed} listed, with {tokens} token(s), the last one kept at {kept_at}"
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, apart from the server's `outbound`")]
fn http_client() -> Result<reqwest::Client, Error> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(Duration::from_secs(15)).build().map_err(jeton_client::Error::from)?)
}
