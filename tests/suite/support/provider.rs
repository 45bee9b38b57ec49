//! A third-party provider: the sandbox, in this process.

use std::sync::Arc;

use jeton::model::entropy::SystemEntropy;
use jeton::model::time::Clock;
use jeton::sandbox::{Sandbox, Settings, start};
use serde_json::Value;
use url::Url;

use super::app::http;

const CALLBACK: &str = "http://127.0.0.1:9/callback";

/// A sandbox on a free port, whose time is `clock`'s.
pub(crate) fn sandbox(clock: Arc<dyn Clock>) -> Sandbox {
    start(Settings::demo(([127, 0, 0, 1], 0).into()), clock, Arc::new(SystemEntropy)).unwrap()
}

/// What the sandbox answers when `alice` consents to one of its clients: a token answer of RFC 6749 §5.1.
pub(crate) async fn consent(sandbox: &Sandbox, client_id: &str) -> Value {
    consent_to(sandbox, client_id, "read").await
}

/// The same, for this scope, and for as long as the provider lets a grant last.
pub(crate) async fn consent_to(sandbox: &Sandbox, client_id: &str, scope: &str) -> Value {
    consent_of(&http(), sandbox, client_id, ("alice", scope)).await
}

/// The same of anybody.
pub(crate) async fn consent_of(
    http: &reqwest::Client,
    sandbox: &Sandbox,
    client_id: &str,
    (user, scope): (&str, &str),
) -> Value {
    let at = |path: &str| sandbox.url().join(path).unwrap();
    let asking = [
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", scope),
        ("access_type", "offline"),
        ("state", "a state"),
        ("user", user),
        ("decision", "approve"),
    ];
    let answer = http.post(at("/authorize")).form(&asking).send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let back = Url::parse(&location).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let form = [
        ("client_id", client_id),
        ("client_secret", "sandbox-secret"),
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
    ];
    let request = http.post(at("/token")).header("accept", "application/json").form(&form);
    request.send().await.unwrap().json().await.unwrap()
}
