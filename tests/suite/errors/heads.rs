//! HEAD: as GET without the body (RFC 9110 §9.3.2), and refused where GET has an effect or hands something out.

use reqwest::{Method, Response};

use crate::support::app::Home;
use crate::support::house::House;

/// What says something about the body; the rest differs from request to request, or is named alike.
const TELLING: [&str; 7] = [
    "content-type",
    "cache-control",
    "etag",
    "location",
    "content-security-policy",
    "www-authenticate",
    "content-length",
];

fn told(answer: &Response, lively: bool) -> (u16, Vec<Option<String>>, Vec<String>) {
    let headers = answer.headers();
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let telling = TELLING.iter().filter(|name| !lively || **name != "content-length");
    let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
    names.sort();
    (answer.status().as_u16(), telling.map(|name| value(name)).collect(), names)
}

#[tokio::test]
async fn what_can_be_read_answers_head_as_it_answers_get() {
    let house = House::on(Home::sqlite(), &[]).await;
    house.connected_app("acme").await;
    let paths = [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/problems/not_found",
        "/problems/nothing",
        "/docs",
        "/docs/openapi.json",
        "/static/style.css",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/login",
        "/account",
        "/acme/connect",
        "/acme/sandbox/status",
        "/globex/sandbox/status",
        "/o/device/",
        "/o/userinfo/",
        "/admin/v1/apps",
        "/admin/v1/apps/acme",
        "/admin/v1/connectors/sandbox/credentials",
        "/admin/v1/clients",
        "/admin/v1/keys/signing",
        "/nowhere/at/all/really",
    ];
    for path in paths {
        // The figures have grown meanwhile.
        let lively = path == "/metrics";
        let (get, head) =
            (house.ask(Method::GET, path, None).await, house.ask(Method::HEAD, path, None).await);
        assert_ne!(get.status(), 405, "{path}");
        assert_eq!(told(&head, lively), told(&get, lively), "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        let url = house.broker.at(path);
        let stranger = house.broker.http.get(&url).send().await.unwrap();
        let head = house.broker.http.head(&url).send().await.unwrap();
        assert_eq!(told(&head, lively), told(&stranger, lively), "{path}");
    }
    let answer = house.broker.http.put(house.broker.at("/healthz")).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET, HEAD");
    house.stop().await;
}

#[tokio::test]
async fn what_hands_out_or_is_used_up_refuses_head() {
    let house = House::on(Home::sqlite(), &[]).await;
    house.connected_app("acme").await;
    let paths = [
        "/acme/sandbox/binb-token",
        "/acme/sandbox/token",
        "/acme/sandbox/signup",
        "/connect/sandbox/callback?code=x&state=x",
        "/connect/sandbox/callback/acme?code=x&state=x",
        "/connect/sandbox/install",
        "/connect/confirm",
        "/connect/links/x",
        "/invitations/x",
        "/account/password/x",
        "/login/oidc/callback",
        "/logout",
        "/o/authorize/",
        "/o/token/",
    ];
    for path in paths {
        let head = house.ask(Method::HEAD, path, None).await;
        assert_eq!(head.status(), 405, "{path}");
        let allow = head.headers()["allow"].to_str().unwrap();
        assert!(!allow.contains("HEAD"), "{path}: {allow}");
    }
    house.stop().await;
}
