//! How is a remote service called for somebody who has long gone: with which token, and when is it refreshed?
//!
//! The refresh token is the visitor's, as the proxy forwarded it. A provider may send another one with each refresh or
//! none at all; the newest known one counts. (Where it rotates them, proxy and service spend the same one: let one of
//! the two refresh, or give the service an account of its own.)

use std::fmt;
use std::time::Duration;

use jeton_guard::{Forwarded, Secret};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use url::Url;

use crate::settings::address;

const DOCUMENT: &str = "/.well-known/openid-configuration";
const MOST_BYTES: usize = 256 * 1024;

/// Calls the remote service, and asks the provider for new tokens.
pub(crate) struct Caller {
    pub(crate) http: reqwest::Client,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) remote: Url,
    pub(crate) interval: Duration,
    pub(crate) calls: u32,
}

/// A visitor's, as new as known.
pub(crate) struct Tokens {
    subject: String,
    access_token: Secret,
    refresh_token: Option<Secret>,
    /// None where a refresh did not say.
    ends: Option<OffsetDateTime>,
}

/// What came of the calls for one visitor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) subject: String,
    pub(crate) calls: u32,
    pub(crate) good: u32,
    pub(crate) refreshes: u32,
    /// Why it ended early.
    pub(crate) ended: Option<&'static str>,
}

/// Why there is no answer, without anything secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no answer: {0}")]
    Transport(reqwest::Error),
    #[error("the provider refused the refresh with {0}")]
    Refused(StatusCode),
    #[error("the provider's answer cannot be used: {0}")]
    Answer(&'static str),
}

impl Tokens {
    pub(crate) fn of(person: Forwarded) -> Self {
        Self {
            subject: person.claims.subject.clone(),
            ends: Some(person.claims.expires_at),
            access_token: person.access_token,
            refresh_token: person.refresh_token,
        }
    }

    fn end_before(&self, time: OffsetDateTime) -> bool {
        self.ends.is_some_and(|ends| ends <= time)
    }

    /// What an answer leaves out stays as it was.
    fn renew(&mut self, answer: Refreshed, now: OffsetDateTime) {
        self.access_token = Secret::new(answer.access_token);
        self.ends = answer.expires_in.map(|left| now + Duration::from_secs(left.into()));
        if let Some(refresh_token) = answer.refresh_token {
            self.refresh_token = Some(Secret::new(refresh_token));
        }
    }
}

/// An answer to a refresh (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Refreshed {
    access_token: String,
    expires_in: Option<u32>,
    refresh_token: Option<String>,
}

impl Caller {
    /// One call with this token.
    #[expect(clippy::disallowed_methods, reason = "the token goes into the Authorization header of the call")]
    pub(crate) async fn call(&self, token: &Secret) -> Result<StatusCode, CallError> {
        let request = self.http.get(self.remote.clone()).bearer_auth(token.expose_secret());
        Ok(request.send().await.map_err(transport)?.status())
    }

    /// Calls as often as is set, with a token that lives.
    pub(crate) async fn call_on(&self, mut tokens: Tokens) -> Report {
        let mut report = Report { subject: tokens.subject.clone(), ..Report::default() };
        for number in 1..=self.calls {
            tokio::time::sleep(self.interval).await;
            if tokens.end_before(now() + Duration::from_secs(1))
                && !self.refresh(&mut tokens, &mut report).await
            {
                report.ended = Some("the token has ended and could not be refreshed");
                break;
            }
            report.calls = number;
            match self.try_twice(&mut tokens, &mut report).await {
                Ok(status) => {
                    report.good += u32::from(status.is_success());
                    tracing::info!("call {number} in the background: {status}");
                }
                Err(error) => tracing::warn!("call {number} in the background: {error}"),
            }
        }
        report
    }

