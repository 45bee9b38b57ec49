//! Refresh tokens of ours: A4 and A10.

use futures_util::future::join_all;
use serde_json::json;

use super::{World, ask, claims, error, ok, refusal, text};

#[tokio::test]
async fn a_refresh_token_is_used_once_and_the_next_comes_with_the_answer() {
    for mut world in World::each().await {
        let first = world.tokens(&[]).await;
        let second = ok(world.refresh(text(&first["refresh_token"]), &[]).await).await;
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        assert_eq!(second["scope"], first["scope"]);
        let (before, after) = (claims(&first["id_token"]), claims(&second["id_token"]));
        assert_eq!((&before["sub"], &before["auth_time"]), (&after["sub"], &after["auth_time"]));
        assert!(after.get("nonce").is_none(), "OpenID Connect Core §12.2");
        // The first one again: somebody has a copy, and nobody knows who.
        let again = refusal(world.refresh(text(&first["refresh_token"]), &[]).await).await;
        assert_eq!(again, error(400, "invalid_grant"));
        let dead = refusal(world.refresh(text(&second["refresh_token"]), &[]).await).await;
        assert_eq!(dead, error(400, "invalid_grant"), "{}", world.house.home.name);
        assert_eq!(world.userinfo(text(&second["access_token"])).await.status(), 401);
        world.stop().await;
    }
}

#[tokio::test]
async fn of_eight_at_once_one_wins_and_its_family_is_dead() {
    for mut world in World::each().await {
        let first = world.tokens(&[]).await;
        let token = text(&first["refresh_token"]);
        let answers = join_all((0..8).map(|_| world.refresh(token, &[]))).await;
        let mut winners = Vec::new();
        for answer in answers {
            match answer.status().as_u16() {
                200 => winners.push(ok(answer).await),
                _ => assert_eq!(refusal(answer).await, error(400, "invalid_grant")),
            }
        }
        assert_eq!(winners.len(), 1, "{}", world.house.home.name);
        let won = text(&winners[0]["refresh_token"]);
        assert_eq!(refusal(world.refresh(won, &[]).await).await, error(400, "invalid_grant"));
        world.stop().await;
    }
}

#[tokio::test]
async fn scope_may_be_narrowed_for_one_token_and_never_widened() {
    for mut world in World::each().await {
        let first = world.tokens(&[("scope", "openid profile offline_access")]).await;
        let narrow = ok(world.refresh(text(&first["refresh_token"]), &[("scope", "openid")]).await).await;
        assert_eq!(narrow["scope"], "openid");
        let token = text(&narrow["refresh_token"]);
        for wider in ["openid email", "binb:read", "nonsense"] {
            let refused = refusal(world.refresh(token, &[("scope", wider)]).await).await;
            assert_eq!(refused, error(400, "invalid_scope"), "{wider}");
        }
        let elsewhere = refusal(world.refresh(token, &[("resource", "https://terms.example")]).await).await;
        assert_eq!(elsewhere, error(400, "invalid_target"));
        // None of these used it up.
        let full = ok(world.refresh(token, &[]).await).await;
        assert_eq!(full["scope"], "openid profile offline_access", "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_refresh_token_belongs_to_its_client_and_ends_unused() {
    for mut world in World::each().await {
        let other = world.house.client(&super::provider("Other")).await;
        let first = world.tokens(&[]).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&first["refresh_token"]))];
        let stolen = refusal(ask(world.broker(), "/o/token/", &other, &form).await).await;
        assert_eq!(stolen, error(400, "invalid_grant"));
        world.house.pass(29 * 86_400);
        let second = ok(world.refresh(text(&first["refresh_token"]), &[]).await).await;
        world.house.pass(31 * 86_400);
        let late = refusal(world.refresh(text(&second["refresh_token"]), &[]).await).await;
        assert_eq!(late, error(400, "invalid_grant"), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn only_a_flagged_pipeline_gets_a_refresh_token() {
    for world in World::each().await {
        let plain = world.house.client(&json!({"identifier": "plain", "kind": "service"})).await;
        let body = json!({"identifier": "long", "kind": "service", "refresh_tokens": true});
        let long = world.house.client(&body).await;
        let form = [("grant_type", "client_credentials")];
        let tokens = ok(ask(world.broker(), "/o/token/", &plain, &form).await).await;
        assert!(tokens.get("refresh_token").is_none());
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        let refused = refusal(ask(world.broker(), "/o/token/", &plain, &form).await).await;
        assert_eq!(refused, error(400, "unauthorized_client"));
        let form = [("grant_type", "client_credentials")];
        let first = ok(ask(world.broker(), "/o/token/", &long, &form).await).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&first["refresh_token"]))];
        let second = ok(ask(world.broker(), "/o/token/", &long, &form).await).await;
        let subject = claims(&second["access_token"])["sub"].clone();
        assert_eq!((subject, second.get("id_token")), (json!(long.0), None), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn there_is_no_implicit_and_no_password_grant() {
    for world in World::each().await {
        let form = [("grant_type", "password"), ("username", "ada@example.com"), ("password", "x")];
        let refused = refusal(ask(world.broker(), "/o/token/", &world.shop, &form).await).await;
        assert_eq!(refused, error(400, "unsupported_grant_type"));
        let service = world.house.client(&json!({"identifier": "job", "kind": "service"})).await;
        for grant in [
            "authorization_code",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ] {
            let form = [
                ("grant_type", grant),
                ("code", "x"),
                ("code_verifier", "x"),
                ("device_code", "x"),
                ("subject_token", "x"),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                ("audience", "acme/sandbox"),
            ];
            let refused = refusal(ask(world.broker(), "/o/token/", &service, &form).await).await;
            assert_eq!(refused, error(400, "unauthorized_client"), "{grant}");
        }
        world.stop().await;
    }
}
