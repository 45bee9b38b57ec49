//! A broker with a sandbox beside it, and its superadmin at the REST.

use std::net::TcpListener;
use std::sync::Arc;

use jeton::model::entropy::SystemEntropy;
use jeton::model::time::{ShiftedClock, SystemClock};
use jeton::sandbox::{Counters, Faults, Sandbox};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::app::{Broker, Home};
use super::provider::{consent, sandbox};

/// The sandbox's plain client, and the secret of all of them.
pub(crate) const CLIENT: &str = "sandbox-standard";
pub(crate) const CLIENT_SECRET: &str = "sandbox-secret";
/// What everybody's password is.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A broker that may call loopback, whose catalog's sandbox is the one beside it.
pub(crate) struct House {
    pub(crate) broker: Broker,
    pub(crate) sandbox: Sandbox,
    pub(crate) home: Home,
}

impl House {
    pub(crate) async fn start() -> Self {
        // The provider lives by the machine's clock, so that only the broker's is shifted.
        Self::with(Home::sqlite(), sandbox(Arc::new(SystemClock)), Arc::default(), &[]).await
    }

    /// One on each kind of database, where broker and provider live by one clock.
    pub(crate) async fn each() -> Vec<Self> {
        let mut houses = Vec::new();
        for home in Home::each().await {
            houses.push(Self::on(home, &[]).await);
        }
        houses
    }

    /// The same on one database, with these keys of the configuration beside.
    pub(crate) async fn on(home: Home, more: &[(&'static str, &str)]) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        Self::with(home, sandbox(clock.clone()), clock, more).await
    }

    pub(crate) async fn with(
        home: Home,
        sandbox: Sandbox,
        clock: Arc<ShiftedClock>,
        more: &[(&'static str, &str)],
    ) -> Self {
        let keys = keys(&sandbox);
        let keys: Vec<_> = keys.iter().map(|(k, v)| (*k, v.as_str())).chain(more.iter().copied()).collect();
        let broker = Broker::start_at(&home, clock, &keys).await;
        Self { broker, sandbox, home }
    }

    /// The same, whose public URL has this path.
    pub(crate) async fn under(
        path: &str,
        home: Home,
        sandbox: Sandbox,
        clock: Arc<ShiftedClock>,
        more: &[(&'static str, &str)],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let keys = keys(&sandbox);
        let mut keys: Vec<_> = keys.iter().map(|(k, v)| (*k, v.as_str())).collect();
        keys.push(("public_url", &url));
        keys.extend_from_slice(more);
        let broker = Broker::start_on(listener, &home, clock, Arc::new(SystemEntropy), &keys).await;
        Self { broker, sandbox, home }
    }

    /// A replica of the broker.
    pub(crate) async fn replica(&self, more: &[(&'static str, &str)]) -> Broker {
        let keys = keys(&self.sandbox);
        let keys: Vec<_> = keys.iter().map(|(k, v)| (*k, v.as_str())).chain(more.iter().copied()).collect();
        self.broker.replica(&self.home, &keys).await
    }

    /// The broker, ended and started again.
    pub(crate) async fn restart(self, more: &[(&'static str, &str)]) -> Self {
        let keys = keys(&self.sandbox);
        let keys: Vec<_> = keys.iter().map(|(k, v)| (*k, v.as_str())).chain(more.iter().copied()).collect();
        let broker = self.broker.restart(&self.home, &keys).await;
        Self { broker, ..self }
    }

    /// Lets time pass, for broker and provider alike where they have one clock.
    pub(crate) fn pass(&self, seconds: i64) {
        self.broker.clock.advance(time::Duration::seconds(seconds));
    }

    pub(crate) fn faults(&self, faults: Faults) {
        self.sandbox.handle().set_faults(CLIENT, faults).unwrap();
    }

    /// How often a refresh token was presented to the provider, whatever came of it.
    pub(crate) fn refreshes(&self) -> usize {
        self.sandbox.handle().ledger().refresh_tokens.iter().map(|token| token.presented).sum()
    }

    /// An app with credentials of its own and a grant of Alice's, imported.
    pub(crate) async fn connected_app(&self, app: &str) {
        self.app(app, app).await;
        self.credentials("sandbox", Some(app)).await;
        self.import(app, "sandbox", &json!({})).await;
    }

    /// A fresh grant of the sandbox's plain client, imported with these keys of the request changed; what was sent.
    pub(crate) async fn import(&self, app: &str, connector: &str, changes: &Value) -> Value {
        let granted = consent(&self.sandbox, CLIENT).await;
        let mut import = json!({
            "access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
            "expires_in": granted["expires_in"],
        });
        for (key, value) in changes.as_object().unwrap() {
            import[key] = value.clone();
        }
        self.write(Method::POST, &format!("/apps/{app}/connections/{connector}/import"), &import).await;
        import
    }

    /// A machine: its id and secret.
    pub(crate) async fn client(&self, body: &Value) -> (String, String) {
        let made = self.write(Method::POST, "/clients", body).await;
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
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
            "id": id, "display_name": format!("The {id}"), "authorization_url": format!("{at}/authorize"),
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

/// What a broker must know of the sandbox beside it.
pub(crate) fn keys(sandbox: &Sandbox) -> Vec<(&'static str, String)> {
    let base = sandbox.url().as_str().trim_end_matches('/').to_owned();
    vec![
        ("outbound.allow_loopback", "true".to_owned()),
        ("connectors.sandbox.base_url", base.clone()),
        ("connectors.github.base_url", base.clone()),
        ("connectors.aircall.base_url", base.clone()),
        ("connectors.github-app.base_url", base.clone()),
        ("connectors.google.base_url", base.clone()),
        ("connectors.hubspot.base_url", base.clone()),
        ("connectors.salesforce.base_url", base.clone()),
        ("connectors.github-app.api_base_url", base),
    ]
}
