//! Who is nobody, who may not, and that neither learns what exists.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::app::{Broker, Home};
use crate::support::house::House;
use crate::support::problem::{read, without_trace_id};

const ROUTE: &str = "/acme/sandbox/binb-token";

async fn call(house: &House, path: &str, authorization: &str) -> Response {
    house.broker.http.get(house.broker.at(path)).header("authorization", authorization).send().await.unwrap()
}

fn challenge(answer: &Response) -> String {
    answer.headers()["www-authenticate"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_sends_no_token_is_asked_for_one() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let (id, secret) = &house.broker.superadmin;
        let get = |path: &str| house.broker.http.get(house.broker.at(path));
        let requests = [
            get(ROUTE),
            get("/acme/sandbox/status"),
            get("/admin/v1/apps"),
            get("/nowhere/sandbox/binb-token"),
            get(ROUTE).basic_auth(id, Some(secret)),
            // RFC 6750 §2.3 is not taken: URLs are logged on the way.
            get(&format!("{ROUTE}?access_token={bearer}")),
            get(ROUTE).header("cookie", format!("access_token={bearer}")),
        ];
        for request in requests {
            let answer = request.send().await.unwrap();
            assert_eq!(challenge(&answer), "Bearer realm=\"jeton\"", "RFC 6750 §3: no error without a token");
            read(answer, "unauthenticated").await;
        }
        assert_eq!(house.refreshes(), 0);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let (head, signature) = bearer.rsplit_once('.').unwrap();
        let (header, claims) = head.split_once('.').unwrap();
        let forged = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "at+jwt"}).to_string());
        let mut wide: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        wide["exp"] = json!(4_000_000_000_u64);
        let wide = URL_SAFE_NO_PAD.encode(wide.to_string());
        let twin = other_key(&house).await;
        let tokens = [
            "garbage".to_owned(),
            "a.b.c".to_owned(),
            format!("{head}."),
            format!("{forged}.{claims}."),
            format!("{header}.{wide}.{signature}"),
            format!("{bearer} {bearer}"),
            twin,
        ];
        for token in &tokens {
            let answer = call(&house, ROUTE, &format!("Bearer {token}")).await;
            assert!(challenge(&answer).contains("error=\"invalid_token\""), "{token}");
            let problem = read(answer, "invalid_token").await;
            assert!(!problem.to_string().contains(token.as_str()), "the answer repeats the token");
        }
        let twice = house.broker.http.get(house.broker.at(ROUTE)).bearer_auth(&bearer).bearer_auth(&bearer);
        read(twice.send().await.unwrap(), "invalid_token").await;
        assert_eq!(call(&house, ROUTE, &format!("Bearer {bearer}")).await.status(), 200);
        house.pass(3_700);
        let answer = call(&house, ROUTE, &format!("Bearer {bearer}")).await;
        assert!(challenge(&answer).contains("error=\"invalid_token\""));
        read(answer, "invalid_token").await;
        assert_eq!(house.refreshes(), 0, "{}", house.home.name);
        house.stop().await;
    }
}

/// A token of another instance that claims the same issuer.
async fn other_key(house: &House) -> String {
    let home = Home::sqlite();
    let twin =
        Broker::start_at(&home, Arc::clone(&house.broker.clock), &[("public_url", &house.broker.url)]).await;
    let (id, secret) = &twin.superadmin;
    let form = [("grant_type", "client_credentials")];
    let request =
        twin.http.post(format!("{}/o/token/", twin.direct)).basic_auth(id, Some(secret)).form(&form);
    let issued: Value = request.send().await.unwrap().json().await.unwrap();
    twin.stop().await;
    issued["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_that_was_disabled_or_deleted_is_told_so() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let body = |name: &str| json!({"identifier": name, "kind": "service", "role": "superadmin"});
        let (off, gone) = (house.client(&body("off")).await, house.client(&body("gone")).await);
        let (off_token, gone_token) = (house.broker.token_of(&off).await, house.broker.token_of(&gone).await);
        for token in [&off_token, &gone_token] {
            assert_eq!(call(&house, ROUTE, &format!("Bearer {token}")).await.status(), 200);
        }
        house.write(Method::PATCH, &format!("/clients/{}", off.0), &json!({"disabled": true})).await;
        house.ask(Method::DELETE, &format!("/admin/v1/clients/{}", gone.0), None).await;
        for token in [&off_token, &gone_token] {
            let answer = call(&house, ROUTE, &format!("Bearer {token}")).await;
            assert!(challenge(&answer).contains("error=\"invalid_token\""));
            read(answer, "client_disabled").await;
        }
        house.write(Method::PATCH, &format!("/clients/{}", off.0), &json!({"disabled": false})).await;
        assert_eq!(call(&house, ROUTE, &format!("Bearer {off_token}")).await.status(), 200);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_token_older_than_a_deleted_secret_is_refused() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let made = json!({"identifier": "job", "kind": "service", "role": "superadmin"});
        let made = house.write(Method::POST, "/clients", &made).await;
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let client = (text("client_id"), text("client_secret"));
        let token = house.broker.token_of(&client).await;
        let second = house.write(Method::POST, &format!("/clients/{}/secrets", client.0), &json!({})).await;
        let path = format!("/admin/v1/clients/{}/secrets/{}", client.0, text("secret_id"));
        // The token's time of issue has whole seconds.
        house.pass(2);
        let deleted = house.ask(Method::DELETE, &path, None).await;
        assert!(deleted.status().is_success(), "{}", deleted.text().await.unwrap());
        read(call(&house, ROUTE, &format!("Bearer {token}")).await, "invalid_token").await;
        house.pass(2);
        let again = (client.0, second["client_secret"].as_str().unwrap().to_owned());
        let token = house.broker.token_of(&again).await;
        assert_eq!(call(&house, ROUTE, &format!("Bearer {token}")).await.status(), 200);
        house.stop().await;
    }
}

