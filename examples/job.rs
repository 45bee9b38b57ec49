//! What does an extraction job need beside its API: a token that stays good, one more token after a refusal,
//! patience with limits, and an exit code that says what to do?

pub(crate) mod error;
pub(crate) mod sink;
#[cfg(test)]
pub(crate) mod trial;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use jeton_client::{Broker, BrokerSettings, HandedToken, TokenRequest};
use reqwest::header::{ACCEPT, HeaderMap};
use serde_json::Value;
use url::{Host, Url};

use error::JobError;

/// The longest pause for a limit; a longer one ends the job with "try again later".
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const FOREIGN: JobError = JobError::Data("its next page is on another host");
const ATTEMPTS: u32 = 4;
const PAGE_LIMIT: usize = 64 * 1024 * 1024;

/// What every job is told.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The app whose token is used
    #[arg(long)]
    app: String,
    /// The connector, where it is not named like the API
    #[arg(long)]
    connector: Option<String>,
    /// Which connection, where the app has several
    #[arg(long)]
    flow: Option<String>,
    /// Seconds the token must live at least
    #[arg(long)]
    min_ttl: Option<u32>,
    /// Write here, whole or not at all, instead of to standard output
    #[arg(long)]
    pub(crate) out: Option<std::path::PathBuf>,
}

/// What differs from API to API.
pub(crate) struct Api {
    pub(crate) connector: &'static str,
    pub(crate) base: Url,
    pub(crate) accept: &'static str,
    /// Statuses that may mean "this token is no longer good".
    pub(crate) refusals: &'static [u16],
    /// How long to wait when the limit is used up, given the seconds since 1970.
    pub(crate) pause: fn(&HeaderMap, i64) -> Option<Duration>,
}

/// A page of the API.
pub(crate) type Page = (HeaderMap, Value);

/// A running job.
pub(crate) struct Job {
    api: Api,
    broker: Broker,
    http: reqwest::Client,
    args: JobArgs,
    token: HandedToken,
    due: Option<Instant>,
    not_before: Option<Instant>,
}

impl Job {
    /// Gets the first token.
    pub(crate) async fn start(broker: Broker, args: JobArgs, api: Api) -> Result<Self, JobError> {
        let connector = args.connector.as_deref().unwrap_or(api.connector);
        let token = broker.retrieve_token(&args.app, connector, &args.request(None)).await?;
        let due = due_of(&token);
        Ok(Self { api, broker, http: http_client()?, args, token, due, not_before: None })
    }

    /// Where the API starts, with `segments` after its own path.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.api.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A link that the API gave, if it may be sent the token.
    pub(crate) fn follow(&self, link: &str) -> Result<Url, JobError> {
        let url = Url::parse(link).map_err(|_| FOREIGN)?;
        if url.origin() == self.api.base.origin() { Ok(url) } else { Err(FOREIGN) }
    }

