//! What does the job see? A token by two calls, one refresh however many ask, and an error that says what to do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jeton_client::{Broker, BrokerSettings};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::deviation;
use super::person::ACCOUNT;
use super::setup::{JobClient, call, text};
use super::stage::{PROVIDER_CLIENT, Stage, TOKEN_LIFE};
use super::tell::{Teller, form_fields, json_fields};
use super::wire::{Body, Seen, Wire};
use crate::cli::Error;
use crate::cli::remote::failing;

const CALLERS: usize = 50;
const ROUTE: [&str; 3] = ["acme", "sandbox", "binb-token"];
const PATH: &str = "/acme/sandbox/binb-token";
/// What is shown of a handed token.
const TOKEN: [&str; 6] =
    ["access_token", "expires_in", "guaranteed_until", "generation", "refreshed", "degraded"];
/// What must be the same for all callers at one time.
const SAME: [&str; 5] = ["access_token", "expires_at", "guaranteed_until", "scope", "generation"];

/// The job, with what it holds.
pub(super) struct Job {
    wire: Wire,
    bearer: String,
    /// The same client through the client library.
    library: Broker,
    /// The provider's token.
    token: String,
}

impl Job {
    /// Gets a bearer of the broker, and with it the first token.
    pub(super) async fn start(stage: &Stage, client: JobClient, teller: &mut Teller) -> Result<Self, Error> {
        let settings = BrokerSettings::new(stage.broker.as_str(), client.id.as_str(), client.secret.clone())?;
        let library = Broker::new(settings).map_err(failing("cannot reach the broker"))?;
        let mut wire = Wire::new()?;
        let bearer = sign_in(stage, &client, &mut wire, teller).await?;
        let mut job = Self { wire, bearer, library, token: String::new() };
        job.fetch(stage, 1, teller).await?;
        Ok(job)
    }

    /// Fetches a token of the generation that it must be, and shows the API that it works.
    pub(super) async fn fetch(
        &mut self,
        stage: &Stage,
        generation: u64,
        teller: &mut Teller,
    ) -> Result<(), Error> {
        let answer = self.ask(stage, teller).await?;
        let value = answer.json();
        teller.came(answer.status, &json_fields(&value, &TOKEN))?;
        if answer.status != 200 || value.get("generation").and_then(Value::as_u64) != Some(generation) {
            return Err(deviation(format!("the job did not get a token of generation {generation}")));
        }
        text(&value, "access_token")?.clone_into(&mut self.token);
        self.use_token(stage, 200, teller).await
    }

    /// Calls the provider's API with the token the job has.
    pub(super) async fn use_token(
        &mut self,
        stage: &Stage,
        expected: u16,
        teller: &mut Teller,
    ) -> Result<(), Error> {
        let url = stage.at_provider("/api/whoami")?;
        let authorization = format!("Bearer {}", self.token);
        teller.sent(&Method::GET, &url, &shown_authorization(&authorization))?;
        let answer = self.wire.send(Method::GET, &url, Some(&authorization), Body::None).await?;
        teller.came(answer.status, &json_fields(&answer.json(), &["user", "scope", "error"]))?;
        if answer.status == expected {
            return Ok(());
        }
        Err(deviation(format!("the provider's API answered {} instead of {expected}", answer.status)))
    }

    /// Many at once; one refresh for all of them.
    pub(super) async fn crowd(&mut self, stage: &Stage, teller: &mut Teller) -> Result<(), Error> {
        teller.say(&format!(
            "{CALLERS} callers at once, through the client library (jeton-client); each sends"
        ))?;
        teller.sent(&Method::GET, &stage.at(PATH)?, &[])?;
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let library = self.library.clone();
            callers.spawn(async move { call(&library, Method::GET, &ROUTE, None).await });
        }
        let answers = callers.join_all().await.into_iter().collect::<Result<Vec<_>, Error>>()?;
        let answers: Vec<Value> = answers.into_iter().map(|(_, answer)| answer).collect();
        let first = same(&answers).map_err(deviation)?;
        teller.came(200, &json_fields(first, &TOKEN))?;
        let own = text(first, "access_token")?;
        if own == self.token {
            return Err(deviation("the expired token was handed out again".to_owned()));
        }
        own.clone_into(&mut self.token);
        teller.proved(&format!("{CALLERS} answers of 200, all with the same token"))?;
        self.use_token(stage, 200, teller).await?;
        self.audit(stage, teller).await
    }

    /// Asks the provider's own book how often each refresh token was spent.
    async fn audit(&mut self, stage: &Stage, teller: &mut Teller) -> Result<(), Error> {
        let url = stage.at_provider("/_sandbox/ledger")?;
        teller.sent(&Method::GET, &url, &["(the provider's own book)".to_owned()])?;
        let answer = self.wire.send(Method::GET, &url, None, Body::None).await?;
        let ledger = answer.json();
        teller.came(answer.status, &told(&ledger))?;
        judge(&ledger).map_err(deviation)?;
        teller.proved("one refresh for all of them, one spend of the refresh token")?;
        Ok(())
    }

    /// What the job is told when nobody but a person can help; gives the address where that person consents.
    pub(super) async fn is_told_to_reauthorize(
        &mut self,
        stage: &Stage,
        teller: &mut Teller,
    ) -> Result<(), Error> {
        let answer = self.ask(stage, teller).await?;
        let value = answer.json();
        let shown = ["code", "action", "reason", "account", "connected_by", "signup_url"];
        teller.came(answer.status, &json_fields(&value, &shown))?;
        let right = answer.status == 409
            && value.get("code") == Some(&json!("reauthorization_required"))
            && value.get("signup_url").is_some_and(Value::is_string);
        if right {
            return Ok(());
        }
        Err(deviation("a revoked grant was not answered with 409 reauthorization_required".to_owned()))
    }

    async fn ask(&mut self, stage: &Stage, teller: &mut Teller) -> Result<Seen, Error> {
        let (url, authorization) = (stage.at(PATH)?, format!("Bearer {}", self.bearer));
        teller.sent(&Method::GET, &url, &shown_authorization(&authorization))?;
        self.wire.send(Method::GET, &url, Some(&authorization), Body::None).await
    }
}

