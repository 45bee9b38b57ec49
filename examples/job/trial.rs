//! How does a job behave before a broker and an API that play a script?

use std::time::Duration;

use jeton_client::{Broker, BrokerSettings, Secret};
use serde_json::json;
use tempfile::TempDir;

#[path = "../../client/src/scripted.rs"]
mod scripted;

pub(crate) use scripted::{Scripted as Answer, Seen};

/// Broker and API on one server, and a folder for the output. The broker's first token is `token-1`, and
/// `rejected=1` gets `token-2`.
pub(crate) struct Trial {
    pub(crate) server: scripted::ScriptedServer,
    pub(crate) folder: TempDir,
}

impl Trial {
    pub(crate) async fn start(api: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let script = move |seen: &Seen, _| match seen.target.as_str() {
            "/o/token/" => (200, "", json!({"access_token": "bearer", "expires_in": 3600}).to_string()),
            target if target.contains("/binb-token") => handed(1 + u64::from(target.contains("rejected=1"))),
            _ => api(seen),
        };
        Self { server: scripted::ScriptedServer::start(script).await, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn broker(&self) -> Broker {
        let mut settings = BrokerSettings::new(&self.server.url, "job", Secret::new("secret")).unwrap();
        settings.first_pause = Duration::from_millis(1);
        Broker::new(settings).unwrap()
    }

    /// What the broker was asked for tokens.
    pub(crate) fn asked(&self) -> Vec<String> {
        let seen = self.server.seen().into_iter().map(|seen| seen.target);
        seen.filter(|target| target.contains("/binb-token")).collect()
    }

    /// What the API was asked; all of it only reads.
    pub(crate) fn api_calls(&self) -> Vec<Seen> {
        let is_api = |seen: &Seen| seen.target != "/o/token/" && !seen.target.contains("/binb-token");
        let calls: Vec<_> = self.server.seen().into_iter().filter(is_api).collect();
        assert!(calls.iter().all(|seen| seen.method == "GET" && seen.body.is_empty()));
        calls
    }
}

/// Whether a call carried the token of this generation.
pub(crate) fn sent_with(seen: &Seen, generation: u64) -> bool {
    seen.headers.get("authorization").is_some_and(|value| *value == format!("Bearer token-{generation}"))
}

fn handed(generation: u64) -> Answer {
    let body = json!({
        "access_token": format!("token-{generation}"), "token_type": "Bearer", "expires_in": null,
        "expires_at": null, "guaranteed_until": null, "scope": null, "app_id": "acme", "connector": "x",
        "flow": "default", "generation": generation, "refreshed": false, "extra": {}, "degraded": null,
    });
    (200, "", body.to_string())
}
