//! Does what docker-compose.yml describes work? No engine runs here: its services start as plain processes, by the
//! commands, environments and order of the file, behind nginx with the very configuration of the repository.

mod compose;
mod contents;
mod stage;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jeton::sandbox::Faults;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::stage::Stage;

const ROUTE: &str = "/acme/sandbox/binb-token";
/// What api.md promises, and what asking takes.
const FIVE_SECONDS: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_behind_the_proxy_are_one_broker() {
    let Some(stage) = Stage::start().await else { return };
    let said = stage.run("init");
    assert!(said.contains("there is an instance already"), "the second start makes nothing: {said}");

    stage.import("acme", "default", &json!({})).await;
    let answers = join_all((0..20).map(|_| stage.get(ROUTE))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let asked: BTreeSet<String> = stage.asked_by_the_proxy(0);
    assert_eq!(
        asked,
        BTreeSet::from(["one", "two"].map(|name| stage.address(name))),
        "both have their turns"
    );

    stage.import("acme", "expired", &json!({"expires_at": "2020-01-01T00:00:00Z"})).await;
    stage.faults(Faults { slow_head_ms: Some(500), ..Faults::default() });
    let route = format!("{ROUTE}?flow=expired");
    let answers = join_all((0..50).map(|_| stage.get(&route))).await;
    for (status, answer) in &answers {
        assert_eq!((*status, &answer["generation"]), (200, &json!(2)), "{answer}");
        assert_eq!(answer["access_token"], answers[0].1["access_token"]);
    }
    assert_eq!(stage.presented(), 1, "one spend for fifty callers of two replicas");

    let (status, problem) = stage.get("/metrics").await;
    assert_eq!((status, problem), (404, Value::Null), "the proxy's own 404");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_through_the_proxy_binds_on_both_replicas_within_five_seconds() {
    let Some(stage) = Stage::start().await else { return };
    for app in ["acme", "globex"] {
        stage.import(app, "default", &json!({})).await;
    }
    let mut jobs = Vec::new();
    for name in ["narrowed", "disabled", "without-secret", "deleted"] {
        let job = json!({"identifier": name, "kind": "service", "role": "superadmin", "scopes": ["binb:read"],
            "allow": ["*/*"]});
        let made = stage.write(Method::POST, "/clients", &job).await;
        jobs.push((made["client_id"].as_str().unwrap().to_owned(), made.clone()));
    }
    let mut tokens = Vec::new();
    for (id, made) in &jobs {
        tokens.push(stage.mint(id, made["client_secret"].as_str().unwrap()).await);
    }
    let admin = stage.admin.clone();
    let wanted = [
        (ROUTE, &tokens[0], 403),
        (ROUTE, &tokens[1], 401),
        (ROUTE, &tokens[2], 401),
        (ROUTE, &tokens[3], 401),
        ("/globex/sandbox/binb-token", &admin, 403),
    ];
    for name in ["one", "two"] {
        for (route, token, _) in wanted {
            assert_eq!(stage.ask(name, route, token).await, StatusCode::OK, "known to both before");
        }
    }
    let path = |at: usize| format!("/clients/{}", jobs[at].0);
    let secret = jobs[2].1["secret_id"].as_str().map(str::to_owned);
    stage.write(Method::PATCH, &path(0), &json!({"allow": ["globex/*"]})).await;
    stage.write(Method::PATCH, &path(1), &json!({"disabled": true})).await;
    let secret = match secret {
        Some(secret) => secret,
        None => stage.only_secret_of(&jobs[2].0).await,
    };
    stage.write(Method::DELETE, &format!("{}/secrets/{secret}", path(2)), &Value::Null).await;
    stage.write(Method::DELETE, &path(3), &Value::Null).await;
    stage.write(Method::PATCH, "/apps/globex", &json!({"state": "disabled"})).await;
    let begun = Instant::now();
    for (route, token, status) in wanted {
        for name in ["one", "two"] {
            while stage.ask(name, route, token).await != status {
                assert!(begun.elapsed() < FIVE_SECONDS, "{name} still answers {route}, not {status}");
            }
        }
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_replaced_one_by_one_and_one_may_be_killed() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.import("acme", "default", &json!({"expires_at": "2020-01-01T00:00:00Z"})).await;
    stage.faults(Faults { slow_head_ms: Some(3_000), ..Faults::default() });

    // The first holds the flight, and others wait for it, on both.
    let holder = tokio::spawn(stage.request("one", ROUTE));
    while stage.presented() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting: Vec<_> = (0..6).map(|_| tokio::spawn(stage.request("proxy", ROUTE))).collect();
    let ending = stage.terminate("one");
    let begun = Instant::now();
    // Nobody who comes meanwhile is turned away, also not with what is never sent twice.
    while begun.elapsed() < Duration::from_secs(2) {
        let token = stage.mint_again().await;
        assert_eq!(stage.ask("proxy", "/acme/sandbox/status", &token).await, 200);
    }
    let mut answers = vec![holder.await.unwrap()];
    for waiter in waiting {
        answers.push(waiter.await.unwrap());
    }
    for (status, answer) in &answers {
        assert_eq!((*status, &answer["generation"]), (200, &json!(2)), "{answers:?}");
    }
    assert_eq!(ending.join().unwrap(), Some(0), "it ended in order: {}", stage.log("one"));
    assert!(begun.elapsed() < stage.grace("one"), "within `stop_grace_period`");
    assert_eq!(stage.presented(), 1, "the drained refresh was stored: nobody spent again");

    stage.faults(Faults::default());
    let before = stage.log("proxy").len();
    stage.start_again("one");
    while !stage.asked_by_the_proxy(before).contains(&stage.address("one")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the proxy asks it again");
        assert_eq!(stage.get(ROUTE).await.0, 200);
    }
    stage.kill("two");
    for _ in 0..10 {
        let token = stage.mint_again().await;
        assert_eq!(stage.ask("proxy", ROUTE, &token).await, 200, "the proxy goes on with the other");
    }
    stage.import("acme", "later", &json!({"expires_at": "2020-01-01T00:00:00Z"})).await;
    let (status, answer) = stage.get(&format!("{ROUTE}?flow=later")).await;
    assert_eq!((status, &answer["generation"]), (200, &json!(2)), "{answer}");
    stage.end().await;
}
