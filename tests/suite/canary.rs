//! Is a secret found where it has no business? Unique ones go through the whole of a real process at trace level; then
//! its log, its database and everything it said no with are searched for them.
//!
//! `traffic` is what they go through. `panic` looks at a request whose handler panics, over a broker with a part that breaks.

mod panic;
mod traffic;

use std::fmt::Write;
use std::sync::Mutex;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use self::traffic::{connect, hand_out, nonsense, people, prepare};
use crate::scripted::{Scripted, ScriptedServer, Seen};
use crate::support::app::{Home, http};
use crate::support::program::{Serving, exit_code, jeton, run, stderr};
use crate::support::sql::Sql;

const JSON: &str = "content-type: application/json\r\n";
const PROVIDER_SECRET: &str = "canary-provider-secret-7f3a9c";
const CODE: &str = "canary-code-5b1d77";

/// A provider whose tokens are known here, and which repeats what it was sent when it fails.
async fn provider() -> ScriptedServer {
    let identified = Mutex::new(false);
    ScriptedServer::start(move |seen, _| match seen.target.as_str() {
        "/token" => exchange(seen),
        // The account is told once, at the consent; then the token counts as refused.
        "/me" => {
            let mut identified = identified.lock().unwrap();
            let status = if *identified { 401 } else { 200 };
            *identified = true;
            (status, JSON, json!({"id": 7, "login": "octocat", "echo": seen.headers}).to_string())
        }
        _ => (500, JSON, json!({"error": "server_error", "error_description": seen.body}).to_string()),
    })
    .await
}

fn exchange(seen: &Seen) -> Scripted {
    let answer = |number: u8| {
        json!({
            "access_token": format!("canary-access-{number}-a1"), "token_type": "bearer", "expires_in": 3600,
            "refresh_token": format!("canary-refresh-{number}-b2"), "instance_url": "https://eu1.example.com",
            "id_token": "canary-id-token-c3",
        })
    };
    if seen.body.contains("grant_type=authorization_code") {
        (200, JSON, answer(1).to_string())
    } else if seen.body.contains("canary-refresh-1-b2") {
        (200, JSON, answer(2).to_string())
    } else {
        (500, JSON, json!({"error": "server_error", "error_description": seen.body}).to_string())
    }
}

/// What must not be found, by name.
#[derive(Default)]
pub(crate) struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    pub(crate) fn add(&mut self, name: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 12, "{name} is too short to be unique");
        self.0.push((name, secret.clone()));
        secret
    }

    pub(crate) fn absent_from(&self, place: &str, text: &str) {
        for (name, secret) in &self.0 {
            let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for form in [secret, &hex, &encoded] {
                if let Some(at) = text.find(form.as_str()) {
                    let around: String = text[..at].chars().rev().take(200).collect();
                    panic!("{name} is in {place} after …{}", around.chars().rev().collect::<String>());
                }
            }
        }
    }
}

/// A process, who administers it, and what it said no with.
struct Scene {
    serving: Serving,
    bearer: String,
    refusals: Mutex<String>,
}

impl Scene {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.serving.url)
    }

    fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        http().request(method, self.at(path)).bearer_auth(&self.bearer)
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.admin(method, &format!("/admin/v1{path}")).json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A request that must be refused; what is said is kept.
    async fn refused(&self, request: RequestBuilder) {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let headers = format!("{:?}", answer.headers());
        let text = answer.text().await.unwrap();
        assert!(status.is_client_error() || status.is_server_error(), "{status}: {text}");
        self.note(&headers, &text);
    }

    fn note(&self, headers: &str, text: &str) {
        let mut all = self.refusals.lock().unwrap();
        writeln!(all, "{headers}\n{text}").unwrap();
    }
}

#[tokio::test]
async fn no_secret_is_found_in_logs_databases_or_refusals() {
    for home in Home::each().await {
        let mut canaries = Canaries::default();
        let made = run(&home, "init", &["--json"]);
        assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let serving = Serving::start_with(
            &home,
            &[("JETON_OUTBOUND__ALLOW_LOOPBACK", "true"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")],
        );
        let id = made["client_id"].as_str().unwrap();
        let secret = canaries.add("our client's secret", made["client_secret"].as_str().unwrap());
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", &secret)];
        let minted = http().post(format!("{}/o/token/", serving.url)).form(&form).send().await.unwrap();
        let minted: Value = minted.json().await.unwrap();
        let bearer = canaries.add("our access token", minted["access_token"].as_str().unwrap());
        let scene = Scene { serving, bearer, refusals: Mutex::default() };
        let provider = provider().await;
        let mut ada = prepare(&scene, &provider, &mut canaries).await;
        connect(&scene, &provider, &mut ada, &mut canaries).await;
        hand_out(&scene, &mut canaries).await;
        people(&scene, &mut ada, &mut canaries).await;
        nonsense(&scene, id, &mut canaries).await;

        let figures = scene.admin(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        assert!(figures.contains("jeton_refreshes_total{connector=\"canary\""), "{figures}");
        canaries.absent_from("the figures", &figures);
        for form in [&[][..], &["--json"]] {
            let mut doctor = jeton(&home);
            doctor.arg("doctor").args(home.flags()).args(form).env("JETON_OUTBOUND__ALLOW_LOOPBACK", "true");
            doctor.env("RUST_LOG", "trace");
            // The provider it calls runs on this thread.
            let told = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
            let text = String::from_utf8(told.stdout.clone()).unwrap() + &stderr(&told);
            assert!(exit_code(&told) == 0 && text.contains("provider canary"), "{text}");
            canaries.absent_from("what the doctor says", &text);
        }

        let refusals = scene.refusals.lock().unwrap().clone();
        assert!(
            refusals.contains("provider_unavailable") || refusals.contains("refresh_in_progress"),
            "{refusals}"
        );
        canaries.absent_from("a refusal", &refusals);
        let running = everything_in(&home).await;
        assert!(running.contains("octocat"), "the search sees what is in clear");
        canaries.absent_from("the database", &running);
        let (code, log) = scene.serving.terminate();
        assert_eq!(code, Some(0));
        assert!(log.contains("GET /{app_id}/{connector}/binb-token answered 200"), "{log}");
        canaries.absent_from("the log", &log);
        canaries.absent_from("the database at rest", &everything_in(&home).await);
        if let Some(bytes) =
            std::fs::read(home.data_dir().join("keyring.toml")).ok().filter(|b| !b.is_empty())
        {
            // The key itself is a canary too.
            let keyring = String::from_utf8(bytes).unwrap();
            let key = keyring.rsplit('"').nth(1).unwrap().to_owned();
            let mut own = Canaries::default();
            own.add("the keyring's key", key);
            own.absent_from("the log", &log);
            own.absent_from("the database", &running);
        }
    }
}

/// All of a database, as text: files as they lie there, or every row of every table.
pub(crate) async fn everything_in(home: &Home) -> String {
    if home.database_url.is_none() {
        let files = std::fs::read_dir(home.data_dir()).unwrap().map(|entry| entry.unwrap().path());
        let data = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("jeton.db"));
        return data
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
            .collect();
    }
    let contents = Sql::open(home).await.contents().await;
    contents.into_values().flatten().collect::<Vec<_>>().join("\n")
}
