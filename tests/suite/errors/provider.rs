//! What a provider's refusal, trouble or silence is to a caller, and what it costs.

use jeton::sandbox::{Faults, Rotation, Trouble};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::house::{CLIENT_SECRET, House};
use crate::support::jar::Jar;
use crate::support::problem::read;
use crate::support::provider::consent;

const ROUTE: &str = "/acme/sandbox/binb-token";

async fn refused(house: &House, query: &str, code: &str) -> Value {
    read(house.ask(Method::GET, &format!("{ROUTE}{query}"), None).await, code).await
}

async fn status(house: &House, connector: &str) -> Value {
    house.ask(Method::GET, &format!("/acme/{connector}/status"), None).await.json().await.unwrap()
}

#[tokio::test]
async fn a_revoked_grant_names_the_account_its_owner_and_where_to_connect_again() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.credentials("sandbox", Some("acme")).await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
        let back = ada.decide(&authorize, "alice", "approve").await;
        assert_eq!(ada.get(back.as_str()).await.status, 303);
        assert_eq!(house.sandbox.handle().revoke_grants_of("alice"), 1);
        house.pass(7_200);
        for _ in 0..3 {
            let problem = refused(&house, "", "reauthorization_required").await;
            assert_eq!(problem["reason"], "revoked", "{problem}");
            assert_eq!(problem["connected_by"], "Ada", "{problem}");
            assert_eq!(problem["signup_url"], house.broker.at("/acme/sandbox/signup"));
            assert!(problem["account"].as_str().unwrap().starts_with("alice"), "{problem}");
            assert!(problem["since"].as_str().unwrap().ends_with('Z'), "{problem}");
        }
        assert_eq!(house.refreshes(), 1, "parked after one call");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_grant_that_is_over_says_so() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        // Refresh tokens of this provider live six months; its first answer says so.
        let client = json!({"client_id": "sandbox-github-app", "client_secret": CLIENT_SECRET});
        house.write(Method::PUT, "/connectors/github-app/credentials", &client).await;
        let granted = consent(&house.sandbox, "sandbox-github-app").await;
        let import = json!({
            "access_token": granted["access_token"], "refresh_token": granted["refresh_token"], "expires_in": 28_800,
        });
        house.write(Method::POST, "/apps/acme/connections/github-app/import", &import).await;
        house.pass(28_790);
        assert_eq!(house.binb_token("acme", "github-app").await.0, 200);
        house.pass(185 * 24 * 3_600);
        for _ in 0..2 {
            let answer = house.ask(Method::GET, "/acme/github-app/binb-token", None).await;
            let problem = read(answer, "reauthorization_required").await;
            assert_eq!((&problem["reason"], house.refreshes()), (&json!("expired"), 2), "{problem}");
        }
        assert_eq!(status(&house, "github-app").await["reason"], "expired");
        // Nor does a token without a refresh token cost a call.
        house.import("acme", "sandbox", &json!({"refresh_token": null, "flow": "once"})).await;
        house.pass(7_200);
        let answer = house.ask(Method::GET, "/acme/sandbox/binb-token?flow=once", None).await;
        let problem = read(answer, "reauthorization_required").await;
        assert_eq!((&problem["reason"], house.refreshes()), (&json!("expired"), 2), "{problem}");
        assert_eq!(problem["signup_url"], house.broker.at("/acme/sandbox/signup?flow=once"));
        house.stop().await;
    }
}

