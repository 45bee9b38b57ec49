//! A broker with a sandbox beside it, and its superadmin at the REST.

use std::sync::Arc;

use jeton::model::time::{ShiftedClock, SystemClock};
use jeton::sandbox::{Counters, Sandbox};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::app::{Broker, Home};
use super::provider::sandbox;

/// The sandbox's plain client, and the secret of all of them.
pub(crate) const CLIENT: &str = "sandbox-standard";
pub(crate) const CLIENT_SECRET: &str = "sandbox-secret";
/// What everybody's password is.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A broker that may call loopback, whose catalog's sandbox, GitHub and Aircall are the sandbox beside it.
pub(crate) struct House {
    pub(crate) broker: Broker,
    pub(crate) sandbox: Sandbox,
    /// The broker's alone.
    pub(crate) clock: Arc<ShiftedClock>,
    home: Home,
}

impl House {
    pub(crate) async fn start() -> Self {
        let home = Home::sqlite();
        let sandbox = sandbox(Arc::new(SystemClock));
        let url = sandbox.url();
        let base = url.as_str().trim_end_matches('/').to_owned();
        let keys = [
            ("outbound.allow_loopback", "true"),
            ("connectors.sandbox.base_url", base.as_str()),
            ("connectors.github.base_url", base.as_str()),
            ("connectors.aircall.base_url", base.as_str()),
        ];
        let clock = Arc::new(ShiftedClock::default());
        let broker = Broker::start_at(&home, clock.clone(), &keys).await;
        Self { broker, sandbox, clock, home }
    }

    /// The sandbox's address without a final slash.
    pub(crate) fn provider(&self) -> String {
        self.sandbox.url().as_str().trim_end_matches('/').to_owned()
    }

    /// What the sandbox counted for its plain client.
    pub(crate) fn counted(&self) -> Counters {
        self.sandbox.handle().ledger().clients.get(CLIENT).cloned().unwrap_or_default()
    }

    /// A request by the superadmin client, with a token of this moment.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let token = self.broker.token_of(&self.broker.superadmin).await;
        let request = self.broker.http.request(method, self.broker.at(path)).bearer_auth(token);
        match body {
            Some(body) => request.json(body).send().await.unwrap(),
            None => request.send().await.unwrap(),
        }
    }

    /// An administrative write that must succeed.
    pub(crate) async fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, &format!("/admin/v1{path}"), Some(body)).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn app(&self, id: &str, name: &str) {
        self.write(Method::POST, "/apps", &json!({"id": id, "name": name})).await;
    }

    /// Stores the sandbox's plain client for a connector: the instance's, or an app's own.
    pub(crate) async fn credentials(&self, connector: &str, app: Option<&str>) {
        let body = json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET});
        let of = app.map(|app| format!("/apps/{app}")).unwrap_or_default();
        self.write(Method::PUT, &format!("{of}/connectors/{connector}/credentials"), &body).await;
    }

    /// A connector of its own whose provider is the sandbox, with these keys changed.
    pub(crate) async fn connector(&self, id: &str, changes: &Value) {
        let at = self.provider();
        let mut definition = json!({
            "id": id, "display_name": id.to_uppercase(), "authorization_url": format!("{at}/authorize"),
            "token_url": format!("{at}/token"), "scopes": ["read"], "issuer": at,
            "identity": {"url": format!("{at}/userinfo"), "id": "/sub", "label": "/email"},
        });
        for (key, value) in changes.as_object().unwrap() {
            definition[key] = value.clone();
        }
        self.write(Method::POST, "/connectors", &definition).await;
    }

    /// A link that makes whoever opens it a member of an app.
    pub(crate) async fn invitation(&self, app: &str, email: &str) -> String {
        let made =
            self.write(Method::POST, &format!("/apps/{app}/invitations"), &json!({"email": email})).await;
        made["url"].as_str().unwrap().to_owned()
    }

    /// What a job gets.
    pub(crate) async fn binb_token(&self, app: &str, connector: &str) -> (u16, Value) {
        let answer = self.ask(Method::GET, &format!("/{app}/{connector}/binb-token"), None).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn stop(self) {
        self.broker.stop().await;
        self.sandbox.stop().await;
        drop(self.home);
    }
}