    /// Reads one page: waits for limits, repeats after a failure of the API, and asks the broker once more
    /// after a refusal. A second refusal ends the job: many bad tokens lock an account out.
    pub(crate) async fn get(&mut self, url: &Url) -> Result<Page, JobError> {
        let (mut attempts, mut asked_again) = (1, false);
        loop {
            self.make_ready().await?;
            let response = match self.send(url).await {
                Ok(response) => response,
                Err(_) if attempts < ATTEMPTS => {
                    self.rest(doubled(attempts));
                    attempts += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let status = response.status().as_u16();
            let pause = (self.api.pause)(response.headers(), now_s());
            if response.status().is_success() {
                pause.into_iter().for_each(|pause| self.rest(pause));
                return read(response).await;
            }
            match (pause, status) {
                (Some(_), _) | (None, 429 | 500..) => {
                    let pause = pause.unwrap_or_else(|| doubled(attempts));
                    if attempts == ATTEMPTS || pause > LONGEST_PAUSE {
                        return Err(JobError::Busy(status));
                    }
                    attempts += 1;
                    self.rest(pause);
                }
                (None, status) if !self.api.refusals.contains(&status) => return Err(JobError::Api(status)),
                (None, status) if asked_again => return Err(JobError::Refused(status)),
                (None, _) => {
                    asked_again = true;
                    self.retrieve(Some(self.token.generation)).await?;
                }
            }
        }
    }

    /// Waits where a limit said so, and replaces a token that is about to end.
    async fn make_ready(&mut self) -> Result<(), JobError> {
        if let Some(at) = self.not_before.take() {
            if at > Instant::now() + LONGEST_PAUSE {
                return Err(JobError::Busy(429));
            }
            tokio::time::sleep_until(at.into()).await;
        }
        if self.due.is_some_and(|due| Instant::now() >= due) {
            self.retrieve(None).await?;
        }
        Ok(())
    }

    async fn retrieve(&mut self, rejected: Option<u64>) -> Result<(), JobError> {
        let connector = self.args.connector.as_deref().unwrap_or(self.api.connector);
        let request = self.args.request(rejected);
        self.token = self.broker.retrieve_token(&self.args.app, connector, &request).await?;
        self.due = due_of(&self.token);
        Ok(())
    }

    fn rest(&mut self, pause: Duration) {
        self.not_before = Instant::now().checked_add(pause);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the token goes into the Authorization header of the API call"
    )]
    async fn send(&self, url: &Url) -> Result<reqwest::Response, reqwest::Error> {
        let request = self.http.get(url.clone()).header(ACCEPT, self.api.accept);
        request.bearer_auth(self.token.access_token.expose_secret()).send().await
    }
}

impl JobArgs {
    fn request(&self, rejected: Option<u64>) -> TokenRequest {
        TokenRequest { flow: self.flow.clone(), min_ttl_s: self.min_ttl, rejected, wait_s: None }
    }
}

/// Parses `--api-base`: https, or plain http on loopback.
pub(crate) fn api_base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => Err("a token is sent over https, or to loopback".to_owned()),
    }
}

/// The broker that the environment names.
pub(crate) async fn broker() -> Result<Broker, JobError> {
    Ok(Broker::new(BrokerSettings::from_env().await?)?)
}

/// Runs the job and turns its end into an exit code.
pub(crate) fn run(job: impl Future<Output = Result<(), JobError>>) -> ExitCode {
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(JobError::from)
        .and_then(|runtime| runtime.block_on(job));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::from(error.exit_code())
        }
    }
}

/// A number in a header.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The time until `reset` (seconds since 1970), from one second on: clocks differ.
pub(crate) fn until(reset: i64, now_s: i64) -> Duration {
    Duration::from_secs(u64::try_from(reset.saturating_sub(now_s)).unwrap_or(0).saturating_add(1))
}

fn due_of(token: &HandedToken) -> Option<Instant> {
    let left = Duration::from_secs(u64::try_from(token.expires_in?).unwrap_or(0));
    Instant::now().checked_add(left.saturating_sub(Duration::from_secs(30).min(left / 5)))
}

fn doubled(attempts: u32) -> Duration {
    Duration::from_millis(250).saturating_mul(1 << attempts.min(8))
}

async fn read(mut response: reqwest::Response) -> Result<Page, JobError> {
    let headers = std::mem::take(response.headers_mut());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > PAGE_LIMIT {
            return Err(JobError::Data("a page is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    let body = serde_json::from_slice(&bytes).map_err(|_| JobError::Data("a page is not JSON"))?;
    Ok((headers, body))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a reset header is wall-clock time, and a job has no other clock"
)]
fn now_s() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a job is a program of its own, apart from the server's `outbound`"
)]
fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60))
        .user_agent("jeton-example-job")
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_https_or_loopback() {
        assert!(api_base("https://api.example.com").is_ok());
        assert!(api_base("http://127.0.0.1:8090/aircall").is_ok());
        assert!(api_base("http://api.example.com").is_err());
    }

    #[test]
    fn a_reset_in_the_past_is_over_in_a_second() {
        assert_eq!(until(100, 90), Duration::from_secs(11));
        assert_eq!(until(100, 500), Duration::from_secs(1));
    }
}
