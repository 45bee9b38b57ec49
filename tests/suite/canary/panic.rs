//! What does a request leave behind whose handler panics? One problem, two log lines, no secret; the server goes on.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jeton::http::layer::trace::log_panics_by_place;
use jeton::http::problem::TRACE_ID;
use jeton::model::entropy::{Entropy, SystemEntropy};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::Canaries;
use crate::support::app::{Broker, Home};

/// Chance that panics inside a request while it is broken, with a text that quotes what the request may have sent.
#[derive(Default)]
struct Brittle {
    broken: AtomicBool,
    says: Mutex<String>,
}

impl Entropy for Brittle {
    fn fill(&self, buffer: &mut [u8]) {
        if self.broken.load(Ordering::SeqCst) && TRACE_ID.try_with(|_| ()).is_ok() {
            let text = self.says.lock().unwrap().clone();
            panic!("no random bytes: {text}");
        }
        SystemEntropy.fill(buffer);
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_ends_one_request_and_tells_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    // The workers' threads must write here too; each test has its process.
    lines.with_writer(move || writer.clone()).init();
    let hook = std::panic::take_hook();
    log_panics_by_place();
    for home in Home::each().await {
        survives_panics(&home, &log).await;
    }
    std::panic::set_hook(hook);
}

async fn survives_panics(home: &Home, log: &Log) {
    let brittle = Arc::new(Brittle::default());
    let broker = Broker::start_with(home, Arc::default(), brittle.clone(), &[]).await;
    let (id, secret) = &broker.superadmin;
    let mut canaries = Canaries::default();
    canaries.add("our client's secret", secret.as_str());
    let bearer = canaries.add("our access token", broker.token_of(&broker.superadmin).await);
    let said = canaries.add("the text of a panic", "canary-panic-text-2e9b");
    *brittle.says.lock().unwrap() = format!("{said} {secret} {bearer}");
    let post = |path: &str| broker.http.post(broker.at(path));
    let token =
        || post("/o/token/").basic_auth(id, Some(secret)).form(&[("grant_type", "client_credentials")]);
    let app = || post("/admin/v1/apps").bearer_auth(&bearer).json(&json!({"id": "acme", "name": "Acme"}));
    let visit = || broker.http.get(broker.at("/login"));

    brittle.broken.store(true, Ordering::SeqCst);
    for (request, under_o) in [(token(), true), (app(), false), (visit(), false), (token(), true)] {
        let trace_id = failed(request, under_o, &canaries).await;
        let told = log.text();
        let line = told.lines().find(|line| line.contains("a handler panicked") && line.contains(&trace_id));
        assert!(line.is_some(), "{trace_id} in {told}");
        assert!(told.contains("panicked at tests/suite/canary/panic.rs"), "the place is known: {told}");
    }
    let alive = broker.http.get(broker.at("/readyz")).send().await.unwrap();
    assert_eq!(alive.status(), 200, "beside the broken part all goes on");

    brittle.broken.store(false, Ordering::SeqCst);
    for (request, status) in [(token(), 200), (app(), 201), (visit(), 200)] {
        assert_eq!(request.send().await.unwrap().status(), status, "{}", home.name);
    }
    broker.stop().await;
    canaries.absent_from("the log", &log.text());
}

/// A 500 that says nothing but its code, action and trace id, under `/o/` in the form of RFC 6749 §5.2; returns the trace id.
async fn failed(request: RequestBuilder, under_o: bool, canaries: &Canaries) -> String {
    let answer = request.send().await.unwrap();
    let headers = format!("{:?}", answer.headers());
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (500, &"no-store".parse().unwrap())
    );
    let media = if under_o { "application/json" } else { "application/problem+json" };
    assert_eq!(answer.headers()["content-type"], media);
    let text = answer.text().await.unwrap();
    canaries.absent_from("a refusal", &format!("{headers}\n{text}"));
    let problem: Value = serde_json::from_str(&text).unwrap();
    let trace_id = problem["trace_id"].as_str().unwrap().to_owned();
    if under_o {
        let description = &problem["error_description"];
        let expected =
            json!({"error": "server_error", "error_description": description, "trace_id": trace_id});
        assert_eq!(problem, expected);
        assert!(description.as_str().is_some_and(|text| !text.is_empty()));
        return trace_id;
    }
    let expected = json!({
        "type": "/problems/internal", "title": problem["title"], "status": 500, "detail": problem["title"],
        "code": "internal", "action": "retry", "trace_id": trace_id,
    });
    assert_eq!(problem, expected);
    trace_id
}
