//! A sandbox on a free port and a client without cookies that drives it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder, Response, header, redirect};
use serde_json::{Value, json};
use url::Url;

use crate::{
    model::{entropy::SystemEntropy, time::ShiftedClock},
    sandbox::{self, Client, Faults, Handle, Ledger, Profile, Sandbox, Settings, opaque},
};

pub(super) const CALLBACK: &str = "http://127.0.0.1:9/callback";
pub(super) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-long";

/// A running sandbox with its client on the other side.
pub(super) struct Driver {
    pub(super) clock: Arc<ShiftedClock>,
    sandbox: Sandbox,
    pub(super) http: reqwest::Client,
}

/// A token answer, with what `Accept: application/json` brings.
pub(super) struct Tokens(pub(super) Value);

impl Tokens {
    pub(super) fn access(&self) -> &str {
        self.0["access_token"].as_str().expect("an access token")
    }

    pub(super) fn refresh(&self) -> &str {
        self.0["refresh_token"].as_str().expect("a refresh token")
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own client, on the far side of the sandbox")]
fn http_client() -> reqwest::Client {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(redirect::Policy::none());
    builder.timeout(Duration::from_secs(20)).build().expect("a client")
}

impl Driver {
    /// The demonstration clients.
    pub(super) fn demo() -> Self {
        Self::with(Settings::demo("127.0.0.1:0".parse().expect("an address")).clients)
    }

    /// One client with the id `app`.
    pub(super) fn of(profile: Profile) -> Self {
        Self::with(vec![Client { redirect_uris: vec![CALLBACK.into()], ..Client::new("app", profile) }])
    }

    pub(super) fn with(clients: Vec<Client>) -> Self {
        let settings = Settings { clients, ..Settings::new("127.0.0.1:0".parse().expect("an address")) };
        let clock = Arc::new(ShiftedClock::default());
        let sandbox = sandbox::start(settings, clock.clone(), Arc::new(SystemEntropy)).expect("a free port");
        Self { clock, sandbox, http: http_client() }
    }

    pub(super) fn url(&self, path: &str) -> Url {
        self.sandbox.url().join(path).expect("a path")
    }

    pub(super) fn handle(&self) -> Handle {
        self.sandbox.handle()
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.handle().ledger()
    }

    pub(super) fn faults(&self, faults: Faults) {
        self.handle().set_faults("app", faults).expect("the client `app`");
    }

    pub(super) async fn stop(self) {
        self.sandbox.stop().await;
    }

    /// The request of an authorization, as form fields.
    pub(super) fn asking(&self, client_id: &str, scope: &str) -> HashMap<&'static str, String> {
        HashMap::from([
            ("client_id", client_id.to_owned()),
            ("redirect_uri", CALLBACK.to_owned()),
            ("response_type", "code".to_owned()),
            ("scope", scope.to_owned()),
            ("state", "a state".to_owned()),
            ("code_challenge", opaque::challenge(VERIFIER)),
            ("code_challenge_method", "S256".to_owned()),
        ])
    }

    /// Decides on the consent page; gives the answer of the authorization endpoint.
    pub(super) async fn decide(
        &self,
        mut asking: HashMap<&'static str, String>,
        user: &str,
        decision: &str,
    ) -> Response {
        asking.insert("user", user.to_owned());
        asking.insert("decision", decision.to_owned());
        self.http.post(self.url("/authorize")).form(&asking).send().await.expect("an answer")
    }

    /// Approves, and gives the code.
    pub(super) async fn code(&self, client_id: &str, user: &str, scope: &str) -> String {
        let answer = self.decide(self.asking(client_id, scope), user, "approve").await;
        returned(&answer).remove("code").expect("a code")
    }

    /// A request of the token endpoint, authenticated in the body.
    pub(super) fn token_request(&self, client_id: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let mut form = vec![("client_id", client_id), ("client_secret", "sandbox-secret")];
        form.extend_from_slice(fields);
        self.http.post(self.url("/token")).header(header::ACCEPT, "application/json").form(&form)
    }

    pub(super) fn exchange_request(&self, client_id: &str, code: &str) -> RequestBuilder {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token_request(client_id, &fields)
    }

    pub(super) fn refresh_request(&self, token: &str) -> RequestBuilder {
        self.token_request("app", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// Connects a user, from consent to tokens.
    pub(super) async fn connect_as(&self, client_id: &str, user: &str, scope: &str) -> Tokens {
        let code = self.code(client_id, user, scope).await;
        Tokens(json_of(self.exchange_request(client_id, &code)).await.1)
    }

    pub(super) async fn connect(&self) -> Tokens {
        self.connect_as("app", "alice", "read").await
    }

    pub(super) async fn refresh(&self, token: &str) -> (u16, Value) {
        json_of(self.refresh_request(token)).await
    }

    pub(super) async fn call(&self, path: &str, token: &str) -> Response {
        self.http.get(self.url(path)).bearer_auth(token).send().await.expect("an answer")
    }

    pub(super) async fn lives(&self, token: &str) -> bool {
        self.call("/api/whoami", token).await.status() == 200
    }

    pub(super) async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        json_of(self.http.request(method, self.url(path)).json(&body)).await
    }
}

/// Status and JSON of an answer; null where the body is none.
pub(super) async fn json_of(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or(json!(null)))
}

/// The parameters an authorization answer carries back.
pub(super) fn returned(answer: &Response) -> HashMap<String, String> {
    assert_eq!(answer.status(), 303);
    let location = answer.headers()[header::LOCATION].to_str().expect("text");
    assert!(location.starts_with(CALLBACK), "{location}");
    Url::parse(location).expect("a URL").query_pairs().into_owned().collect()
}
