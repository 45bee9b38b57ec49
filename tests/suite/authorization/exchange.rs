//! Token exchange: a service provider swaps its person's token for the third-party token, and nobody else's.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Client, World, ask, claims, error, ok, refusal, text};
use crate::support::house::{CLIENT, CLIENT_SECRET};
use crate::support::jar::Jar;

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(super) async fn exchange(
    world: &World,
    client: &Client,
    token: &str,
    changes: &[(&str, &str)],
) -> Response {
    let form = [
        ("grant_type", GRANT),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "acme/sandbox"),
    ];
    ask(world.broker(), "/o/token/", client, &super::changed(&form, changes)).await
}

/// Ada has connected Alice's account for Acme; her token at the shop.
pub(super) async fn connected(world: &mut World) -> String {
    world.house.credentials("sandbox", Some("acme")).await;
    let authorize = world.ada.start(&world.broker().at("/acme/sandbox/signup")).await;
    let back = world.ada.decide(&authorize, "alice", "approve").await;
    let done = world.ada.get(back.as_str()).await;
    assert_eq!(done.status, 303, "{}", done.body);
    token(world).await
}

async fn token(world: &mut World) -> String {
    let tokens = world.tokens(&[("scope", "openid")]).await;
    text(&tokens["access_token"]).to_owned()
}

#[tokio::test]
async fn a_person_s_token_is_swapped_for_the_third_party_token() {
    for mut world in World::each().await {
        let token = connected(&mut world).await;
        let swapped = ok(exchange(&world, &world.shop, &token, &[]).await).await;
        assert_eq!(
            (&swapped["issued_token_type"], &swapped["token_type"]),
            (&json!(ACCESS_TOKEN), &json!("Bearer"))
        );
        for resource in ["https://api.example/", world.broker().url.trim_end_matches('/')] {
            let refused = exchange(&world, &world.shop, &token, &[("resource", resource)]).await;
            assert_eq!(
                refusal(refused).await,
                error(400, "invalid_target"),
                "{resource} names no connection"
            );
        }
        let (_, handed) = world.house.binb_token("acme", "sandbox").await;
        assert_eq!(swapped["access_token"], handed["access_token"], "the provider's own");
        assert!(swapped["expires_in"].as_i64().unwrap() > 3_000 && swapped.get("refresh_token").is_none());
        // Whose credentials they were got with, nobody is told.
        let path = "/admin/v1/apps/acme/connectors/sandbox/credentials";
        let credentials: Value = world.house.ask(Method::GET, path, None).await.json().await.unwrap();
        assert_eq!(credentials["client_id"], CLIENT, "what is looked at is there");
        for (what, answer) in
            [("exchange", &swapped), ("binb-token", &handed), ("GET credentials", &credentials)]
        {
            let answer = answer.to_string();
            assert!(!answer.contains(CLIENT_SECRET), "{what} tells the provider's client secret");
            let named = answer.contains(CLIENT);
            assert_eq!(named, what == "GET credentials", "{what}");
        }
        // Refreshed when due, as for a job.
        world.house.pass(3_500);
        let (mut ada, url) = (Jar::new(), world.broker().url.clone());
        ada.sign_in(&url, "ada@example.com").await;
        world.ada = ada;
        let token = self::token(&mut world).await;
        let fresh = ok(exchange(&world, &world.shop, &token, &[("min_ttl", "600")]).await).await;
        assert_ne!(fresh["access_token"], swapped["access_token"], "{}", world.house.home.name);
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        let user = text(&claims(&json!(token))["sub"]).to_owned();
        let trace = format!(
            "audit_event WHERE action = 'token.hand_out' AND actor = 'user:{user}' AND subject = 'client:{}'",
            world.shop.0
        );
        assert_eq!(sql.count(&trace).await, 2);
        world.stop().await;
    }
}

