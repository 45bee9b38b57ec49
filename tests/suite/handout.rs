//! What does a job get, and what does it cost when fifty ask at once?

use std::sync::Arc;

use futures_util::future::join_all;
use jeton::model::time::ShiftedClock;
use jeton::sandbox::Faults;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::Home;
use crate::support::house::{CLIENT, House};
use crate::support::provider::{consent, sandbox};

const ROUTE: &str = "/acme/sandbox/binb-token";

/// Keys of the contract, always present.
const KEYS: &[&str] = &[
    "access_token",
    "app_id",
    "connector",
    "degraded",
    "expires_at",
    "expires_in",
    "extra",
    "flow",
    "generation",
    "guaranteed_until",
    "refreshed",
    "scope",
    "token_type",
];
const STATUS_KEYS: &[&str] = &[
    "account",
    "app_id",
    "connected_by",
    "connector",
    "expires_at",
    "flow",
    "generation",
    "last_error",
    "last_refresh_at",
    "reason",
    "since",
    "state",
];

fn keys(answer: &Value) -> Vec<&str> {
    answer.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn every_documented_key_is_there_and_nothing_else_of_the_grant() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.credentials("sandbox", Some("acme")).await;
        let sent = house.import("acme", "sandbox", &json!({"scope": "read"})).await;
        let answer = house.ask(Method::GET, ROUTE, None).await;
        assert_eq!(
            (&answer.headers()["cache-control"], &answer.headers()["pragma"]),
            (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap())
        );
        let text = answer.text().await.unwrap();
        assert!(!text.contains(sent["refresh_token"].as_str().unwrap()), "a refresh token never leaves");
        let handed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(keys(&handed), KEYS);
        assert_eq!(handed["access_token"], sent["access_token"]);
        assert_eq!((&handed["token_type"], &handed["scope"]), (&json!("Bearer"), &json!("read")));
        for at in ["expires_at", "guaranteed_until"] {
            let text = handed[at].as_str().unwrap();
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
            assert!(text.ends_with('Z'), "{text}");
        }
        // A permanent token: no time is invented.
        let permanent = json!({"access_token": "permanent"});
        house.write(Method::POST, "/apps/acme/connections/aircall/import", &permanent).await;
        let answer = house.ask(Method::GET, "/acme/aircall/binb-token?min_ttl=86400", None).await;
        let handed: Value = answer.json().await.unwrap();
        assert_eq!(keys(&handed), KEYS);
        for unknown in ["expires_in", "expires_at", "guaranteed_until", "scope", "degraded"] {
            assert_eq!(handed[unknown], Value::Null, "{handed}");
        }
        let answer = house.ask(Method::GET, "/acme/sandbox/status", None).await;
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(keys(&answer.json().await.unwrap()), STATUS_KEYS);
        assert_eq!(house.refreshes(), 0, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn fifty_callers_of_an_expired_token_behind_a_slow_provider_get_equal_answers_for_one_spend() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.pass(7_200);
        house.faults(Faults { delay_ms: Some(400), ..Faults::default() });
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let url = house.broker.at(ROUTE);
        let callers = (0..50).map(async |_| {
            let answer = house.broker.http.get(&url).bearer_auth(&bearer).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let mut answer: Value = answer.json().await.unwrap();
            // The seconds left are those of each answer's moment.
            answer.as_object_mut().unwrap().remove("expires_in");
            answer
        });
        let answers = join_all(callers).await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        assert_eq!((&answers[0]["generation"], &answers[0]["refreshed"]), (&json!(2), &json!(true)));
        assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_takes_nothing_from_the_others() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.pass(7_200);
        house.faults(Faults { delay_ms: Some(400), ..Faults::default() });
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let request = house.broker.http.get(house.broker.at(ROUTE)).bearer_auth(bearer).send();
        let hanging_up = tokio::spawn(request);
        while house.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        hanging_up.abort();
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{handed}");
        assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_slow_provider_leaves_turns_to_the_others() {
    for home in Home::each().await {
        let clock = Arc::new(ShiftedClock::default());
        let slow = sandbox(clock.clone());
        let own = sandbox(clock.clone());
        let house = House::with(home, own, clock, &[("refresh.concurrency", "4")]).await;
        house.connected_app("acme").await;
        let at = slow.url().as_str().trim_end_matches('/').to_owned();
        let moved = json!({"authorization_url": format!("{at}/authorize"), "token_url": format!("{at}/token"),
            "issuer": at, "identity": null});
        house.connector("slow", &moved).await;
        house.credentials("slow", Some("acme")).await;
        let flows = ["a", "b", "c", "d", "e"];
        for flow in flows {
            let granted = consent(&slow, CLIENT).await;
            let import = json!({"access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
                "expires_in": granted["expires_in"], "flow": flow});
            house.write(Method::POST, "/apps/acme/connections/slow/import", &import).await;
        }
        slow.handle().set_faults(CLIENT, Faults { delay_ms: Some(5_000), ..Faults::default() }).unwrap();
        house.pass(7_200);
        // Who does not wait lets a refresh begin; there are more of them than turns.
        for flow in flows {
            let path = format!("/acme/slow/binb-token?wait=0&flow={flow}");
            assert_eq!(house.ask(Method::GET, &path, None).await.status(), 503);
        }
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["refreshed"]), (200, &json!(true)), "{handed}");
        for flow in flows {
            let path = format!("/acme/slow/status?flow={flow}");
            let told: Value = house.ask(Method::GET, &path, None).await.json().await.unwrap();
            assert_eq!(told["generation"], 1, "the slow ones are still under way: {told}");
        }
        slow.handle().set_faults(CLIENT, Faults::default()).unwrap();
        house.stop().await;
        slow.stop().await;
    }
}
