//! What may be kept of an answer, and how long may a request take to come? Nothing but what is meant for everybody; not
//! long.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::house::House;

/// Routes of browsers and strangers, which the interface's description leaves out.
const OTHERS: [&str; 23] = [
    "/",
    "/login",
    "/login/oidc",
    "/login/oidc/callback",
    "/login/oidc/unlink",
    "/logout",
    "/invitations/x",
    "/account",
    "/account/applications",
    "/account/password/x",
    "/account/sessions",
    "/acme/connect",
    "/acme/sandbox/signup",
    "/connect/confirm",
    "/connect/sandbox/callback",
    "/connect/sandbox/callback/acme",
    "/connect/sandbox/install",
    "/o/token",
    "/o/nothing/",
    "/admin/v1/nothing",
    "/nothing",
    "/static/nothing.css",
    "/.well-known/nothing",
];
/// What is the same for everybody.
const PUBLIC: [(&str, &str); 6] = [
    ("/.well-known/jwks.json", "public, max-age=300"),
    ("/.well-known/oauth-authorization-server", "public, max-age=300"),
    ("/.well-known/openid-configuration", "public, max-age=300"),
    ("/docs", "public, max-age=300"),
    ("/docs/openapi.json", "public, max-age=300"),
    ("/static/style.css", "public, max-age=86400"),
];

fn described() -> Vec<String> {
    let document: Value = serde_json::from_str(&jeton::http::openapi::document()).unwrap();
    let paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert!(paths.len() > 25, "{paths:?}");
    let known = [("{app_id}", "acme"), ("{connector}", "sandbox"), ("{code}", "not_found")];
    let filled = |path: String| known.iter().fold(path, |path, (name, value)| path.replace(name, value));
    paths.into_iter().map(filled).map(|path| path.replace(['{', '}'], "")).collect()
}

fn kept(answer: &Response) -> Vec<String> {
    let values = answer.headers().get_all("cache-control").iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn nothing_is_kept_but_what_is_meant_for_everybody() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let others = OTHERS.iter().map(|path| (*path).to_owned());
        let paths: Vec<String> = described().into_iter().chain(others).collect();
        let mut served = 0;
        // Deletions come last, so that there is something to answer before.
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let public = |path: &str| method == Method::GET && PUBLIC.iter().any(|(known, _)| *known == path);
            for path in paths.iter().filter(|path| !public(path)) {
                let bare =
                    house.broker.http.request(method.clone(), house.broker.at(path)).send().await.unwrap();
                let asked = house.ask(method.clone(), path, None).await;
                served += usize::from(asked.status().is_success());
                for answer in [bare, asked] {
                    assert_eq!(kept(&answer), ["no-store"], "{method} {path}: {}", answer.status());
                }
            }
        }
        assert!(served >= 15, "{served}: refusals are not all that was looked at");
        for (path, expected) in PUBLIC {
            let answer = house.broker.http.get(house.broker.at(path)).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), kept(&answer)), (200, vec![expected.to_owned()]), "{path}");
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_its_connection_whoever_answers() {
    let house = House::start().await;
    let bearer = house.broker.token_of(&house.broker.superadmin).await;
    let ask = async |path: &str, media: &str, more: &str| {
        let host = house.broker.direct.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {media}\r\ncontent-length: 64\r\n{more}\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = String::new();
        let end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut told)).await;
        assert!(end.is_ok(), "{path} was left open after {told}");
        told.to_ascii_lowercase()
    };
    let form = "application/x-www-form-urlencoded";
    let authorization = format!("authorization: Bearer {bearer}\r\n");
    let (problem, error, page) = tokio::join!(
        ask("/admin/v1/apps", "application/json", &authorization),
        ask("/o/token/", form, ""),
        ask("/login", form, ""),
    );
    for (told, content) in [(problem, "application/problem+json"), (error, "\"error\""), (page, "<html")] {
        assert!(told.starts_with("http/1.1 400 "), "{told}");
        assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
        assert!(told.contains(content) && told.contains("did not arrive in time"), "{told}");
    }
    house.stop().await;
}