    /// A token that is refused is refreshed once: it may have been withdrawn, or a clock may be wrong.
    async fn try_twice(&self, tokens: &mut Tokens, report: &mut Report) -> Result<StatusCode, CallError> {
        let status = self.call(&tokens.access_token).await?;
        if status == StatusCode::UNAUTHORIZED && self.refresh(tokens, report).await {
            return self.call(&tokens.access_token).await;
        }
        Ok(status)
    }

    async fn refresh(&self, tokens: &mut Tokens, report: &mut Report) -> bool {
        match self.ask(tokens).await {
            Ok(answer) => {
                tokens.renew(answer, now());
                report.refreshes += 1;
                true
            }
            Err(error) => {
                tracing::warn!("the token was not refreshed: {error}");
                false
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "refresh token and client secret go into the token request"
    )]
    async fn ask(&self, tokens: &Tokens) -> Result<Refreshed, CallError> {
        #[derive(Deserialize)]
        struct Document {
            token_endpoint: String,
        }
        let refresh_token =
            tokens.refresh_token.as_ref().ok_or(CallError::Answer("there is no refresh token"))?;
        let issuer = self.issuer.strip_suffix(DOCUMENT).unwrap_or(&self.issuer).trim_end_matches('/');
        let document = self.http.get(format!("{issuer}{DOCUMENT}")).send().await.map_err(transport)?;
        let document: Document = read(document).await?;
        let endpoint = address(&document.token_endpoint)
            .map_err(|_| CallError::Answer("its token endpoint is no address for tokens"))?;
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", &self.client_id),
        ];
        form.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.expose_secret())));
        let answer = self.http.post(endpoint).form(&form).send().await.map_err(transport)?;
        if !answer.status().is_success() {
            return Err(CallError::Refused(answer.status()));
        }
        read(answer).await
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, calls, good, refreshes, ended } = self;
        write!(f, "{subject}: {calls} calls in the background, {good} good, {refreshes} refreshes")?;
        ended.map_or(Ok(()), |why| write!(f, "; {why}"))
    }
}

async fn read<T: DeserializeOwned>(mut response: Response) -> Result<T, CallError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_BYTES {
            return Err(CallError::Answer("it is too long"));
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| CallError::Answer("a field is missing or it is not JSON"))
}

fn transport(error: reqwest::Error) -> CallError {
    CallError::Transport(error.without_url())
}