/// Status, headers that could tell, body.
async fn seen(answer: Response) -> (u16, Vec<(String, String)>, Value) {
    let mut headers: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    let status = answer.status().as_u16();
    (status, headers, without_trace_id(answer.json().await.unwrap()))
}

#[tokio::test]
async fn who_may_not_learns_nothing_of_what_exists() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.connected_app("globex").await;
        house.app("off", "Off").await;
        house.write(Method::PATCH, "/apps/off", &json!({"state": "disabled"})).await;
        let reader = json!({"identifier": "reader", "kind": "service", "scopes": ["apps:read", "binb:read"]});
        let confined = json!({
            "identifier": "confined", "kind": "service", "role": "superadmin", "allow": ["acme/sandbox"],
        });
        let reader = house.broker.token_of(&house.client(&reader).await).await;
        let confined = house.broker.token_of(&house.client(&confined).await).await;
        for route in ["binb-token", "status"] {
            let own = call(&house, &format!("/acme/sandbox/{route}"), &format!("Bearer {confined}")).await;
            assert_eq!(own.status(), 200, "{}", house.home.name);
            let not_superadmin = format!("/acme/sandbox/{route}");
            read(call(&house, &not_superadmin, &format!("Bearer {reader}")).await, "forbidden").await;
            let mut answers = Vec::new();
            let long = "a".repeat(64);
            for place in [
                "globex/sandbox",
                "nowhere/sandbox",
                "off/sandbox",
                "acme/github",
                "acme/nowhere",
                &long,
                "admin/x",
            ] {
                let place = if place.contains('/') { place.to_owned() } else { format!("{place}/sandbox") };
                let path = format!("/{place}/{route}?color=red");
                let answer = call(&house, &path, &format!("Bearer {confined}")).await;
                assert!(challenge(&answer).contains("error=\"insufficient_scope\""), "{place}");
                answers.push((place, seen(answer).await));
            }
            for (place, answer) in &answers {
                assert_eq!(answer, &answers[0].1, "{place}");
            }
        }
        for path in ["/apps", "/apps/acme", "/apps/nowhere", "/clients", "/connections", "/users"] {
            let answer = call(&house, &format!("/admin/v1{path}"), &format!("Bearer {confined}")).await;
            read(answer, "forbidden").await;
        }
        // A token's holder who may administer nothing cannot probe by writing either.
        let create = house.broker.http.post(house.broker.at("/admin/v1/apps")).bearer_auth(&reader);
        read(create.json(&json!({"id": "acme", "name": "x", "y": 1})).send().await.unwrap(), "forbidden")
            .await;
        house.stop().await;
    }
}

#[tokio::test]
async fn a_disabled_app_gives_nothing_until_it_is_enabled() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.pass(7_200);
        house.write(Method::PATCH, "/apps/acme", &json!({"state": "disabled"})).await;
        for route in ["binb-token", "status"] {
            let answer = house.ask(Method::GET, &format!("/acme/sandbox/{route}"), None).await;
            read(answer, "app_disabled").await;
        }
        assert_eq!(house.refreshes(), 0, "{}", house.home.name);
        house.write(Method::PATCH, "/apps/acme", &json!({"state": "active"})).await;
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 200);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_job_with_a_wrong_secret_is_slowed_down_and_the_right_one_passes() {
    for house in House::each().await {
        let (id, secret) = house.broker.superadmin.clone();
        let ask = async |secret: &str| {
            let request = house.broker.http.post(house.broker.at("/o/token/")).basic_auth(&id, Some(secret));
            request.form(&[("grant_type", "client_credentials")]).send().await.unwrap()
        };
        let mut limited = None;
        for _ in 0..30 {
            let answer = ask("wrong").await;
            if answer.status() == 429 {
                limited = Some(answer);
                break;
            }
            assert_eq!(answer.status(), 401);
            assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_client");
        }
        let limited = limited.expect("thirty failures in a row are too many");
        let seconds: u64 = limited.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(limited.headers()["cache-control"], "no-store");
        assert_eq!(limited.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");
        assert_eq!(ask(&secret).await.status(), 200, "{}", house.home.name);
        house.stop().await;
    }
}
