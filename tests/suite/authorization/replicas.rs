//! Two replicas at once: exactly one redeems a code, an assertion or a refresh token, and the family is dead where the
//! standard says so. A9, A10, A12.

use serde_json::Value;

use super::{World, ask, error, ok, refusal, text};
use crate::support::app::{Broker, Home};
use crate::support::house::House;
use crate::support::peer::skipped;
use crate::support::postgres;

struct Twins {
    world: World,
    other: Broker,
}

impl Twins {
    async fn start() -> Option<Self> {
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
        let (shop, here) = (&self.world.shop, self.world.broker());
        let asks = (0..4).map(|n| ask(if n % 2 == 0 { here } else { &self.other }, "/o/token/", shop, form));
        let mut winners = Vec::new();
        for answer in futures_util::future::join_all(asks).await {
            match answer.status().as_u16() {
                200 => winners.push(ok(answer).await),
                _ => assert_eq!(refusal(answer).await, error(400, "invalid_grant")),
            }
        }
        winners
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

    async fn stop(self) {
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
