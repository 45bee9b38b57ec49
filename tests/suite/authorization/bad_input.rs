//! Bad input of every kind at every endpoint: the standard's error code, never a 500, never a redirect to an address
//! that is not registered. A1, A2, A3.
//!
//! Here is what no endpoint reads; beside it values that are odd, pages, and good codes that come with something wrong.

mod codes;
mod pages;
mod values;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{World, ask, devices, error, refusal};

const FORMS: [&str; 4] = ["/o/token/", "/o/introspect/", "/o/revoke_token/", "/o/device_authorization/"];

/// Values that have broken parsers before.
const ODD: [&str; 14] = [
    " ",
    "%",
    "../../etc/passwd",
    "'; DROP TABLE client; --",
    "<script>alert(1)</script>",
    "\u{1F600}",
    "\u{202E}abc",
    "null",
    "[]",
    "-1",
    "99999999999999999999",
    "a.b.c.d",
    "00000000000070008000000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "https://evil.example/",
];

#[tokio::test]
async fn the_endpoints_of_programs_take_forms_by_post_and_nothing_else() {
    for world in World::each().await {
        let broker = world.broker();
        let script = devices::script(&world, &json!({})).await;
        let basic = |request: RequestBuilder| request.basic_auth(&world.shop.0, Some(&world.shop.1));
        for path in FORMS {
            let url = broker.at(path);
            for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
                let answer = basic(broker.http.request(method.clone(), &url)).send().await.unwrap();
                assert_eq!(answer.headers()["allow"], "POST", "{method} {path}");
                assert_eq!(answer.headers()["cache-control"], "no-store");
                assert_eq!(refusal(answer).await, error(405, "invalid_request"));
            }
            let json =
                basic(broker.http.post(&url)).json(&serde_json::json!({"grant_type": "client_credentials"}));
            assert_eq!(refusal(json.send().await.unwrap()).await, error(400, "invalid_request"), "{path}");
            let binary =
                basic(broker.http.post(&url)).header("content-type", "application/x-www-form-urlencoded");
            let answer = binary.body(vec![0xff, 0xfe, b'=']).send().await.unwrap();
            assert_eq!(refusal(answer).await, error(400, "invalid_request"), "{path}");
            let large = basic(broker.http.post(&url)).form(&[("token", "a".repeat(70_000))]);
            assert_eq!(refusal(large.send().await.unwrap()).await, error(413, "invalid_request"), "{path}");
            for name in ["client_secret", "client_assertion", "code", "refresh_token", "device_code", "token"]
            {
                let request = basic(broker.http.post(format!("{url}?{name}=x"))).form(&[("token", "x")]);
                let answer = request.send().await.unwrap();
                assert_eq!(
                    refusal(answer).await,
                    error(400, "invalid_request"),
                    "{name} in the URL of {path}"
                );
            }
            let client = if path == "/o/device_authorization/" { &script } else { &world.shop };
            let form = [("grant_type", "client_credentials"), ("token", "x"), ("scope", "openid")];
            let form = &form[if path == "/o/token/" { 0..1 } else { 1..3 }];
            for name in PARAMETERS {
                let twice = [form, &[(name, "x"), (name, "x")]].concat();
                let answer = ask(broker, path, client, &twice).await;
                assert_eq!(refusal(answer).await, error(400, "invalid_request"), "{name} twice at {path}");
            }
            let unknown = [form, &[("utm_source", "x"), ("utm_source", "x")]].concat();
            assert_eq!(ask(broker, path, client, &unknown).await.status(), 200, "{path}");
        }
        world.stop().await;
    }
}

/// What some endpoint or grant reads.
const PARAMETERS: [&str; 22] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion_type",
    "client_assertion",
    "scope",
    "resource",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "device_code",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "actor_token_type",
    "audience",
    "flow",
    "min_ttl",
    "token",
    "token_type_hint",
];

#[tokio::test]
async fn what_no_endpoint_reads_is_refused_in_the_form_of_the_standard() {
    for world in World::each().await {
        let broker = world.broker();
        let post =
            |path: &str| broker.http.post(broker.at(path)).form(&[("grant_type", "client_credentials")]);
        let (long, query) = ("a".repeat(17_000), "a".repeat(9_000));
        let mut table = vec![
            (broker.http.get(broker.at("/o/nothing")), 404),
            (broker.http.get(broker.at("/o/")), 404),
            (post("/o/token/more"), 404),
            (post("/o/sandbox/token"), 404),
            (broker.http.get(broker.at("/o/sandbox/binb-token")), 404),
        ];
        for path in FORMS.iter().chain(&["/o/userinfo/", "/o/nothing"]) {
            table.push((post(&format!("{path}?x={query}")), 413));
            table.push((post(path).header("x-long", &long), 413));
        }
        for (request, status) in table {
            let answer = request.send().await.unwrap();
            let path = answer.url().path().to_owned();
            assert_eq!(answer.status(), status, "{path}");
            let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
            assert_eq!(
                (media.as_str(), &answer.headers()["cache-control"]),
                ("application/json", &"no-store".parse().unwrap())
            );
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["error"], "invalid_request", "{path}: {body}");
            assert!(
                body["error_description"].as_str().is_some_and(|text| !text.is_empty()),
                "{path}: {body}"
            );
            assert_eq!(body.as_object().unwrap().len(), 2, "{status} {path}: {body}");
        }
        let page =
            broker.http.get(broker.at("/o/nothing")).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 404);
        assert!(page.text().await.unwrap().contains("<html"), "a browser gets a page");
        let elsewhere = broker.http.get(broker.at(&format!("/acme?x={query}"))).send().await.unwrap();
        crate::support::problem::read(elsewhere, "too_large").await;
        world.stop().await;
    }
}
