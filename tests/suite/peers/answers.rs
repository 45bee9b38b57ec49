//! What is misread in a provider's answer?

use jeton::sandbox::{Client, Faults, Profile, Rotation, Settings, Standard, TokenAuth, Trouble, start};
use reqwest::Method;
use serde_json::json;

use super::get;
use crate::support::app::Home;
use crate::support::house::{CLIENT, CLIENT_SECRET, House};
use crate::support::jar::Jar;

#[tokio::test]
async fn an_error_in_a_200_is_a_refusal_and_not_our_500() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults::before(Trouble::error_with_200("bad_refresh_token")));
        house.pass(7_200);
        let (status, problem) = get(&house, "").await;
        assert_eq!((status, &problem["reason"]), (409, &json!("revoked")), "{}: {problem}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn the_word_error_in_an_answer_is_no_error() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults { scope: Some("error.log read".into()), ..Faults::default() });
        house.pass(7_200);
        let (status, handed) = get(&house, "").await;
        assert_eq!((status, &handed["scope"]), (200, &json!("error.log read")), "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn five_rotations_in_a_row_of_a_github_app() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        let client = json!({"client_id": "sandbox-github-app", "client_secret": CLIENT_SECRET});
        house.write(Method::PUT, "/apps/acme/connectors/github-app/credentials", &client).await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        let authorize = ada.start(&house.broker.at("/acme/github-app/signup")).await;
        let back = ada.decide(&authorize, "alice", "approve").await;
        let done = ada.get(back.as_str()).await;
        assert_eq!(done.status, 303, "{}", done.body);
        let mut tokens = vec![house.binb_token("acme", "github-app").await.1["access_token"].clone()];
        for generation in 2..=6 {
            house.pass(28_790);
            let (status, handed) = house.binb_token("acme", "github-app").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(generation)), "{handed}");
            assert!(!tokens.contains(&handed["access_token"]));
            tokens.push(handed["access_token"].clone());
        }
        let spent = house.sandbox.handle().ledger().refresh_tokens;
        assert_eq!(spent.iter().map(|token| token.presented).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 0]);
        house.stop().await;
    }
}

#[tokio::test]
async fn an_omitted_refresh_token_keeps_the_old_one() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let faults = Faults { rotation: Some(Rotation::None), omit_refresh_token: true, ..Faults::default() };
        house.faults(faults.on_refresh());
        for generation in 2..=4 {
            house.pass(7_200);
            let (status, handed) = get(&house, "").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(generation)), "{handed}");
        }
        let seen = house.sandbox.handle().ledger().refresh_tokens;
        assert_eq!(seen.iter().map(|token| token.presented).collect::<Vec<_>>(), [3], "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_rotated_token_is_not_overwritten_by_the_old_one() {
    for house in House::each().await {
        house.connected_app("acme").await;
        for _ in 0..3 {
            house.pass(7_200);
            assert_eq!(get(&house, "").await.0, 200);
        }
        let seen = house.sandbox.handle().ledger().refresh_tokens;
        assert_eq!(seen.iter().map(|token| token.presented).collect::<Vec<_>>(), [1, 1, 1, 0]);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_provider_that_takes_one_way_of_authentication_survives_its_first_refresh() {
    for (auth, name) in [(TokenAuth::Post, "post"), (TokenAuth::Basic, "basic")] {
        for home in Home::each().await {
            let clock = std::sync::Arc::new(jeton::model::time::ShiftedClock::default());
            let client = Client {
                any_loopback_redirect: true,
                token_auth: auth,
                ..Client::new(CLIENT, Profile::Standard(Standard::default()))
            };
            let settings = Settings { clients: vec![client], ..Settings::new(([127, 0, 0, 1], 0).into()) };
            let entropy = std::sync::Arc::new(jeton::model::entropy::SystemEntropy);
            let sandbox = start(settings, clock.clone(), entropy).unwrap();
            let house = House::with(home, sandbox, clock, &[]).await;
            house.app("acme", "Acme").await;
            house.connector("strict", &json!({"token_auth": name})).await;
            house.credentials("strict", Some("acme")).await;
            let mut ada = Jar::new();
            ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
            let authorize = ada.start(&house.broker.at("/acme/strict/signup")).await;
            let back = ada.decide(&authorize, "alice", "approve").await;
            assert_eq!(ada.get(back.as_str()).await.status, 303, "{name}");
            for generation in 2..=3 {
                house.pass(7_200);
                let (status, handed) = house.binb_token("acme", "strict").await;
                assert_eq!((status, &handed["generation"]), (200, &json!(generation)), "{name}: {handed}");
            }
            house.stop().await;
        }
    }
}