#[tokio::test]
async fn only_the_client_it_was_issued_to_may_exchange_a_token() {
    for mut world in World::each().await {
        let token = connected(&mut world).await;
        let other = world.house.client(&super::provider("Other")).await;
        let stolen = refusal(exchange(&world, &other, &token, &[]).await).await;
        assert_eq!(stolen, error(400, "invalid_request"), "RFC 8693 §2.2.2: the subject token is at fault");
        let job = world.house.client(&json!({"identifier": "job", "kind": "service"})).await;
        assert_eq!(
            refusal(exchange(&world, &job, &token, &[]).await).await,
            error(400, "unauthorized_client")
        );
        let own = world.broker().token_of(&world.shop).await;
        let itself = refusal(exchange(&world, &world.shop, &own, &[]).await).await;
        assert_eq!(itself, error(400, "invalid_request"), "a client is no person");
        let tokens = world.tokens(&[("scope", "openid")]).await;
        for wrong in [text(&tokens["id_token"]), "x", "a.b.c"] {
            let refused = refusal(exchange(&world, &world.shop, wrong, &[]).await).await;
            assert_eq!(refused, error(400, "invalid_request"), "{}", world.house.home.name);
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn what_sql_shares_or_turns_to_somebody_else_reaches_nobody() {
    for mut world in World::each().await {
        let own = connected(&mut world).await;
        let mut eve = Jar::new();
        eve.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        std::mem::swap(&mut world.ada, &mut eve);
        let token = token(&mut world).await;
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        sql.run("UPDATE connection SET shared = TRUE").await;
        let other = refusal(exchange(&world, &world.shop, &token, &[]).await).await;
        assert_eq!(other, error(400, "invalid_target"), "{}", world.house.home.name);
        ok(exchange(&world, &world.shop, &own, &[]).await).await;
        let eves = text(&claims(&json!(token))["sub"]).to_owned();
        sql.run(&format!("UPDATE connection SET shared = FALSE, owner = 'user:{eves}'")).await;
        for token in [&token, &own] {
            let refused = refusal(exchange(&world, &world.shop, token, &[]).await).await;
            assert_eq!(refused, error(400, "invalid_target"));
        }
        // An admin shares it: that counts.
        let path = "/apps/acme/connections/sandbox";
        world.house.write(Method::PATCH, path, &json!({"shared": true})).await;
        ok(exchange(&world, &world.shop, &token, &[]).await).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_person_reaches_what_is_shared_or_his_own_in_his_apps() {
    for mut world in World::each().await {
        let ada = connected(&mut world).await;
        let mut eve = Jar::new();
        eve.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        std::mem::swap(&mut world.ada, &mut eve);
        let token = token(&mut world).await;
        let other = refusal(exchange(&world, &world.shop, &token, &[]).await).await;
        assert_eq!(other, error(400, "invalid_target"), "Ada's is not shared");
        let path = "/apps/acme/connections/sandbox";
        world.house.write(Method::PATCH, path, &json!({"shared": true})).await;
        ok(exchange(&world, &world.shop, &token, &[]).await).await;
        // Foreign and absent apps and connectors answer alike.
        world.house.app("globex", "Globex").await;
        for audience in ["globex/sandbox", "nowhere/sandbox", "acme/nothing"] {
            let refused =
                refusal(exchange(&world, &world.shop, &token, &[("audience", audience)]).await).await;
            assert_eq!(refused, error(400, "invalid_target"), "{audience}");
        }
        // A superadmin's plain sign-in opens no more than a member's would.
        let mut root = Jar::new();
        root.accept(&world.broker().invitation_url, "Root").await;
        std::mem::swap(&mut world.ada, &mut root);
        let token = self::token(&mut world).await;
        let refused = refusal(exchange(&world, &world.shop, &token, &[]).await).await;
        assert_eq!(refused, error(400, "invalid_target"));
        let id = text(&claims(&json!(ada))["sub"]).to_owned();
        let gone = format!("/admin/v1/apps/acme/members/{id}");
        assert_eq!(world.house.ask(Method::DELETE, &gone, None).await.status(), 204);
        let refused = refusal(exchange(&world, &world.shop, &ada, &[]).await).await;
        assert_eq!(refused, error(400, "invalid_target"), "no member any more: {}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_confined_provider_exchanges_only_there() {
    for mut world in World::each().await {
        let mut body = super::provider("Confined");
        body["allow"] = json!(["globex/*"]);
        let _ = connected(&mut world).await;
        world.shop = world.house.client(&body).await;
        let token = token(&mut world).await;
        let refused = refusal(exchange(&world, &world.shop, &token, &[]).await).await;
        assert_eq!(refused, error(400, "invalid_target"), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_exchange_says_what_to_do() {
    for mut world in World::each().await {
        let token = token(&mut world).await;
        let table = [
            ("subject_token", "", "invalid_request"),
            ("subject_token_type", "", "invalid_request"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token", "invalid_request"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:jwt", "invalid_request"),
            ("actor_token", "x", "invalid_request"),
            ("actor_token_type", ACCESS_TOKEN, "invalid_request"),
            ("audience", "", "invalid_request"),
            ("audience", "acme", "invalid_target"),
            ("audience", "acme/sandbox/x", "invalid_target"),
            ("audience", "*/*", "invalid_target"),
            ("flow", "no flow", "invalid_request"),
            ("min_ttl", "0", "invalid_request"),
            ("min_ttl", "soon", "invalid_request"),
        ];
        for (name, value, code) in table {
            let refused = refusal(exchange(&world, &world.shop, &token, &[(name, value)]).await).await;
            assert_eq!(refused, error(400, code), "{name}={value}");
        }
        // Nothing is connected: the answer says where to do it.
        let answer = exchange(&world, &world.shop, &token, &[]).await;
        assert_eq!(answer.status(), 400);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            (&body["error"], &body["action"]),
            (&json!("invalid_target"), &json!("reauthorize")),
            "{body}"
        );
        assert_eq!(body["signup_url"], world.broker().at("/acme/sandbox/signup"));
        world.stop().await;
    }
}

#[tokio::test]
async fn who_only_signs_people_in_gets_no_tokens_of_their_accounts() {
    for mut world in World::each().await {
        connected(&mut world).await;
        let mut body = super::provider("Plain page");
        body["allow"] = json!([]);
        world.shop = world.house.client(&body).await;
        let path = format!("/admin/v1/clients/{}", world.shop.0);
        let client: Value = world.house.ask(Method::GET, &path, None).await.json().await.unwrap();
        let grants = ["client_credentials", "authorization_code", "refresh_token"];
        assert_eq!((&client["grant_types"], &client["allow"]), (&json!(grants), &json!([])));
        let page = world.ada.get(&world.request(&[("scope", "openid")])).await;
        assert!(page.body.contains("Know who you are") && !page.body.contains("accounts"), "{}", page.body);
        let token = token(&mut world).await;
        let refused = refusal(exchange(&world, &world.shop, &token, &[]).await).await;
        assert_eq!(refused, error(400, "unauthorized_client"), "{}", world.house.home.name);
        let account = world.ada.get(&world.broker().at("/account")).await;
        let (_, listed) = account.body.split_once("Plain page").unwrap();
        let listed = listed.split("</form>").next().unwrap();
        assert!(listed.contains("Know who you are") && !listed.contains("accounts"), "{listed}");
        // Those who said yes were asked for no more.
        for wider in [json!({"allow": ["acme/*"]}), json!({"allow": null})] {
            let refused = world.house.ask(Method::PATCH, &path, Some(&wider)).await;
            assert_eq!(refused.status(), 400, "{wider}");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["errors"][0]["pointer"], "/allow", "{problem}");
        }
        let renamed = world.house.ask(Method::PATCH, &path, Some(&json!({"identifier": "Page"}))).await;
        assert_eq!(renamed.status(), 200);
        world.stop().await;
    }
}
