//! `jeton serve` as a process of its own, beside a sandbox, with its superadmin at the REST.

use std::sync::Arc;

use jeton::model::time::SystemClock;
use jeton::sandbox::Sandbox;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::app::{Home, http};
use super::house::{CLIENT, CLIENT_SECRET};
use super::program::{Serving, exit_code, run, stderr};
use super::provider::{consent, sandbox};

/// A process, and who administers it.
pub(crate) struct Served {
    pub(crate) serving: Serving,
    pub(crate) sandbox: Sandbox,
    /// The superadmin client: id and secret.
    pub(crate) superadmin: (String, String),
    environment: Vec<(String, String)>,
}

impl Served {
    /// A new instance in `home`, with more of the configuration as keys and values of the environment.
    pub(crate) async fn start(home: &Home, more: &[(&str, &str)]) -> Self {
        let made = run(home, "init", &["--json"]);
        assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let sandbox = sandbox(Arc::new(SystemClock));
        let base = sandbox.url().as_str().trim_end_matches('/').to_owned();
        let own = [
            ("JETON_OUTBOUND__ALLOW_LOOPBACK", "true"),
            ("JETON_CONNECTORS__SANDBOX__BASE_URL", base.as_str()),
        ];
        let environment: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
        let serving = Serving::start_with(home, &environment);
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self { serving, superadmin: (text("client_id"), text("client_secret")), environment, sandbox }
    }

    /// What the process was configured with, beside flags.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A request by the superadmin client.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let (id, secret) = &self.superadmin;
        let at = |path: &str| format!("{}{path}", self.serving.url);
        let form = [("grant_type", "client_credentials")];
        let minted =
            http().post(at("/o/token/")).basic_auth(id, Some(secret)).form(&form).send().await.unwrap();
        let minted: Value = minted.json().await.unwrap();
        let request = http().request(method, at(path)).bearer_auth(minted["access_token"].as_str().unwrap());
        let request = if let Some(body) = body { request.json(body) } else { request };
        request.send().await.unwrap()
    }

    /// An administrative write that must succeed.
    pub(crate) async fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, &format!("/admin/v1{path}"), Some(body)).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// An app with credentials of its own and a grant of Alice's that lives `expires_in` seconds, imported.
    pub(crate) async fn connected_app(&self, app: &str, expires_in: i64) {
        self.write(Method::POST, "/apps", &json!({"id": app, "name": app})).await;
        let credentials = json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET});
        self.write(Method::PUT, &format!("/apps/{app}/connectors/sandbox/credentials"), &credentials).await;
        let granted = consent(&self.sandbox, CLIENT).await;
        let import = json!({"access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
            "expires_in": expires_in});
        self.write(Method::POST, &format!("/apps/{app}/connections/sandbox/import"), &import).await;
    }
}
