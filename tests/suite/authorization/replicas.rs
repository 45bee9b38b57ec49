//! Two replicas at once: exactly one redeems a code, a device code, an assertion or a refresh token or confirms a signup
//! link, and the family is dead where the standard says so. A9 to A12, A16.

use reqwest::Response;
use serde_json::{Value, json};

use super::{World, ask, assertions, devices, error, links, ok, refusal, text, user_codes};
use crate::support::app::{Broker, Home};
use crate::support::house::House;
use crate::support::jar::Jar;
use crate::support::peer::skipped;
use crate::support::postgres;

pub(super) struct Twins {
    pub(super) world: World,
    pub(super) other: Broker,
}

impl Twins {
    pub(super) async fn start() -> Option<Self> {
        if !postgres::is_here() {
            return skipped(
                "the authorization server on two replicas: JETON_TEST_POSTGRES_URL names no PostgreSQL",
            );
        }
        let world = World::of(House::on(Home::postgres().await, &[]).await).await;
        let other = world.house.replica(&[]).await;
        Some(Self { world, other })
    }

    /// The same form to both at the same time; who was answered with tokens.
    async fn race(&self, form: &[(&str, &str)]) -> Vec<Value> {
        let (winners, others) = self.both(|broker| ask(broker, "/o/token/", &self.world.shop, form)).await;
        for refused in others {
            assert_eq!(refusal(refused).await, error(400, "invalid_grant"));
        }
        winners
    }

    /// Asks each twice at the same time; what was answered with 200, and the other answers.
    async fn both<'t, F>(&'t self, asked: impl Fn(&'t Broker) -> F) -> (Vec<Value>, Vec<Response>)
    where
        F: Future<Output = Response>,
    {
        let here = self.world.broker();
        let asks = [here, &self.other, here, &self.other].map(asked);
        let answers = futures_util::future::join_all(asks).await;
        let (won, others): (Vec<_>, _) = answers.into_iter().partition(|answer| answer.status() == 200);
        (futures_util::future::join_all(won.into_iter().map(ok)).await, others)
    }

    async fn is_dead(&self, tokens: &Value) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens["refresh_token"]))];
        for broker in [self.world.broker(), &self.other] {
            let refused = refusal(ask(broker, "/o/token/", &self.world.shop, &form).await).await;
            assert_eq!(refused, error(400, "invalid_grant"));
        }
        self.world.house.pass(5);
        for broker in [self.world.broker(), &self.other] {
            let request =
                broker.http.get(broker.at("/o/userinfo/")).bearer_auth(text(&tokens["access_token"]));
            assert_eq!(request.send().await.unwrap().status(), 401);
        }
    }

    pub(super) async fn stop(self) {
        self.other.stop().await;
        self.world.stop().await;
    }
}

#[tokio::test]
async fn one_of_two_replicas_redeems_a_code_and_what_it_made_ends() {
    let Some(mut twins) = Twins::start().await else { return };
    for round in 0..5 {
        let code = twins.world.code(&[("prompt", "consent")]).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", super::BACK),
            ("code_verifier", super::VERIFIER),
        ];
        let winners = twins.race(&form).await;
        assert_eq!(winners.len(), 1, "round {round}");
        twins.is_dead(&winners[0]).await;
    }
    twins.stop().await;
}

#[tokio::test]
async fn one_of_two_replicas_redeems_a_refresh_token_and_its_family_ends() {
    let Some(mut twins) = Twins::start().await else { return };
    for round in 0..5 {
        let code = twins.world.code(&[("prompt", "consent")]).await;
        let tokens = ok(twins.world.redeem(&code, &[]).await).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens["refresh_token"]))];
        let winners = twins.race(&form).await;
        assert_eq!(winners.len(), 1, "round {round}");
        twins.is_dead(&winners[0]).await;
    }
    twins.stop().await;
}

#[tokio::test]
async fn one_of_two_replicas_redeems_a_device_code() {
    let Some(twins) = Twins::start().await else { return };
    let script = devices::script(&twins.world, &json!({})).await;
    for round in 0..5 {
        let device = devices::begin(&twins.world, &script).await;
        let mut ada = twins.world.ada.clone();
        devices::answer(&mut ada, &twins.world, text(&device["user_code"]), "accept").await;
        let form = [("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
        let (winners, others) = twins.both(|broker| ask(broker, "/o/token/", &script, &form)).await;
        assert_eq!(winners.len(), 1, "round {round}");
        for refused in others {
            // Who asked while the first was being answered asked too soon.
            let refused = refusal(refused).await;
            assert!([error(400, "invalid_grant"), error(400, "slow_down")].contains(&refused), "{refused:?}");
        }
    }
    twins.stop().await;
}

#[tokio::test]
async fn one_of_two_replicas_takes_an_assertion() {
    let Some(twins) = Twins::start().await else { return };
    let signer = assertions::Signer::register(&twins.world).await;
    for round in 0..5 {
        let assertion = signer.assertion(&signer.claims(&twins.world, &format!("race-{round}")));
        let (winners, others) = twins.both(|broker| assertions::ask(broker, &assertion, &[])).await;
        assert_eq!(winners.len(), 1, "round {round}");
        for refused in others {
            assert_eq!(refusal(refused).await, error(401, "invalid_client"));
        }
    }
    twins.stop().await;
}

#[tokio::test]
async fn one_of_two_replicas_confirms_a_signup_link() {
    let Some(twins) = Twins::start().await else { return };
    twins.world.house.credentials("sandbox", Some("acme")).await;
    let shop = links::sender(&twins.world, "Web shop").await;
    for round in 0..10 {
        let (id, url) = links::link(&twins.world, &shop, "customer-7").await;
        let back = links::connect(&mut Jar::new(), &url).await;
        assert!(back.as_str().contains("signup_link="), "round {round}: {back}");
        let (path, nothing) = (format!("/apps/acme/signup-links/{id}/confirm"), json!({}));
        let (winners, others) = twins.both(|broker| links::post(broker, &shop, &path, &nothing)).await;
        assert_eq!(winners.len(), 1, "round {round}");
        for refused in others {
            assert_eq!(refused.status(), 404);
        }
    }
    assert_eq!(twins.world.house.binb_token("acme", "sandbox").await.0, 200);
    twins.stop().await;
}

#[tokio::test]
async fn what_one_replica_revokes_the_other_refuses_within_five_seconds() {
    let Some(mut twins) = Twins::start().await else { return };
    let tokens = twins.world.tokens(&[]).await;
    let bearer = text(&tokens["access_token"]).to_owned();
    let there = async |twins: &Twins| {
        let request = twins.other.http.get(twins.other.at("/o/userinfo/")).bearer_auth(&bearer);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(there(&twins).await, 200);
    let form = [("token", bearer.as_str())];
    ask(twins.world.broker(), "/o/revoke_token/", &twins.world.shop, &form).await;
    assert_eq!(twins.world.userinfo(&bearer).await.status(), 401, "at once where it was revoked");
    twins.world.house.pass(5);
    assert_eq!(there(&twins).await, 401);
    twins.stop().await;
}

#[tokio::test]
async fn guesses_of_user_codes_at_two_replicas_are_counted_together() {
    let Some(twins) = Twins::start().await else { return };
    let urls = [twins.world.broker(), &twins.other].map(|broker| broker.at("/o/device/"));
    let statuses = user_codes::guess_at_once(&twins.world.ada, &urls, 50).await;
    assert_eq!(statuses, [[400; 10].to_vec(), [429; 40].to_vec()].concat());
    twins.stop().await;
}
