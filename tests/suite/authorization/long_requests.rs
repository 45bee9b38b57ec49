//! Long authorization requests: what is taken arrives, also through the sign-in page; the rest is told to the client.

use url::Url;

use super::{BACK, World, hidden, ok, parameter, say};
use crate::support::house::PASSWORD;
use crate::support::jar::{Jar, Seen};

/// A request with this state and nonce, as they are.
fn raw(world: &World, state: &str, nonce: &str) -> String {
    format!("{}&state={state}&nonce={nonce}", world.request(&[("state", ""), ("nonce", "")]))
}

/// Ada signs in at this page, and goes on.
async fn sign_in(world: &World, browser: &mut Jar, page: &Seen) -> Url {
    let form = [
        ("email", "ada@example.com"),
        ("password", PASSWORD),
        ("csrf_token", &page.csrf_token()),
        ("return_to", &hidden(page, "return_to")),
    ];
    browser.post(&world.broker().at("/login"), &form).await.to()
}

/// The form of a request.
fn form<'a>(pairs: &'a [(String, String)], state: &'a str, nonce: &'a str) -> Vec<(&'a str, &'a str)> {
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    pairs.chain([("state", state), ("nonce", nonce)]).collect()
}

#[tokio::test]
async fn a_long_request_survives_the_sign_in() {
    for world in World::each().await {
        let (state, nonce) = ("~".repeat(2_000), "~!'()*-._".repeat(166));
        let mut browser = Jar::new();
        let page = browser.get(&raw(&world, &state, &nonce)).await;
        let next = sign_in(&world, &mut browser, &page).await;
        let back = say(&mut browser, next.as_str(), "accept").await;
        assert!(back.as_str().starts_with(BACK), "{back}");
        assert_eq!(parameter(&back, "state"), state);
        let tokens = ok(world.redeem(&parameter(&back, "code"), &[]).await).await;
        assert_eq!(super::claims(&tokens["id_token"])["nonce"], nonce.as_str());
        world.stop().await;
    }
}

#[tokio::test]
async fn a_long_request_that_comes_as_a_form_survives_the_sign_in_or_is_refused() {
    for world in World::each().await {
        let pairs = Url::parse(&world.request(&[("state", ""), ("nonce", "")])).unwrap();
        let pairs: Vec<_> = pairs.query_pairs().into_owned().collect();
        let action = world.broker().at("/o/authorize/");
        let (long, tiny) = ("\u{e9}".repeat(1_000), "n");
        let mut browser = Jar::new();
        let next = browser.post(&action, &form(&pairs, &long, tiny)).await.to();
        let page = browser.get(next.as_str()).await;
        let next = sign_in(&world, &mut browser, &page).await;
        let back = say(&mut browser, next.as_str(), "accept").await;
        assert_eq!(parameter(&back, "state"), long);
        // As links these would be longer than a link may be.
        let back = browser.post(&action, &form(&pairs, &long, &long)).await.to();
        assert!(back.as_str().starts_with(&format!("{BACK}&error=invalid_request")), "{back}");
        assert_eq!(parameter(&back, "state"), long);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_request_that_grows_too_long_on_the_way_is_refused_at_once() {
    for mut world in World::each().await {
        let url = raw(&world, &"|".repeat(2_000), &"|".repeat(2_000));
        assert!(url.len() < 8_192 - 3_000);
        for browser in [&mut Jar::new(), &mut world.ada] {
            let back = browser.get(&url).await.to();
            assert!(back.as_str().starts_with(&format!("{BACK}&error=invalid_request")), "{back}");
            assert_eq!(parameter(&back, "state"), "|".repeat(2_000));
        }
        world.stop().await;
    }
}
