//! Does a program whose tokens live two seconds call a service for a minute without one that has ended?
//!
//! By the machine's clock throughout: the broker's own tokens, the client's `TokenSource`, and a service behind
//! `jeton-guard`. The configuration allows a minute at least, so the lifetime is set behind it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jeton::model::time::SystemClock;
use jeton_client::{Authorized, ClientProof, Grant, Secret, TokenSource};
use jeton_guard::actix::{Bearer, Refusal, Scope};
use jeton_guard::{Guard, RemoteKeys};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::support::app::{Broker, Home, http};
use crate::support::house::House;
use crate::support::provider::sandbox;

const TERMS: &str = "https://terms.example.com";
const LIFETIME_S: u32 = 2;
const MINUTE: Duration = Duration::from_secs(60);
const TASKS: u32 = 3;
/// Between two calls of a task.
const PACE: Duration = Duration::from_millis(500);

struct TermsRead;
impl Scope for TermsRead {
    const SCOPE: &'static str = "terms:read";
}

/// What the service saw.
#[derive(Default)]
struct Counted {
    calls: usize,
    refused: Vec<String>,
    tokens: HashSet<String>,
}

async fn list_terms(
    request: HttpRequest,
    caller: Result<Bearer<TermsRead>, Refusal>,
    counted: web::Data<Mutex<Counted>>,
) -> Result<HttpResponse, Refusal> {
    let mut counted = counted.lock().unwrap();
    counted.calls += 1;
    counted.tokens.insert(request.headers().get("authorization").unwrap().to_str().unwrap().to_owned());
    caller.map_or_else(
        |refusal| {
            counted.refused.push(refusal.to_string());
            Err(refusal)
        },
        |caller| Ok(HttpResponse::Ok().body(caller.subject.clone())),
    )
}

/// The guarded service: its address; it ends with the test.
fn serve(guard: Guard, counted: &Arc<Mutex<Counted>>) -> String {
    let counted = web::Data::from(Arc::clone(counted));
    let server = HttpServer::new(move || {
        let app = App::new().app_data(web::Data::new(guard.clone())).app_data(counted.clone());
        app.route("/terms", web::get().to(list_terms))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/terms", server.addrs()[0]);
    tokio::spawn(server.run());
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_calls_by_tokens_of_two_seconds_has_none_that_has_ended() {
    let home = Home::sqlite();
    let broker = Broker::start_minting(&home, LIFETIME_S).await;
    let house = House { broker, sandbox: sandbox(Arc::new(SystemClock)), home };
    let resource = json!({"uri": TERMS, "name": "Terms", "scopes": [TermsRead::SCOPE]});
    house.write(Method::POST, "/resources", &resource).await;
    let pipeline = json!({
        "identifier": "pipeline", "kind": "service", "resources": [TERMS], "scopes": [TermsRead::SCOPE],
    });
    let (client_id, secret) = house.client(&pipeline).await;

    // Times in a token are whole seconds; everything else that verifiers forgive is taken away.
    let guard = Guard::builder(&house.broker.url).audience(TERMS).leeway(Duration::from_secs(1));
    let guard = guard.keys(RemoteKeys::discovery(&house.broker.url).unwrap()).build().unwrap();
    let counted = Arc::new(Mutex::new(Counted::default()));
    let url = serve(guard, &counted);
    let source = TokenSource::client_credentials(Grant {
        token_endpoint: house.broker.at("/o/token/").parse().unwrap(),
        client_id,
        proof: ClientProof::Secret(Secret::new(secret)),
        scope: None,
        resource: None,
    });
    let calls = Authorized::new(http(), source.unwrap());

    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (calls, url) = (calls.clone(), url.clone());
            tokio::spawn(async move {
                let mut pace = interval_at(start + PACE / TASKS * task, PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut made = 0;
                while pace.tick().await - start < MINUTE {
                    let answer = calls.send(calls.http().get(&url)).await.unwrap();
                    assert_eq!(answer.status(), StatusCode::OK);
                    made += 1;
                }
                made
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += task.await.unwrap();
    }

    house.stop().await;
    let counted = counted.lock().unwrap();
    assert!(counted.refused.is_empty(), "{:?}", counted.refused);
    assert_eq!(counted.calls, made, "each call was made once");
    assert!(made > 100, "{made} calls");
    // Renewed at 1.2 s of its life at the earliest, and never given out after 1.6 s.
    let tokens = counted.tokens.len();
    assert!((25..=51).contains(&tokens), "{tokens} tokens for {made} calls");
}