#[tokio::test]
async fn a_token_the_api_refuses_and_nothing_can_refresh_needs_a_new_consent() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.connector("permanent", &json!({"refresh": {"supported": false}})).await;
        house.credentials("permanent", Some("acme")).await;
        house.import("acme", "permanent", &json!({"refresh_token": null})).await;
        house.sandbox.handle().revoke_grants_of("alice");
        let answer = house.ask(Method::GET, "/acme/permanent/binb-token?rejected=1", None).await;
        let problem = read(answer, "reauthorization_required").await;
        assert_eq!(problem["reason"], "rejected", "{problem}");
        let answer = house.ask(Method::GET, "/acme/permanent/binb-token", None).await;
        read(answer, "reauthorization_required").await;
        assert_eq!(status(&house, "permanent").await["state"], "reauthorization_required");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_lost_rotation_is_told_from_a_revoked_grant() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults::after(Trouble::Reset).times(1));
        house.pass(7_200);
        let problem = refused(&house, "", "refresh_in_progress").await;
        assert_eq!(problem["current_expires_in"], Value::Null, "{problem}");
        house.pass(60);
        refused(&house, "", "refresh_in_progress").await;
        assert_eq!(house.refreshes(), 1, "no resend within the hold-off");
        house.pass(70);
        let problem = refused(&house, "", "reauthorization_required").await;
        assert_eq!(problem["reason"], "lost_rotation", "{problem}");
        assert_eq!(house.refreshes(), 2, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_provider_that_refuses_our_client_is_a_matter_of_configuration() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults::before(Trouble::invalid_client()));
        house.pass(7_200);
        for _ in 0..3 {
            let problem = refused(&house, "", "provider_misconfigured").await;
            assert_eq!(problem["provider_error"], "invalid_client", "{problem}");
        }
        assert_eq!(house.refreshes(), 1, "parked after one call");
        assert_eq!(status(&house, "sandbox").await["state"], "misconfigured");
        house.faults(Faults::default());
        house.credentials("sandbox", Some("acme")).await;
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn any_other_refusal_by_the_provider_is_not_our_500() {
    for house in House::each().await {
        house.connected_app("acme").await;
        for (refusal, code) in [(400, "invalid_scope"), (403, "access_denied"), (200, "incorrect_something")]
        {
            house.faults(Faults::before(Trouble::Error { status: refusal, code: code.into() }));
            house.pass(7_200);
            let problem = refused(&house, "", "provider_misconfigured").await;
            assert_eq!(problem["provider_error"], code, "{problem}");
            assert_eq!(status(&house, "sandbox").await["state"], "active", "{code}");
        }
        house.faults(Faults::default());
        house.pass(7_200);
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 200, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_with_what_the_token_in_hand_has_left() {
    for house in House::each().await {
        let rotation = Some(Rotation::None);
        house.app("acme", "Acme").await;
        house.connector("lasting", &json!({"refresh": {"rotates": false}})).await;
        house.credentials("lasting", Some("acme")).await;
        house.import("acme", "lasting", &json!({})).await;
        for trouble in
            [Trouble::Status(500), Trouble::Status(503), Trouble::Html, Trouble::Truncated, Trouble::Reset]
        {
            house.faults(Faults { rotation, ..Faults::before(trouble.clone()) });
            house.pass(700);
            let answer = house.ask(Method::GET, "/acme/lasting/binb-token?min_ttl=3000", None).await;
            let problem = read(answer, "provider_unavailable").await;
            let left = problem["current_expires_in"].as_i64().unwrap();
            assert!((1..=2_900).contains(&left), "{trouble:?}: {problem}");
            // The same call without `min_ttl` gets that token.
            let (status, handed) = house.binb_token("acme", "lasting").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{trouble:?}");
            assert!(handed["expires_in"].as_i64().unwrap() <= left);
        }
        house.pass(3_600);
        let answer = house.ask(Method::GET, "/acme/lasting/binb-token", None).await;
        let problem = read(answer, "provider_unavailable").await;
        assert_eq!(problem["current_expires_in"], Value::Null, "{problem}");
        house.faults(Faults { rotation, ..Faults::default() });
        house.pass(3_600);
        assert_eq!(house.binb_token("acme", "lasting").await.0, 200, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_providers_own_retry_after_is_passed_on() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults::before(Trouble::RateLimited { retry_after_s: 77 }));
        house.pass(7_200);
        for _ in 0..2 {
            let answer = house.ask(Method::GET, ROUTE, None).await;
            let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((60..=78).contains(&seconds), "{seconds}");
            read(answer, "provider_unavailable").await;
        }
        assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_burns_nothing() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        // A port on which nobody listens.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let away = json!({"token_url": format!("http://{free}/token"), "refresh": {"rotates": true}});
        house.connector("away", &away).await;
        house.credentials("away", Some("acme")).await;
        house.import("acme", "away", &json!({})).await;
        house.pass(7_200);
        let answer = house.ask(Method::GET, "/acme/away/binb-token", None).await;
        read(answer, "provider_unavailable").await;
        let seen = status(&house, "away").await;
        assert_eq!(
            (&seen["state"], &seen["last_error"]["code"]),
            (&json!("active"), &json!("provider_unavailable"))
        );
        house.stop().await;
    }
}

#[tokio::test]
async fn a_caller_that_does_not_wait_is_told_to_come_back_and_the_refresh_goes_on() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        house.pass(7_200);
        let problem = refused(&house, "?wait=0", "refresh_in_progress").await;
        assert_eq!(problem["current_expires_in"], Value::Null, "{problem}");
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}", house.home.name);
        assert_eq!(house.refreshes(), 1, "the one that the first caller began");
        // One that never waits gets its token too, some calls later.
        house.faults(Faults { delay_ms: Some(50), ..Faults::default() });
        house.pass(7_200);
        loop {
            let answer = house.ask(Method::GET, &format!("{ROUTE}?wait=0"), None).await;
            if answer.status() == 200 {
                break;
            }
            read(answer, "refresh_in_progress").await;
            assert!(house.refreshes() <= 2);
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn a_process_that_ends_begins_nothing_new() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.connected_app("globex").await;
        // Neighbours whose tokens are due, one for each call until the drain begins.
        let neighbours: Vec<String> = (0..60).map(|n| format!("f{n}")).collect();
        for flow in &neighbours {
            house.import("globex", "sandbox", &json!({"flow": flow, "expires_in": 1_000})).await;
        }
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let http = house.broker.http.clone();
        let (slow, fast) = (house.broker.at(ROUTE), house.broker.at("/globex/sandbox/binb-token"));
        house.pass(3_570);
        house.faults(Faults { delay_ms: Some(2_000), ..Faults::default() }.times(1));
        let under_way = tokio::spawn(http.get(slow).query(&[("min_ttl", "60")]).bearer_auth(&bearer).send());
        while house.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        let House { broker, sandbox, home } = house;
        let ending = tokio::spawn(broker.stop());
        let mut calls = neighbours.iter();
        let refused = loop {
            let flow = calls.next().expect("the drain begins before so many calls");
            let answer = http.get(format!("{fast}?flow={flow}")).bearer_auth(&bearer).send().await.unwrap();
            if answer.status() != 200 {
                break answer;
            }
        };
        read(refused, "overloaded").await;
        assert_eq!(
            under_way.await.unwrap().unwrap().status(),
            200,
            "what was under way lands: {}",
            home.name
        );
        ending.await.unwrap();
        sandbox.stop().await;
    }
}
