//! Which connection, which grant, and how long a token may live: what the request itself must change.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::house::{CLIENT, CLIENT_SECRET, House};
use crate::support::problem::read;

const ROUTE: &str = "/acme/sandbox/binb-token";
const IMPORT: &str = "/admin/v1/apps/acme/connections/sandbox/import";

#[tokio::test]
async fn several_connections_are_listed_for_whoever_names_none() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.credentials("sandbox", Some("acme")).await;
        for flow in ["west", "east"] {
            house.import("acme", "sandbox", &json!({"flow": flow})).await;
        }
        for route in ["binb-token", "status"] {
            let answer = house.ask(Method::GET, &format!("/acme/sandbox/{route}"), None).await;
            let problem = read(answer, "ambiguous_connection").await;
            assert_eq!(problem["flows"], json!(["east", "west"]), "{}", house.home.name);
        }
        for query in ["flow=east", "auth_flow_id=east"] {
            let handed: Value =
                house.ask(Method::GET, &format!("{ROUTE}?{query}"), None).await.json().await.unwrap();
            assert_eq!(handed["flow"], "east");
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn what_exists_is_not_made_again() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let post = async |path: &str, body: Value| house.ask(Method::POST, path, Some(&body)).await;
        read(post("/admin/v1/apps", json!({"id": "acme", "name": "Again"})).await, "already_exists").await;
        house.app("gone", "Gone").await;
        let deleted = house.ask(Method::DELETE, "/admin/v1/apps/gone?confirm=gone", None).await;
        assert!(deleted.status().is_success());
        read(post("/admin/v1/apps", json!({"id": "gone", "name": "Never reused"})).await, "already_exists")
            .await;
        read(post(IMPORT, json!({"access_token": "another"})).await, "already_exists").await;
        let own = json!({
            "id": "github", "display_name": "Mine", "authorization_url": "https://evil.example/authorize",
            "token_url": "https://evil.example/token",
        });
        read(post("/admin/v1/connectors", own).await, "already_exists").await;
        let job = json!({"identifier": "job", "kind": "service"});
        let client = house.client(&job).await;
        read(post("/admin/v1/clients", job).await, "already_exists").await;
        let secrets = format!("/admin/v1/clients/{}/secrets", client.0);
        assert_eq!(post(&secrets, json!({})).await.status(), 201);
        read(post(&secrets, json!({})).await, "already_exists").await;
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_refresh_token_has_one_owner_and_is_spent_once() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.connected_app("globex").await;
        house.credentials("sandbox", Some("acme")).await;
        let first = house.import("acme", "sandbox", &json!({})).await;
        let mut elsewhere = first.clone();
        elsewhere["flow"] = json!("second");
        read(house.ask(Method::POST, IMPORT, Some(&elsewhere)).await, "duplicate_grant").await;
        let mut stolen = first.clone();
        stolen["replace"] = json!(true);
        let route = "/admin/v1/apps/globex/connections/sandbox/import";
        read(house.ask(Method::POST, route, Some(&stolen)).await, "duplicate_grant").await;
        house.pass(7_200);
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 200);
        assert_eq!(house.refreshes(), 1);
        read(house.ask(Method::POST, IMPORT, Some(&stolen)).await, "already_spent").await;
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_change_over_a_newer_value_is_refused() {
    for house in House::each().await {
        let credentials = json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET});
        let route = "/admin/v1/connectors/sandbox/credentials";
        let first = house.ask(Method::PUT, route, Some(&credentials)).await;
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        let client = house.client(&json!({"identifier": "job", "kind": "service"})).await;
        let client = format!("/admin/v1/clients/{}", client.0);
        let client_tag = house.ask(Method::GET, &client, None).await.headers()["etag"].clone();
        let client_tag = client_tag.to_str().unwrap();
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let send = async |method: Method, path: &str, tag: &str, body: Value| {
            let request = house.broker.http.request(method, house.broker.at(path)).bearer_auth(&bearer);
            request.header("if-match", tag).json(&body).send().await.unwrap()
        };
        let renamed = json!({"identifier": "renamed"});
        assert_eq!(send(Method::PUT, route, &tag, credentials.clone()).await.status(), 200);
        assert_eq!(send(Method::PATCH, &client, client_tag, renamed.clone()).await.status(), 200);
        for stale in [tag.as_str(), "\"99\"", "W/\"1\"", "anything"] {
            read(send(Method::PUT, route, stale, credentials.clone()).await, "precondition_failed").await;
            read(send(Method::DELETE, route, stale, json!(null)).await, "precondition_failed").await;
        }
        read(send(Method::PATCH, &client, client_tag, renamed).await, "precondition_failed").await;
        assert_eq!(house.ask(Method::GET, route, None).await.status(), 200, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn more_life_than_there_is_costs_no_call() {
    for house in House::each().await {
        house.connected_app("acme").await;
        // An import tells no lifetime: the first refresh does.
        house.pass(3_590);
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 200);
        assert_eq!(house.refreshes(), 1);
        house.pass(400);
        for min_ttl in [3_241, 3_600, 86_400] {
            let answer = house.ask(Method::GET, &format!("{ROUTE}?min_ttl={min_ttl}"), None).await;
            let problem = read(answer, "ttl_unsatisfiable").await;
            assert_eq!(problem["max_ttl"], 3_240, "{}", house.home.name);
        }
        assert_eq!(house.refreshes(), 1, "decided without the provider");
        let answer = house.ask(Method::GET, &format!("{ROUTE}?min_ttl=3240"), None).await;
        let handed: Value = answer.json().await.unwrap();
        assert_eq!((&handed["generation"], &handed["refreshed"]), (&json!(3), &json!(true)), "{handed}");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_lifetime_that_a_definition_names_is_known_without_a_call() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.connector("named", &json!({"access_token_lifetime_s": 3_600})).await;
        house.credentials("named", None).await;
        house.import("acme", "named", &json!({"expires_in": 600})).await;
        for _ in 0..2 {
            let answer = house.ask(Method::GET, "/acme/named/binb-token?min_ttl=3241", None).await;
            let problem = read(answer, "ttl_unsatisfiable").await;
            assert_eq!(problem["max_ttl"], 3_240, "{}", house.home.name);
        }
        assert_eq!(house.refreshes(), 0, "decided without the provider");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_lifetime_that_nobody_knows_costs_one_refresh_and_no_other() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.credentials("sandbox", Some("acme")).await;
        // What is left of an imported token says nothing about the next one.
        house.import("acme", "sandbox", &json!({"expires_in": 600})).await;
        for _ in 0..3 {
            let answer = house.ask(Method::GET, &format!("{ROUTE}?min_ttl=86400"), None).await;
            let problem = read(answer, "ttl_unsatisfiable").await;
            assert!(problem["max_ttl"].as_i64().unwrap() >= 3_240, "{problem}");
            assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        }
        // It stays known: a token set from elsewhere makes no provider forget it.
        house.import("acme", "sandbox", &json!({"expires_in": 600, "replace": true})).await;
        let answer = house.ask(Method::GET, &format!("{ROUTE}?min_ttl=86400"), None).await;
        assert_eq!(read(answer, "ttl_unsatisfiable").await["max_ttl"], 3_240);
        assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn without_a_client_id_at_the_provider_nothing_is_refreshed() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.import("acme", "sandbox", &json!({})).await;
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["degraded"]), (200, &Value::Null), "it lives");
        house.pass(7_200);
        read(house.ask(Method::GET, ROUTE, None).await, "credentials_missing").await;
        house.credentials("sandbox", None).await;
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}", house.home.name);
        house.stop().await;
    }
}
