//! How does a person's program speak to the authorization server, as a client without a secret?

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use url::{Url, form_urlencoded};

use super::store::address;
use super::{Login, LoginError, after, now};
use crate::broker::{self, Answer, join};
use crate::error::Error;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::settings::{base_url, check_scheme};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A public client of a broker (RFC 6749 §2.1): it has an id and no secret, and acts for a person.
#[derive(Clone, Debug)]
pub struct LoginClient {
    http: reqwest::Client,
    url: Url,
    client_id: String,
}

/// A device flow that was begun (RFC 8628 §3.2).
#[derive(Debug)]
pub struct Device {
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: Url,
    /// The same address with the code filled in.
    pub verification_uri_complete: Option<Url>,
    /// When the codes end.
    pub until: Instant,
    device_code: Secret,
    interval: Duration,
}

/// What one poll brought.
#[derive(Debug)]
pub enum Polled {
    /// The person said yes.
    Login(Box<Login>),
    /// The person has not answered.
    Pending,
    /// And the next polls should lie further apart.
    SlowDown,
    /// The broker was not reached or is not well.
    Unreached,
}

impl LoginClient {
    /// Prepares the calls; sends nothing yet.
    ///
    /// # Errors
    /// When the URL is none, or plain http to another machine.
    pub fn new(url: &str, client_id: &str, plain_http: bool) -> Result<Self, Error> {
        let url = base_url(url)?;
        check_scheme(&url, plain_http)?;
        Ok(Self { http: broker::http_client(TIMEOUT)?, url, client_id: client_id.to_owned() })
    }

    pub(crate) fn of(http: &reqwest::Client, login: &Login) -> Self {
        Self { http: http.clone(), url: login.url.clone(), client_id: login.client_id.clone() }
    }

    /// The broker.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Begins a device flow; without `scope` for all that the client may have.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn begin(&self, scope: Option<&str>) -> Result<Device, Error> {
        let form: Vec<_> = scope.map(|scope| ("scope", scope)).into_iter().collect();
        let answer = self.post("device_authorization", &form).await?;
        let body: DeviceAnswer = success(&answer)?.parse("device_authorization")?;
        body.device(&self.url)
    }

    /// Asks whether the person has answered.
    ///
    /// # Errors
    /// Where there is no use in asking again.
    pub async fn poll(&self, device: &Device) -> Result<Polled, Error> {
        let form = [("grant_type", DEVICE_CODE), ("device_code", exposed(&device.device_code))];
        let answer = match self.post("token", &form).await {
            Ok(answer) => answer,
            Err(Error::Transport(_)) => return Ok(Polled::Unreached),
            Err(error) => return Err(error),
        };
        if answer.status == 200 {
            return Ok(Polled::Login(Box::new(self.login(&answer, None)?)));
        }
        let problem = Problem::read_oauth(answer.status, answer.retry_after, &answer.body);
        match problem.code.as_str() {
            "authorization_pending" => Ok(Polled::Pending),
            "slow_down" => Ok(Polled::SlowDown),
            _ if answer.status >= 500 || answer.status == 429 => Ok(Polled::Unreached),
            _ => Err(problem.into()),
        }
    }

    /// Polls until the person has answered, at the pace that the broker sets (RFC 8628 §3.5).
    ///
    /// # Errors
    /// When the person said no, or nothing in time.
    pub async fn wait(&self, device: &Device) -> Result<Login, Error> {
        self.wait_by(device, tokio::time::sleep).await
    }

    /// The same, where a test sleeps through an hour at once.
    pub(crate) async fn wait_by(
        &self,
        device: &Device,
        mut sleep: impl AsyncFnMut(Duration),
    ) -> Result<Login, Error> {
        let mut interval = device.interval;
        loop {
            let left = device.until.saturating_duration_since(Instant::now());
            sleep(interval.min(left)).await;
            if left.is_zero() {
                return Err(Problem::read_oauth(400, None, EXPIRED).into());
            }
            match self.poll(device).await? {
                Polled::Login(login) => return Ok(*login),
                Polled::Pending => {}
                // For this and all polls after it.
                Polled::SlowDown => interval += Duration::from_secs(5),
                Polled::Unreached => interval = interval.saturating_mul(2).min(Duration::from_secs(60)),
            }
        }
    }

    /// Where a browser is sent for a code (RFC 6749 §4.1.1, RFC 7636).
    ///
    /// # Errors
    /// When the broker's URL cannot have a path.
    pub fn authorization_url(
        &self,
        redirect_uri: &str,
        state: &str,
        code_challenge: &str,
        scope: Option<&str>,
    ) -> Result<Url, Error> {
        let mut url = join(&self.url, &["o", "authorize", ""])?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state)
            .append_pair("code_challenge", code_challenge)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(scope.map(|scope| ("scope", scope)));
        Ok(url)
    }

    /// What a browser brought to the redirect address: a code, or a refusal (RFC 6749 §4.1.2). None where it is no
    /// answer of this broker (RFC 9207) to the request with this `state`; then the right one may still come.
    pub fn code(&self, query: &str, state: &str) -> Option<Result<Secret, Error>> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let only = |name: &str| {
            let mut values = pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_ref());
            values.next().filter(|_| values.next().is_none())
        };
        let ours = only("state") == Some(state);
        let from_here = only("iss").is_some_and(|iss| iss.trim_end_matches('/') == address(&self.url));
        if !ours || !from_here {
            return None;
        }
        if let Some(code) = only("code").filter(|code| is_token(code)) {
            return Some(Ok(Secret::new(code)));
        }
        let body = json!({"error": only("error")?, "error_description": only("error_description")});
        Some(Err(Problem::read_oauth(400, None, body.to_string().as_bytes()).into()))
    }

    /// Redeems a code.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn redeem(&self, code: &Secret, verifier: &Secret, redirect_uri: &str) -> Result<Login, Error> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", exposed(code)),
            ("code_verifier", exposed(verifier)),
            ("redirect_uri", redirect_uri),
        ];
        let answer = self.post("token", &form).await?;
        self.login(success(&answer)?, None)
    }

    /// Spends the refresh token of `login`. Whoever calls this keeps the answer before anything else.
    pub(crate) async fn refresh(&self, login: &Login) -> Result<Login, Error> {
        let ended = || Error::Login(LoginError::Ended(address(&self.url)));
        let token = login.refresh_token.as_ref().ok_or_else(ended)?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", exposed(token))];
        let answer = self.post("token", &form).await?;
        if answer.status != 200 {
            let problem = Problem::read_oauth(answer.status, answer.retry_after, &answer.body);
            return Err(if problem.code == "invalid_grant" { ended() } else { problem.into() });
        }
        self.login(&answer, Some(login))
    }

    /// Ends a refresh or access token, and all of its grant (RFC 7009).
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn revoke(&self, token: &Secret) -> Result<(), Error> {
        let answer = self.post("revoke_token", &[("token", exposed(token))]).await?;
        success(&answer).map(|_| ())
    }

    async fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Result<Answer, Error> {
        let mut form = form.to_vec();
        form.push(("client_id", &self.client_id));
        let url = join(&self.url, &["o", endpoint, ""])?;
        broker::exchange(self.http.post(url).form(&form)).await
    }

    /// Reads a token answer; `before` is the sign-in that was refreshed.
    fn login(&self, answer: &Answer, before: Option<&Login>) -> Result<Login, Error> {
        let body: TokenAnswer = answer.parse("token")?;
        let good = |token: &Secret| is_token(exposed(token));
        let all = [Some(&body.access_token), body.refresh_token.as_ref(), body.id_token.as_ref()];
        if !body.token_type.eq_ignore_ascii_case("bearer") || !all.into_iter().flatten().all(good) {
            return Err(Error::Garbled("token"));
        }
        let old = before.and_then(|login| login.refresh_token.clone());
        let scope = body.scope.or_else(|| before.map(|login| login.scope.clone()));
        Ok(Login {
            url: self.url.clone(),
            client_id: self.client_id.clone(),
            scope: scope.unwrap_or_default(),
            access_token: body.access_token,
            expires_at: after(now(), body.expires_in),
            // RFC 6749 §6: where none comes, the old one goes on.
            refresh_token: body.refresh_token.or(old),
            id_token: body.id_token,
        })
    }
}

