//! Do two processes on one PostgreSQL act as one broker?

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jeton::model::time::SystemClock;
use jeton::sandbox::{Faults, Sandbox};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Home, http};
use crate::support::house::{CLIENT, CLIENT_SECRET};
use crate::support::peer::skipped;
use crate::support::postgres;
use crate::support::program::{Serving, exit_code, run, stderr};
use crate::support::provider::{consent, sandbox};

/// The name both are known by; nobody listens there.
const PUBLIC_URL: &str = "http://127.0.0.1:9";
const ROUTE: &str = "/acme/sandbox/binb-token";

/// Two processes, one database, one keyring; Acme's token has expired.
struct Pair {
    one: Serving,
    two: Serving,
    sandbox: Sandbox,
    admin: String,
    _home: Home,
}

impl Pair {
    async fn start() -> Option<Self> {
        if !postgres::is_here() {
            return skipped("two processes on one PostgreSQL: JETON_TEST_POSTGRES_URL names none");
        }
        let home = Home::postgres().await;
        let made = run(&home, "init", &["--json", "--public-url", PUBLIC_URL]);
        assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let sandbox = sandbox(Arc::new(SystemClock));
        let base = sandbox.url().as_str().trim_end_matches('/').to_owned();
        let keys = [
            ("JETON_PUBLIC_URL", PUBLIC_URL),
            ("JETON_OUTBOUND__ALLOW_LOOPBACK", "true"),
            ("JETON_CONNECTORS__SANDBOX__BASE_URL", base.as_str()),
        ];
        let (one, two) = (Serving::start_with(&home, &keys), Serving::start_with(&home, &keys));
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let admin = mint(&two.direct, &text("client_id"), &text("client_secret")).await;
        let pair = Self { one, two, sandbox, admin, _home: home };
        pair.connect().await;
        Some(pair)
    }

    async fn connect(&self) {
        self.write(Method::POST, "/apps", &json!({"id": "acme", "name": "Acme"})).await;
        let credentials = json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET});
        self.write(Method::PUT, "/connectors/sandbox/credentials", &credentials).await;
        let granted = consent(&self.sandbox, CLIENT).await;
        let import = json!({
            "access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
            "expires_at": "2020-01-01T00:00:00Z",
        });
        self.write(Method::POST, "/apps/acme/connections/sandbox/import", &import).await;
    }

    /// An administrative write, sent to the first process.
    async fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = http().request(method, format!("{}/admin/v1{path}", self.one.direct));
        let answer = request.bearer_auth(&self.admin).json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Both end as a service manager ends them.
    async fn end(self) {
        for serving in [self.one, self.two] {
            let (code, log) = serving.terminate();
            assert_eq!(code, Some(0), "{log}");
        }
        self.sandbox.stop().await;
    }
}

async fn mint(at: &str, id: &str, secret: &str) -> String {
    let form = [("grant_type", "client_credentials")];
    let request = http().post(format!("{at}/o/token/")).basic_auth(id, Some(secret)).form(&form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn status(at: &str, bearer: &str) -> StatusCode {
    http().get(format!("{at}{ROUTE}")).bearer_auth(bearer).send().await.unwrap().status()
}

/// How long it takes until a process answers so.
async fn until(at: &str, bearer: &str, wanted: u16) -> Duration {
    let begun = Instant::now();
    while status(at, bearer).await != wanted {
        assert!(begun.elapsed() < Duration::from_secs(20), "never {wanted}");
    }
    begun.elapsed()
}

#[tokio::test]
async fn fifty_callers_of_two_processes_cost_one_spend() {
    let Some(pair) = Pair::start().await else { return };
    let faults = Faults { delay_ms: Some(500), ..Faults::default() };
    pair.sandbox.handle().set_faults(CLIENT, faults).unwrap();
    let client = http();
    let callers = (0..50).map(|number| {
        let at = if number % 2 == 0 { &pair.one.direct } else { &pair.two.direct };
        let request = client.get(format!("{at}{ROUTE}")).bearer_auth(&pair.admin).send();
        async move {
            let answer = request.await.unwrap();
            assert_eq!(answer.status(), 200);
            let answer: Value = answer.json().await.unwrap();
            ["access_token", "generation", "expires_at", "guaranteed_until", "degraded"]
                .map(|key| answer[key].clone())
        }
    });
    let answers = join_all(callers).await;
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert_eq!(answers[0][1], 2);
    let presented: Vec<_> =
        pair.sandbox.handle().ledger().refresh_tokens.iter().map(|token| token.presented).collect();
    assert_eq!(presented, [1, 0]);
    pair.end().await;
}

#[tokio::test]
async fn what_is_taken_from_a_client_binds_on_every_replica_within_five_seconds() {
    let Some(pair) = Pair::start().await else { return };
    let job = json!({"identifier": "job", "kind": "service", "role": "superadmin"});
    let made = pair.write(Method::POST, "/clients", &job).await;
    let text = |key: &str| made[key].as_str().unwrap();
    let token = mint(&pair.one.direct, text("client_id"), text("client_secret")).await;
    for at in [&pair.one.direct, &pair.two.direct] {
        assert_eq!(status(at, &token).await, 200);
    }
    let path = format!("/clients/{}", text("client_id"));
    pair.write(Method::PATCH, &path, &json!({"allow": ["globex/*"]})).await;
    assert_eq!(status(&pair.one.direct, &token).await, 403, "at once where it was changed");
    let took = until(&pair.two.direct, &token, 403).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
    pair.write(Method::DELETE, &path, &json!(null)).await;
    assert_eq!(status(&pair.one.direct, &token).await, 401);
    let took = until(&pair.two.direct, &token, 401).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
    pair.end().await;
}
