//! Is it the person whom a client expects (`id_token_hint`, OpenID Connect Core §3.1.2.1) who lets it in?

use serde_json::json;

use super::{World, claims, hidden, ok, parameter, provider, say, text};
use crate::support::house::PASSWORD;
use crate::support::jar::{Jar, Seen};

/// A person signs in on this page; where that leads.
async fn sign_in(world: &World, jar: &mut Jar, page: &Seen, email: &str) -> Seen {
    assert!(page.body.contains("type=\"password\""), "{}", page.body);
    let (return_to, token) = (hidden(page, "return_to"), page.csrf_token());
    assert!(!return_to.contains("eyJ"), "no token goes on in a link: {return_to}");
    let form = [("email", email), ("password", PASSWORD), ("csrf_token", &token), ("return_to", &return_to)];
    let next = jar.post(&world.broker().at("/login"), &form).await.to();
    jar.get(next.as_str()).await
}

#[tokio::test]
async fn only_the_person_whom_a_hint_names_lets_the_client_in() {
    for mut world in World::each().await {
        let tokens = world.tokens(&[]).await;
        let hint = text(&tokens["id_token"]);
        let mut bob = Jar::new();
        bob.accept(&world.house.invitation("acme", "bob@example.com").await, "Bob").await;
        let url = world.request(&[]);
        say(&mut bob, &url, "accept").await;

        let silent = world.request(&[("prompt", "none"), ("id_token_hint", hint)]);
        let (expired, aloud) = (7_200, world.request(&[("id_token_hint", hint)]));
        for _ in 0..2 {
            for url in [&silent, &aloud] {
                let code = parameter(&world.ada.get(url).await.to(), "code");
                let again = ok(world.redeem(&code, &[]).await).await;
                assert_eq!(claims(&again["id_token"])["sub"], claims(&tokens["id_token"])["sub"]);
            }
            for jar in [&mut bob, &mut Jar::new()] {
                assert_eq!(parameter(&jar.get(&silent).await.to(), "error"), "login_required");
            }
            world.house.pass(expired);
        }

        let page = bob.get(&aloud).await;
        let back = sign_in(&world, &mut bob, &page, "bob@example.com").await.to();
        assert_eq!(parameter(&back, "error"), "login_required", "he stays who he is");
        let page = bob.get(&aloud).await;
        let back = sign_in(&world, &mut bob, &page, "ada@example.com").await.to();
        let tokens = ok(world.redeem(&parameter(&back, "code"), &[]).await).await;
        assert_eq!(claims(&tokens["id_token"])["sub"], claims(&json!(hint))["sub"]);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_hint_that_is_not_ours_for_this_client_is_told_to_it() {
    for mut world in World::each().await {
        let tokens = world.tokens(&[]).await;
        let (own, access) = (text(&tokens["id_token"]).to_owned(), text(&tokens["access_token"]).to_owned());
        let first = std::mem::replace(&mut world.shop, world.house.client(&provider("Other")).await);
        let others = world.tokens(&[]).await;
        world.shop = first;
        let (signed, signature) = own.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
        for wrong in ["x", &access, text(&others["id_token"]), &forged, signed] {
            for prompt in ["none", "login", ""] {
                let url = world.request(&[("id_token_hint", wrong), ("prompt", prompt)]);
                let back = world.ada.get(&url).await.to();
                assert_eq!(parameter(&back, "error"), "invalid_request", "{wrong} {prompt}");
                assert!(!back.as_str().contains("eyJ"), "{back}");
            }
        }
        let twice = format!("{}&id_token_hint={own}", world.request(&[("id_token_hint", &own)]));
        assert_eq!(parameter(&world.ada.get(&twice).await.to(), "error"), "invalid_request");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_hint_that_comes_as_a_form_stays_out_of_the_link() {
    for mut world in World::each().await {
        let tokens = world.tokens(&[]).await;
        let url = world.request(&[("id_token_hint", text(&tokens["id_token"])), ("prompt", "none")]);
        let (path, query) = url.split_once('?').unwrap();
        let form: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        let link = world.ada.post(path, &form).await.to();
        assert!(!link.as_str().contains("eyJ"), "{link}");
        let sub = claims(&json!(tokens["id_token"]))["sub"].clone();
        assert_eq!(parameter(&link, "expected"), text(&sub));
        parameter(&world.ada.get(link.as_str()).await.to(), "code");
        world.stop().await;
    }
}
