//! Do we have the faults that were seen in others of our kind? One test each, named by the fault.
//!
//! Elsewhere: a state that is not bound to the browser (`refusals`), secrets in logs (`canary`), ciphertexts moved by
//! SQL (`errors::broken`), fifty callers (`handout`), what a token for another audience does (`guard`).

mod answers;
mod races;

use std::time::{Duration, Instant};

use jeton::sandbox::{Faults, Trouble};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::jar::Jar;
use crate::support::problem::read;
use crate::support::sql::Sql;

const ROUTE: &str = "/acme/sandbox/binb-token";

async fn get(house: &House, query: &str) -> (u16, Value) {
    let answer = house.ask(Method::GET, &format!("{ROUTE}{query}"), None).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Ada, whose app Acme reads Alice's account.
async fn connected(house: &House) -> Jar {
    house.app("acme", "Acme").await;
    house.credentials("sandbox", Some("acme")).await;
    let mut ada = Jar::new();
    ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
    consent(house, &mut ada).await;
    ada
}

async fn consent(house: &House, ada: &mut Jar) {
    let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
    let back = ada.decide(&authorize, "alice", "approve").await;
    let done = ada.get(back.as_str()).await;
    assert_eq!(done.status, 303, "{}", done.body);
}

#[tokio::test]
async fn a_provider_error_while_the_token_lives_does_not_take_it_away() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults::before(Trouble::Status(500)));
        house.pass(3_560);
        let (status, handed) = get(&house, "").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{}", house.home.name);
        assert_eq!(handed["degraded"]["code"], "provider_unavailable", "{handed}");
        assert!(handed["degraded"]["since"].is_string() && handed["degraded"]["detail"].is_string());
        // Whoever asked for more than it gives is told what there is.
        let answer = house.ask(Method::GET, &format!("{ROUTE}?min_ttl=600"), None).await;
        let problem: Value = answer.json().await.unwrap();
        assert!(["provider_unavailable", "refresh_in_progress"].contains(&problem["code"].as_str().unwrap()));
        assert!((1..=40).contains(&problem["current_expires_in"].as_i64().unwrap()), "{problem}");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_forced_refresh_that_fails_does_not_take_the_token_from_the_others() {
    for house in House::each().await {
        let profile = json!({"refresh": {"rotates": false}, "identity": null});
        house.app("acme", "Acme").await;
        house.connector("plain", &profile).await;
        house.credentials("plain", Some("acme")).await;
        house.import("acme", "plain", &json!({})).await;
        house.faults(Faults::before(Trouble::Status(500)));
        let answer = house.ask(Method::GET, "/acme/plain/binb-token?rejected=1", None).await;
        read(answer, "provider_unavailable").await;
        let (status, handed) = house.binb_token("acme", "plain").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{}: {handed}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_token_of_ten_minutes_is_not_refreshed_on_every_read() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults { lifetime_s: Some(600), ..Faults::default() });
        house.pass(3_590);
        assert_eq!(get(&house, "").await.0, 200);
        for _ in 0..4 {
            house.pass(100);
            let (status, handed) = get(&house, "").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}", house.home.name);
        }
        assert_eq!(house.refreshes(), 1, "the first one; none of the four reads");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_dead_grant_is_tried_once_and_kept_with_its_evidence() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.sandbox.handle().revoke_grants_of("alice");
        house.pass(7_200);
        for _ in 0..60 {
            let (status, problem) = get(&house, "").await;
            assert_eq!((status, &problem["code"]), (409, &json!("reauthorization_required")));
            assert_eq!((&problem["action"], &problem["reason"]), (&json!("reauthorize"), &json!("revoked")));
        }
        assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        let sql = Sql::open(&house.home).await;
        assert_eq!(
            sql.count("token_set WHERE sealed_refresh IS NOT NULL AND sealed_access IS NOT NULL").await,
            1
        );
        let list = house.ask(Method::GET, "/admin/v1/connections?state=reauthorization_required", None).await;
        let list: Value = list.json().await.unwrap();
        assert_eq!(list["items"][0]["last_error"]["code"], "invalid_grant", "{list}");
        house.stop().await;
    }
}

#[tokio::test]
async fn an_unknown_client_costs_no_more_than_a_wrong_secret() {
    for house in House::each().await {
        let (id, secret) = house.broker.superadmin.clone();
        let cases = [(id.as_str(), secret.as_str()), (&id, "wrong"), ("nobody", "wrong")];
        let mut took = [const { Vec::new() }; 3];
        for _ in 0..15 {
            for ((id, secret), took) in cases.iter().zip(&mut took) {
                let request =
                    house.broker.http.post(house.broker.at("/o/token/")).basic_auth(id, Some(secret));
                let begun = Instant::now();
                request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
                took.push(begun.elapsed());
            }
        }
        let [right, wrong, unknown] = took.map(|mut took| {
            took.sort();
            took[took.len() / 2]
        });
        let told = format!("{}: {right:?} {wrong:?} {unknown:?}", house.home.name);
        assert!(
            wrong <= right + Duration::from_millis(20) && unknown <= right + Duration::from_millis(20),
            "{told}"
        );
        assert!(wrong < unknown * 4 && unknown < wrong * 4, "{told}");
        house.stop().await;
    }
}

#[tokio::test]
async fn an_abandoned_or_denied_consent_changes_nothing() {
    for house in House::each().await {
        let mut ada = connected(&house).await;
        let before = get(&house, "").await;
        let status = async || -> Value {
            house.ask(Method::GET, "/acme/sandbox/status", None).await.json().await.unwrap()
        };
        let stood = status().await;
        ada.start(&house.broker.at("/acme/sandbox/signup")).await;
        let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
        let back = ada.decide(&authorize, "alice", "deny").await;
        assert!(ada.get(back.as_str()).await.status.is_client_error());
        house.pass(700);
        let after = get(&house, "").await;
        assert_eq!(
            (&after.1["access_token"], &after.1["generation"]),
            (&before.1["access_token"], &before.1["generation"])
        );
        assert_eq!(status().await, stood);
        house.pass(7_200);
        assert_eq!(get(&house, "").await.1["generation"], 2, "{}: and it is refreshed", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn status_tells_a_revoked_grant_once_it_is_known() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.sandbox.handle().revoke_grants_of("alice");
        let status = async || -> Value {
            house.ask(Method::GET, "/acme/sandbox/status", None).await.json().await.unwrap()
        };
        assert_eq!(status().await["state"], "active", "nobody has asked the provider yet");
        // A job does; its token is refused, so is the refresh.
        let (code, problem) = get(&house, "?rejected=1").await;
        assert_eq!((code, &problem["code"]), (409, &json!("reauthorization_required")), "{problem}");
        let told = status().await;
        assert_eq!(
            (&told["state"], &told["reason"]),
            (&json!("reauthorization_required"), &json!("revoked"))
        );
        assert_eq!(told["last_error"]["code"], "invalid_grant", "{told}");
        let list: Value = house.ask(Method::GET, "/admin/v1/connections", None).await.json().await.unwrap();
        assert_eq!(list["items"][0]["state"], "reauthorization_required", "{}", house.home.name);
        house.stop().await;
    }
}
