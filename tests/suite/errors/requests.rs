//! What is malformed is told where; what does not exist is told what; nothing is lost by it.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Home, http};
use crate::support::house::House;
use crate::support::problem::read;

/// Query of binb-token, and what is pointed at.
const BAD_QUERIES: &[(&str, &str)] = &[
    ("colour=red", "colour"),
    ("min_ttl=60&colour=red", "colour"),
    ("min_ttl=60&min_ttl=60", "min_ttl"),
    ("min_ttl=60&min%5Fttl=60", "min_ttl"),
    ("min_ttl=0", "min_ttl"),
    ("min_ttl=86401", "min_ttl"),
    ("min_ttl=-1", "min_ttl"),
    ("min_ttl=abc", "min_ttl"),
    ("min_ttl=1e9", "min_ttl"),
    ("min_ttl=60.5", "min_ttl"),
    ("min_ttl=", "min_ttl"),
    ("min_ttl=%D9%A3", "min_ttl"),
    ("min_ttl=99999999999999999999", "min_ttl"),
    ("wait=31", "wait"),
    ("wait=-1", "wait"),
    ("wait=300", "wait"),
    ("wait=soon", "wait"),
    ("rejected=now", "rejected"),
    ("rejected=1&rejected=2", "rejected"),
    ("flow=a&flow=a", "flow"),
    ("flow=a&auth_flow_id=a", "auth_flow_id"),
    ("flow=", "flow"),
    ("flow=a/b", "flow"),
    ("flow=a%20b", "flow"),
    ("auth_flow_id=%F0%9F%92%A5", "auth_flow_id"),
    ("min_ttl=%zz", ""),
    ("flow=%00", ""),
    ("%ff=1", ""),
];

#[tokio::test]
async fn a_query_that_says_nonsense_is_pointed_at_and_loses_nothing() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let long = format!("flow={}", "a".repeat(65));
        for (query, pointer) in BAD_QUERIES.iter().chain([&(long.as_str(), "flow")]) {
            let answer = house.ask(Method::GET, &format!("/acme/sandbox/binb-token?{query}"), None).await;
            let problem = read(answer, "invalid_request").await;
            assert_eq!(problem["errors"][0]["pointer"], *pointer, "{query}: {problem}");
            assert!(problem["errors"][0]["detail"].is_string(), "{query}: {problem}");
        }
        for query in ["min_ttl=60", "rejected=1", "flow=a&flow=b", "flow=a/b"] {
            let answer = house.ask(Method::GET, &format!("/acme/sandbox/status?{query}"), None).await;
            read(answer, "invalid_request").await;
        }
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{}", house.home.name);
        assert_eq!(house.refreshes(), 0);
        house.stop().await;
    }
}