/// Lets every token of the provider end.
pub(super) fn let_time_pass(stage: &Stage, teller: &mut Teller) -> Result<(), Error> {
    let minutes = TOKEN_LIFE.whole_minutes() + 1;
    stage.clock.advance(time::Duration::minutes(minutes));
    Ok(teller.say(&format!("(the clock of broker and provider moves on by {minutes} minutes)"))?)
}

/// Sends the provider a control message and shows what came back.
pub(super) async fn tell_provider(
    stage: &Stage,
    method: Method,
    path: &str,
    body: &Value,
    teller: &mut Teller,
) -> Result<(), Error> {
    let url = stage.at_provider(path)?;
    let names: Vec<&str> = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    teller.sent(&method, &url, &json_fields(body, &names))?;
    let answer = Wire::new()?.send(method, &url, None, Body::Json(body)).await?;
    teller.came(answer.status, &json_fields(&answer.json(), &["revoked", "error"]))?;
    if answer.status == 200 { Ok(()) } else { Err(deviation(format!("{path} answered {}", answer.status))) }
}

/// The person takes the grant back on the provider's side.
pub(super) async fn revoke(stage: &Stage, teller: &mut Teller) -> Result<(), Error> {
    tell_provider(stage, Method::POST, "/_sandbox/revoke", &json!({"user": ACCOUNT}), teller).await
}

async fn sign_in(
    stage: &Stage,
    client: &JobClient,
    wire: &mut Wire,
    teller: &mut Teller,
) -> Result<String, Error> {
    let url = stage.at("/o/token/")?;
    let form = [("grant_type".to_owned(), "client_credentials".to_owned())];
    let mut carried = form_fields(form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    carried.push("Authorization: Basic (client id and secret)".to_owned());
    teller.sent(&Method::POST, &url, &carried)?;
    #[expect(clippy::disallowed_methods, reason = "door: the secret goes into the Authorization header")]
    let pair = format!("{}:{}", client.id, client.secret.expose_secret());
    let authorization = format!("Basic {}", STANDARD.encode(pair));
    let answer = wire.send(Method::POST, &url, Some(&authorization), Body::Form(&form)).await?;
    let value = answer.json();
    teller
        .came(answer.status, &json_fields(&value, &["access_token", "token_type", "expires_in", "scope"]))?;
    Ok(text(&value, "access_token")?.to_owned())
}

fn shown_authorization(authorization: &str) -> Vec<String> {
    let words = authorization.split(' ').map(super::tell::shortened);
    vec![format!("Authorization: {}", words.collect::<Vec<_>>().join(" "))]
}

/// The answer that all are.
fn same(answers: &[Value]) -> Result<&Value, String> {
    let first = answers.first().ok_or("nobody was answered")?;
    let differs = |name: &&&str| answers.iter().any(|answer| answer.get(**name) != first.get(**name));
    match SAME.iter().find(differs) {
        None => Ok(first),
        Some(name) => Err(format!("{CALLERS} callers at once did not get the same `{name}`")),
    }
}

/// One line for each refresh token.
fn told(ledger: &Value) -> Vec<String> {
    let line = |(place, entry): (usize, &Value)| {
        let presented = match entry.get("presented").and_then(Value::as_u64) {
            Some(0) => "not presented yet".to_owned(),
            Some(1) => "presented once".to_owned(),
            times => format!("presented {} times", times.unwrap_or_default()),
        };
        format!("refresh token {}: {presented}", place + 1)
    };
    own_tokens(ledger).into_iter().enumerate().map(line).collect()
}

/// At most one spend of each refresh token: here one token spent once, and its heir unspent.
fn judge(ledger: &Value) -> Result<(), String> {
    let presented = |entry: &&Value| entry.get("presented").and_then(Value::as_u64);
    let spends: Vec<_> = own_tokens(ledger).iter().map(presented).collect();
    if spends == [Some(1), Some(0)] {
        return Ok(());
    }
    Err(format!("the provider's book does not show one spend of one refresh token: {:?}", told(ledger)))
}

fn own_tokens(ledger: &Value) -> Vec<&Value> {
    let all = ledger.get("refresh_tokens").and_then(Value::as_array);
    let is_ours = |entry: &&Value| entry.get("client_id") == Some(&json!(PROVIDER_CLIENT.0));
    all.into_iter().flatten().filter(is_ours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(presented: &[u64]) -> Value {
        let entry =
            |times: &u64| json!({"client_id": "sandbox-standard", "presented": times, "live": *times == 0});
        json!({"refresh_tokens": presented.iter().map(entry).collect::<Vec<_>>()})
    }

    #[test]
    fn a_second_spend_is_found() {
        assert_eq!(judge(&ledger(&[1, 0])), Ok(()));
        for wrong in [&[2, 0][..], &[1, 1, 0], &[1], &[0], &[]] {
            assert!(judge(&ledger(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn answers_that_differ_are_found() {
        let one = json!({"access_token": "a", "generation": 2, "refreshed": true});
        let other = json!({"access_token": "a", "generation": 2, "refreshed": false});
        assert_eq!(same(&[one.clone(), other]), Ok(&one));
        assert!(
            same(&[one, json!({"access_token": "b", "generation": 2})]).unwrap_err().contains("access_token")
        );
        assert!(same(&[]).is_err());
    }
}
