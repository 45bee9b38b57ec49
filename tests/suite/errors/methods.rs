//! A method that a route does not take: 405, with those it takes.

use reqwest::Method;
use serde_json::Value;

use crate::support::app::{Home, http};
use crate::support::house::House;
use crate::support::problem::read;

#[tokio::test]
async fn a_method_that_a_route_does_not_take_is_answered_with_those_it_takes() {
    let house = House::on(Home::sqlite(), &[]).await;
    house.app("acme", "Acme").await;
    let cases = [
        (Method::POST, "/acme/sandbox/binb-token", "GET"),
        (Method::DELETE, "/acme/sandbox/status", "GET, HEAD"),
        (Method::PUT, "/healthz", "GET, HEAD"),
        (Method::DELETE, "/admin/v1/apps", "GET, HEAD, POST"),
        (Method::PUT, "/admin/v1/apps/acme", "GET, HEAD, PATCH, DELETE"),
        (Method::GET, "/admin/v1/apps/acme/connections/sandbox/import", "POST"),
        (Method::POST, "/admin/v1/connectors/sandbox/credentials", "GET, HEAD, PUT, DELETE"),
        (Method::POST, "/admin/v1/connections", "GET, HEAD"),
        (Method::GET, "/admin/v1/users/1/password-link", "POST"),
    ];
    for (method, path, allowed) in cases {
        let answer = house.ask(method.clone(), path, None).await;
        let allow = answer.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(allow.as_deref(), Some(allowed), "{method} {path}");
        read(answer, "method_not_allowed").await;
    }
    house.stop().await;
}

/// Every path of the reference, and every method it does not name there.
#[tokio::test]
async fn every_route_of_the_reference_says_which_methods_it_takes() {
    let house = House::on(Home::sqlite(), &[]).await;
    let document = house.broker.http.get(house.broker.at("/docs/openapi.json")).send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    let mut walked = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        let path =
            template.replace("{app_id}", "acme").replace("{connector}", "sandbox").replace(['{', '}'], "");
        let documented: Vec<_> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let mut taken: Vec<&str> = documented.iter().map(String::as_str).collect();
        if taken.contains(&"GET") && !template.ends_with("/binb-token") && template != "/o/authorize/" {
            // What GET reads, HEAD asks about; the reference need not say so.
            taken.push("HEAD");
        }
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            if taken.contains(&method.as_str()) {
                continue;
            }
            let answer =
                house.broker.http.request(method.clone(), house.broker.at(&path)).send().await.unwrap();
            let allow = answer.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
            let mut allowed: Vec<_> = allow.as_deref().unwrap_or_default().split(", ").collect();
            allowed.sort_unstable();
            taken.sort_unstable();
            assert_eq!(allowed, taken, "{method} {template}: {}", answer.status());
            walked += 1;
            if ["/o/authorize/", "/o/device/"].contains(&template.as_str()) {
                assert_eq!(answer.status(), 405, "{method} {template}");
                assert_eq!(
                    answer.headers()["content-type"],
                    "text/html; charset=utf-8",
                    "{method} {template}"
                );
            } else if template.starts_with("/o/") || template.ends_with("/token") {
                assert_eq!(answer.status(), 405, "{method} {template}");
                let body: Value = answer.json().await.unwrap();
                assert_eq!(body["error"], "invalid_request", "{method} {template}: {body}");
            } else {
                read(answer, "method_not_allowed").await;
            }
        }
    }
    assert!(walked > 100, "{walked}");
    house.stop().await;
}

#[tokio::test]
async fn what_the_reference_does_not_name_says_which_methods_it_takes_too() {
    let house = House::on(Home::sqlite(), &[("public_url", "https://api.example.com/laputa")]).await;
    let cases = [
        ("/", "GET, HEAD"),
        ("/login", "GET, HEAD, POST"),
        ("/login/proxy", "POST"),
        ("/logout", "POST"),
        ("/login/oidc", "POST"),
        ("/login/oidc/callback", "GET"),
        ("/login/oidc/unlink", "POST"),
        ("/invitations/x", "GET, POST"),
        ("/account", "GET, HEAD"),
        ("/account/sessions", "POST"),
        ("/account/applications", "POST"),
        ("/account/password/x", "GET, POST"),
        ("/connect/sandbox/callback", "GET"),
        ("/connect/sandbox/callback/acme", "GET"),
        ("/connect/sandbox/install", "GET, POST"),
        ("/connect/confirm", "GET, POST"),
        ("/connect/links/x", "GET, POST"),
        ("/acme/connect", "GET, HEAD"),
        ("/acme/sandbox/signup", "GET, POST"),
        ("/o/authorize", "GET, POST"),
        ("/o/device", "GET, HEAD, POST"),
        ("/o/userinfo", "GET, HEAD, POST"),
        ("/o/token", "POST"),
        ("/static/style.css", "GET, HEAD"),
        ("/.well-known/jwks.json", "GET, HEAD"),
        ("/.well-known/oauth-authorization-server/laputa", "GET, HEAD"),
        ("/.well-known/openid-configuration/laputa", "GET, HEAD"),
    ];
    for (path, allowed) in cases {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            if allowed.split(", ").any(|taken| taken == method.as_str()) {
                continue;
            }
            let url = format!("{}/laputa{path}", house.broker.direct);
            let request = http().request(method.clone(), url).header("host", "api.example.com");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], allowed, "{method} {path}");
        }
    }
    house.stop().await;
}