#[expect(clippy::disallowed_methods, reason = "a program of its own has no other clock")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, apart from the server's `outbound`")]
pub(crate) fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.connect_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(15)).build()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
    use serde_json::{Value, json};

    use super::*;

    /// A provider that answers one refresh after the other, and a remote service; what they were sent.
    #[derive(Clone, Default)]
    struct World {
        answers: Arc<Mutex<Vec<Value>>>,
        refused: Arc<Mutex<Vec<&'static str>>>,
        refreshed: Arc<Mutex<Vec<String>>>,
        called: Arc<Mutex<Vec<String>>>,
    }

    impl World {
        fn start(&self) -> Caller {
            let world = self.clone();
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::new(world.clone()))
                    .route(DOCUMENT, web::get().to(document))
                    .route("/token", web::post().to(token))
                    .route("/remote", web::get().to(remote))
            });
            let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
            let issuer = format!("http://{}", server.addrs()[0]);
            actix_web::rt::spawn(server.run());
            Caller {
                http: http_client().unwrap(),
                remote: Url::parse(&format!("{issuer}/remote")).unwrap(),
                issuer,
                client_id: "shop".to_owned(),
                client_secret: Some(Secret::new("s")),
                interval: Duration::ZERO,
                calls: 3,
            }
        }
    }

    async fn document(request: HttpRequest) -> web::Json<Value> {
        let url = format!("http://{}", request.connection_info().host());
        web::Json(json!({"token_endpoint": format!("{url}/token")}))
    }

    async fn token(form: web::Form<Vec<(String, String)>>, world: web::Data<World>) -> HttpResponse {
        let sent: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        world.refreshed.lock().unwrap().push(sent.join("&"));
        let mut answers = world.answers.lock().unwrap();
        if answers.is_empty() {
            return HttpResponse::BadRequest().json(json!({"error": "invalid_grant"}));
        }
        HttpResponse::Ok().json(answers.remove(0))
    }

    async fn remote(request: HttpRequest, world: web::Data<World>) -> HttpResponse {
        let token =
            request.headers().get("authorization").unwrap().to_str().unwrap()["Bearer ".len()..].to_owned();
        let refused = world.refused.lock().unwrap().contains(&token.as_str());
        world.called.lock().unwrap().push(token);
        if refused { HttpResponse::Unauthorized() } else { HttpResponse::Ok() }.finish()
    }

    fn tokens(left_s: i64) -> Tokens {
        Tokens {
            subject: "ada".to_owned(),
            access_token: Secret::new("a-0"),
            refresh_token: Some(Secret::new("r-0")),
            ends: Some(now() + time::Duration::seconds(left_s)),
        }
    }

    const SENT: &str = "grant_type=refresh_token&refresh_token=r-0&client_id=shop&client_secret=s";

    #[actix_web::test]
    async fn a_token_that_lives_is_not_refreshed() {
        let world = World::default();
        let report = world.start().call_on(tokens(60)).await;
        assert_eq!(report.to_string(), "ada: 3 calls in the background, 3 good, 0 refreshes");
        assert_eq!(*world.called.lock().unwrap(), ["a-0", "a-0", "a-0"]);
    }

    #[actix_web::test]
    async fn without_a_new_refresh_token_the_old_one_goes_on() {
        let world = World::default();
        *world.answers.lock().unwrap() = vec![
            json!({"access_token": "a-1", "expires_in": 0}),
            json!({"access_token": "a-2", "expires_in": 60}),
        ];
        let report = world.start().call_on(tokens(0)).await;
        assert_eq!(report.to_string(), "ada: 3 calls in the background, 3 good, 2 refreshes");
        assert_eq!(*world.called.lock().unwrap(), ["a-1", "a-2", "a-2"]);
        assert_eq!(*world.refreshed.lock().unwrap(), [SENT, SENT]);
    }

    #[actix_web::test]
    async fn a_new_refresh_token_takes_the_place_of_the_old_one() {
        let world = World::default();
        let answer = |n: u32, left: u32| json!({"access_token": format!("a-{n}"), "refresh_token": format!("r-{n}"), "expires_in": left});
        *world.answers.lock().unwrap() = vec![answer(1, 0), answer(2, 0), answer(3, 60)];
        let report = world.start().call_on(tokens(0)).await;
        assert_eq!((report.good, report.refreshes), (3, 3));
        let sent = ["r-0", "r-1", "r-2"].map(|token| SENT.replace("r-0", token));
        assert_eq!(*world.refreshed.lock().unwrap(), sent);
    }

    #[actix_web::test]
    async fn a_refused_token_is_refreshed_once() {
        let world = World::default();
        world.refused.lock().unwrap().push("a-0");
        world.answers.lock().unwrap().push(json!({"access_token": "a-1"}));
        let report = world.start().call_on(tokens(60)).await;
        assert_eq!((report.good, report.refreshes), (3, 1));
        assert_eq!(*world.called.lock().unwrap(), ["a-0", "a-1", "a-1", "a-1"]);
        let world = World::default();
        world.refused.lock().unwrap().push("a-0");
        let report = world.start().call_on(tokens(60)).await;
        assert_eq!(report.to_string(), "ada: 3 calls in the background, 0 good, 0 refreshes");
    }

    #[actix_web::test]
    async fn without_a_way_to_refresh_it_ends_with_the_token() {
        let world = World::default();
        let ended = "ada: 0 calls in the background, 0 good, 0 refreshes; the token has ended and could not be refreshed";
        assert_eq!(world.start().call_on(tokens(0)).await.to_string(), ended);
        let report = world.start().call_on(Tokens { refresh_token: None, ..tokens(0) }).await;
        assert_eq!(report.to_string(), ended);
        assert!(world.called.lock().unwrap().is_empty());
    }
}