/// Method, path below the administration, body, what is pointed at.
fn bad_bodies() -> Vec<(Method, &'static str, String, &'static str)> {
    let long = "a".repeat(64);
    let cases: [(Method, &'static str, String, &'static str); 20] = [
        (Method::POST, "/apps", json!({"id": long, "name": "Long"}).to_string(), "/id"),
        (Method::POST, "/apps", json!({"id": "admin", "name": "Reserved"}).to_string(), "/id"),
        (Method::POST, "/apps", json!({"id": "well-known", "name": "Reserved"}).to_string(), "/id"),
        (Method::POST, "/apps", json!({"id": "Acme", "name": "Upper"}).to_string(), "/id"),
        (Method::POST, "/apps", json!({"id": "-acme", "name": "Dash"}).to_string(), "/id"),
        (Method::POST, "/apps", json!({"id": "", "name": "Empty"}).to_string(), "/id"),
        (Method::POST, "/apps", json!({"id": "acme/../x", "name": "Path"}).to_string(), "/id"),
        (Method::POST, "/apps", json!({"id": "new"}).to_string(), "/name"),
        (Method::POST, "/apps", json!({"id": "new", "name": "New", "color": 1}).to_string(), "/color"),
        (Method::POST, "/apps", r#"{"id":"new","id":"new","name":"New"}"#.to_owned(), "/id"),
        (Method::POST, "/apps", "{\"id\":".to_owned(), ""),
        (Method::POST, "/apps", String::new(), ""),
        (Method::POST, "/apps", "[]".to_owned(), ""),
        (Method::PATCH, "/apps/acme", json!({"state": "gone"}).to_string(), "/state"),
        (
            Method::POST,
            "/apps/acme/connections/sandbox/import",
            json!({"refresh_token": "r"}).to_string(),
            "/access_token",
        ),
        (
            Method::POST,
            "/apps/acme/connections/sandbox/import",
            json!({"access_token": "a\r\nb", "flow": "other"}).to_string(),
            "/access_token",
        ),
        (
            Method::POST,
            "/apps/acme/connections/sandbox/import",
            json!({"access_token": "a", "expires_in": -1, "flow": "other"}).to_string(),
            "/expires_in",
        ),
        (
            Method::POST,
            "/apps/acme/connections/sandbox/import",
            json!({"access_token": "a", "flow": "a b"}).to_string(),
            "/flow",
        ),
        (
            Method::POST,
            "/clients",
            json!({"identifier": "x", "kind": "service", "allow": ["acme"]}).to_string(),
            "/allow/0",
        ),
        (Method::POST, "/clients", json!({"identifier": "x", "kind": "robot"}).to_string(), "/kind"),
    ];
    cases.into()
}

#[tokio::test]
async fn a_body_that_says_nonsense_is_pointed_at_and_changes_nothing() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        for (method, path, body, pointer) in bad_bodies() {
            let request = house.broker.http.request(method, house.broker.at(&format!("/admin/v1{path}")));
            let request = request.bearer_auth(&bearer).header("content-type", "application/json");
            let problem = read(request.body(body.clone()).send().await.unwrap(), "invalid_request").await;
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{path} {body}: {problem}");
        }
        let count = async |path: &str| {
            let list: Value = house.ask(Method::GET, path, None).await.json().await.unwrap();
            list["items"].as_array().unwrap().len()
        };
        assert_eq!(count("/admin/v1/apps").await, 1, "{}", house.home.name);
        assert_eq!(count("/admin/v1/connections").await, 1);
        assert_eq!(count("/admin/v1/clients").await, 1, "the superadmin alone");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_of_another_kind_is_refused() {
    for house in House::each().await {
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let post = |content_type: &'static str, body: Vec<u8>| {
            let request = house.broker.http.post(house.broker.at("/admin/v1/apps")).bearer_auth(&bearer);
            request.header("content-type", content_type).body(body).send()
        };
        let good = json!({"id": "acme", "name": "Acme"}).to_string().into_bytes();
        let huge = json!({"id": "acme", "name": "x".repeat(1 << 20)}).to_string().into_bytes();
        let just_over = json!({"id": "acme", "name": "x".repeat(64 << 10)}).to_string().into_bytes();
        read(post("application/json", huge).await.unwrap(), "too_large").await;
        read(post("application/json", just_over).await.unwrap(), "too_large").await;
        for other in
            ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "json"]
        {
            read(post(other, good.clone()).await.unwrap(), "unsupported_media_type").await;
        }
        let none = house.broker.http.post(house.broker.at("/admin/v1/apps")).bearer_auth(&bearer);
        read(none.body(good.clone()).send().await.unwrap(), "unsupported_media_type").await;
        let packed = house.broker.http.post(house.broker.at("/admin/v1/apps")).bearer_auth(&bearer);
        let packed = packed.header("content-type", "application/json").header("content-encoding", "gzip");
        read(packed.body(good.clone()).send().await.unwrap(), "unsupported_media_type").await;
        // The refused bodies left the id free.
        assert_eq!(post("application/json", good).await.unwrap().status(), 201, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let (app, connector) = ("a".repeat(64), "c".repeat(41));
    let absent = [
        ("/nowhere/sandbox/binb-token".to_owned(), "app_not_found"),
        (format!("/{app}/sandbox/binb-token"), "app_not_found"),
        (format!("/{app}/sandbox/status"), "app_not_found"),
        ("/ACME/sandbox/binb-token".to_owned(), "app_not_found"),
        ("/acme%2F/sandbox/binb-token".to_owned(), "app_not_found"),
        ("/acme%00/sandbox/binb-token".to_owned(), "app_not_found"),
        ("/%61dmin/sandbox/binb-token".to_owned(), "app_not_found"),
        ("/admin/sandbox/binb-token".to_owned(), "app_not_found"),
        ("/static/sandbox/status".to_owned(), "app_not_found"),
        ("/acme/nowhere/binb-token".to_owned(), "connector_not_found"),
        ("/acme/nowhere/status".to_owned(), "connector_not_found"),
        (format!("/acme/{connector}/binb-token"), "connector_not_found"),
        ("/acme/sand_box/binb-token".to_owned(), "connector_not_found"),
        ("/admin/v1/apps/nowhere".to_owned(), "app_not_found"),
        (format!("/admin/v1/apps/{app}"), "app_not_found"),
        ("/admin/v1/apps/admin/connections".to_owned(), "app_not_found"),
        ("/admin/v1/apps/acme/connections/nowhere".to_owned(), "connector_not_found"),
        ("/admin/v1/connectors/nowhere".to_owned(), "connector_not_found"),
        ("/admin/v1/clients/nobody".to_owned(), "not_found"),
        ("/admin/v1/users/1".to_owned(), "not_found"),
        ("/admin/v1/nothing".to_owned(), "not_found"),
        ("/a/b/c/d/e".to_owned(), "not_found"),
    ];
    for house in House::each().await {
        house.connected_app("acme").await;
        for (path, code) in &absent {
            let problem = read(house.ask(Method::GET, path, None).await, code).await;
            let is_no_route = ["/admin/v1/nothing", "/a/b/c/d/e"].contains(&path.as_str());
            assert_eq!(problem["detail"].as_str().unwrap().contains("JETON_URL"), is_no_route, "{problem}");
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn an_account_that_is_not_connected_is_answered_with_where_to_connect_it() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.app("globex", "Globex").await;
        let cases = [
            ("/globex/sandbox/binb-token", "/globex/sandbox/signup"),
            ("/globex/SANDBOX/status", "/globex/sandbox/signup"),
            ("/globex/sandbox/binb-token?flow=default", "/globex/sandbox/signup"),
            ("/acme/sandbox/binb-token?flow=second", "/acme/sandbox/signup?flow=second"),
            ("/acme/sandbox/status?auth_flow_id=second", "/acme/sandbox/signup?flow=second"),
            ("/acme/github/binb-token", "/acme/github/signup"),
        ];
        for (path, signup) in cases {
            let problem = read(house.ask(Method::GET, path, None).await, "connection_not_found").await;
            assert_eq!(problem["signup_url"], house.broker.at(signup), "{path}");
        }
        let deleted = house.ask(Method::DELETE, "/admin/v1/apps/acme/connections/sandbox", None).await;
        assert_eq!(deleted.status(), 200);
        for route in ["binb-token", "status"] {
            let answer = house.ask(Method::GET, &format!("/acme/sandbox/{route}"), None).await;
            let problem = read(answer, "connection_not_found").await;
            assert_eq!(problem["signup_url"], house.broker.at("/acme/sandbox/signup"));
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn connector_names_are_case_blind_and_a_public_path_is_optional() {
    for home in Home::each().await {
        let house = House::on(home, &[("public_url", "https://api.example.com/laputa")]).await;
        let at = |path: &str| format!("{}{path}", house.broker.direct);
        let (id, secret) = &house.broker.superadmin;
        let form = [("grant_type", "client_credentials")];
        let answer = http().post(at("/laputa/o/token/")).basic_auth(id, Some(secret)).form(&form);
        let issued: Value = answer.send().await.unwrap().json().await.unwrap();
        let bearer = issued["access_token"].as_str().unwrap();
        let send = |method: Method, path: &str, body: Value| {
            http().request(method, at(path)).bearer_auth(bearer).json(&body).send()
        };
        let app = json!({"id": "acme", "name": "Acme"});
        assert_eq!(send(Method::POST, "/laputa/admin/v1/apps", app).await.unwrap().status(), 201);
        let import = json!({"access_token": "gho_token"});
        let route = "/admin/v1/apps/acme/connections/GitHub/import";
        assert_eq!(send(Method::POST, route, import).await.unwrap().status(), 201, "{}", house.home.name);
        let mut answers = BTreeMap::new();
        for path in ["/acme/GitHub", "/acme/github", "/laputa/acme/GITHUB", "/laputa/acme/gitHub"] {
            let answer =
                http().get(at(&format!("{path}/binb-token"))).bearer_auth(bearer).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            answers.insert(path, answer.json::<Value>().await.unwrap());
        }
        assert!(answers.values().all(|answer| answer == &answers["/acme/github"]), "{answers:?}");
        assert_eq!(answers["/acme/GitHub"]["connector"], "github");
        for path in ["/acme/Aircall/binb-token", "/laputa/acme/Aircall/binb-token"] {
            let answer = http().get(at(path)).bearer_auth(bearer).send().await.unwrap();
            let problem = read(answer, "connection_not_found").await;
            assert_eq!(problem["signup_url"], "https://api.example.com/laputa/acme/aircall/signup");
        }
        let own = send(Method::POST, "/admin/v1/apps", json!({"id": "laputa", "name": "Laputa"})).await;
        let problem = read(own.unwrap(), "invalid_request").await;
        assert_eq!(problem["errors"][0]["pointer"], "/id", "the path's first segment is reserved");
        house.stop().await;
    }
}
