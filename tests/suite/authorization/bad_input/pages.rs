//! Odd values at the pages, in their addresses and in their forms: no 500, and nobody is led elsewhere. A1, A9.

use reqwest::Method;
use serde_json::json;

use super::ODD;
use crate::authorization::{BACK, World, changed, devices, hidden, links, text};
use crate::support::jar::{Jar, Seen};

#[tokio::test]
async fn no_value_at_the_pages_is_a_500_or_a_redirect_elsewhere() {
    for mut world in World::each().await {
        let names = [
            "client_id",
            "redirect_uri",
            "response_type",
            "response_mode",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
            "nonce",
            "prompt",
            "max_age",
            "id_token_hint",
            "expected",
            "asked_at",
            "resource",
            "request",
            "request_uri",
        ];
        let own = [BACK.split_once('?').unwrap().0.to_owned(), world.broker().url.clone()];
        for name in names {
            for odd in ODD {
                let url = world.request(&[(name, odd)]);
                let seen = world.ada.get(&url).await;
                let status = seen.status.as_u16();
                assert!([200, 303, 400].contains(&status), "{name}={odd}: {status}");
                let safe = seen
                    .location
                    .as_ref()
                    .is_none_or(|to| own.iter().any(|own| to.as_str().starts_with(own)));
                assert!(safe, "{name}={odd}: {:?}", seen.location);
                assert!(!seen.body.contains("<script"), "{name}={odd}");
            }
        }
        let device = world.broker().at("/o/device/");
        for odd in ODD {
            let url = url::Url::parse_with_params(&device, [("user_code", odd)]).unwrap();
            let page = world.ada.get(url.as_str()).await;
            assert_eq!(page.status, 200);
            assert!(!page.body.contains("<script"), "{odd}");
        }
        let mut raw = Vec::new();
        for query in
            ["client_id=%", "client_id=%ff", "%00=1", "client_id", "&&&", "=", "client_id=a&client_id=b"]
        {
            raw.push(
                world
                    .ada
                    .get(&format!("{}?{query}", world.broker().at("/o/authorize/")))
                    .await
                    .status
                    .as_u16(),
            );
        }
        assert_eq!(raw, [400; 7], "{}", world.house.home.name);
        world.stop().await;
    }
}

/// What a page may answer to a form that it did not make: it says why, leads nowhere but home or, with an error, back to
/// the registered address, and is no yes.
fn is_harmless(seen: &Seen, own: &str, what: &str) {
    let status = seen.status.as_u16();
    assert!([200, 303, 400, 401, 403, 404, 429].contains(&status), "{what}: {status}");
    let back = BACK.split_once('?').unwrap().0;
    if let Some(to) = seen.location.as_ref().map(|to| to.as_str()) {
        let refused = to.starts_with(back) && to.contains("error=") && !to.contains("code=");
        assert!(refused || to.starts_with(own), "{what}: {to}");
    }
    for never in ["<script", "may act for you now"] {
        assert!(!seen.body.contains(never), "{what}: {}", seen.body);
    }
}

#[tokio::test]
async fn no_form_of_a_page_is_a_500_or_a_redirect_elsewhere() {
    for mut world in World::each().await {
        let own = world.broker().url.clone();
        let page = world.ada.get(&world.request(&[])).await;
        let (query, shown, token) = (hidden(&page, "query"), hidden(&page, "shown"), page.csrf_token());
        let right = [("csrf_token", &*token), ("query", &query), ("shown", &shown), ("decision", "accept")];
        let action = world.broker().at("/o/authorize/");
        for (name, _) in right {
            for odd in ODD {
                let seen = world.ada.post(&action, &changed(&right, &[(name, odd)])).await;
                is_harmless(&seen, &own, &format!("consent {name}={odd}"));
            }
        }
        // Nothing of all that was a yes.
        assert_eq!(world.ada.get(&world.request(&[])).await.status, 200);
        let script = devices::script(&world, &json!({})).await;
        let device = devices::begin(&world, &script).await;
        let url = world.broker().at("/o/device/");
        let token = world.ada.get(&url).await.csrf_token();
        let code = text(&device["user_code"]);
        let right = [("csrf_token", &*token), ("user_code", code), ("decision", "accept")];
        for name in ["csrf_token", "decision", "user_code"] {
            for odd in ODD {
                let seen = world.ada.post(&url, &changed(&right, &[(name, odd)])).await;
                is_harmless(&seen, &own, &format!("device {name}={odd}"));
            }
        }
        world.house.credentials("sandbox", Some("acme")).await;
        let shop = links::sender(&world, "Web shop").await;
        let (_, url) = links::link(&world, &shop, "customer-7").await;
        for odd in ODD {
            let mut browser = Jar::new();
            browser.get(&url).await;
            let seen = browser.post(&url, &[("csrf_token", odd)]).await;
            is_harmless(&seen, &own, &format!("link csrf_token={odd}"));
            assert_eq!(seen.location, None, "{odd}");
        }
        assert_eq!(Jar::new().get(&url).await.status, 200, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn no_form_of_an_account_is_a_500_or_a_redirect_elsewhere() {
    for mut world in World::each().await {
        let broker = world.broker();
        let (own, name) = (broker.url.clone(), world.house.home.name);
        let invitation = world.house.invitation("acme", "bob@example.com").await;
        let eve = json!({"email": "eve@example.com", "display_name": "Eve"});
        let user = world.house.write(Method::POST, "/users", &eve).await;
        let path = format!("/users/{}/password-link", text(&user["id"]));
        let link = world.house.write(Method::POST, &path, &json!({})).await;
        let forms = [
            (
                broker.at("/login"),
                vec![("email", "nobody@example.com"), ("return_to", "/"), ("password", "short")],
            ),
            (invitation, vec![("email", "bob@example.com"), ("display_name", "Bob"), ("password", "short")]),
            (text(&link["url"]).to_owned(), vec![("password", "short")]),
        ];
        for (url, fields) in &forms {
            for field in ["csrf_token"].iter().chain(fields.iter().map(|(name, _)| name)) {
                // A long password is a good one where somebody chooses it.
                let chosen = *field == "password" && !url.ends_with("/login");
                for odd in ODD.iter().filter(|odd| !chosen || odd.chars().count() < 12) {
                    let mut browser = Jar::new();
                    let token = browser.get(url).await.csrf_token();
                    let right = [&fields[..], &[("csrf_token", token.as_str())]].concat();
                    let seen = browser.post(url, &changed(&right, &[(field, odd)])).await;
                    is_harmless(&seen, &own, &format!("{url} {field}={odd} on {name}"));
                    assert_eq!(seen.location, None, "nobody is let in: {url} {field}={odd}");
                }
            }
        }
        let token = world.ada.get(&format!("{own}/account")).await.csrf_token();
        for (path, field) in [("/account/applications", "client_id"), ("/account/sessions", "session")] {
            for odd in ODD {
                let form = [("csrf_token", token.as_str()), (field, odd)];
                let seen = world.ada.post(&format!("{own}{path}"), &form).await;
                is_harmless(&seen, &own, &format!("{path} {field}={odd} on {name}"));
            }
        }
        assert_eq!(world.ada.get(&format!("{own}/account")).await.status, 200, "she is still signed in");
        world.stop().await;
    }
}