const EXPIRED: &[u8] = br#"{"error":"expired_token","error_description":"nobody said yes in time"}"#;

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    token_type: String,
    expires_in: u64,
    scope: Option<String>,
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: Secret,
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    expires_in: u64,
    interval: Option<u64>,
}

impl DeviceAnswer {
    fn device(self, broker: &Url) -> Result<Device, Error> {
        let garbled = Error::Garbled("device_authorization");
        // A page that a person is told to open is https, or as plain as the broker itself.
        let shown = |url: &Url| url.scheme() == "https" || url.scheme() == broker.scheme();
        let pages = [Some(&self.verification_uri), self.verification_uri_complete.as_ref()];
        let readable =
            |code: &str| (1..=64).contains(&code.len()) && code.chars().all(|c| c.is_ascii_graphic());
        if !pages.into_iter().flatten().all(shown) || !readable(&self.user_code) {
            return Err(garbled);
        }
        let life = Duration::from_secs(self.expires_in.min(3600));
        let interval = Duration::from_secs(self.interval.unwrap_or(5).clamp(1, 60));
        Ok(Device {
            user_code: self.user_code,
            verification_uri: self.verification_uri,
            verification_uri_complete: self.verification_uri_complete,
            until: Instant::now().checked_add(life).ok_or(garbled)?,
            device_code: self.device_code,
            interval,
        })
    }
}

/// RFC 6750's characters are fewer; none of these can leave its line or header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

fn success(answer: &Answer) -> Result<&Answer, Error> {
    match answer.status {
        200 => Ok(answer),
        status => Err(Problem::read_oauth(status, answer.retry_after, &answer.body).into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "codes and tokens go into the form to the broker that issues them"
)]
fn exposed(secret: &Secret) -> &str {
    secret.expose_secret()
}
