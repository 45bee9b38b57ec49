//! What a person allowed is seen and taken away, whether or not a token has come of it yet.

use serde_json::json;

use super::{
    BACK, Client, VERIFIER, World, ask, devices, error, hidden, ok, parameter, refusal, rights, say, text,
};

/// Ada's page names the application; she takes its access away, and a second time there is nothing to take.
async fn take_away(world: &mut World, client: &Client, name: &str) {
    let (account, out) = (world.broker().at("/account"), world.broker().at("/account/applications"));
    let page = world.ada.get(&account).await;
    assert!(page.body.contains(&format!("<h3>{name}</h3>")), "{}: {}", world.house.home.name, page.body);
    assert_eq!(hidden(&page, "client_id"), client.0);
    let token = page.csrf_token();
    let form = [("csrf_token", token.as_str()), ("client_id", client.0.as_str())];
    let done = world.ada.post(&out, &form).await.to();
    assert!(world.ada.get(done.as_str()).await.body.contains("None. Whoever asks"));
    assert_eq!(world.ada.post(&out, &form).await.status, 404, "nothing is left");
}

/// The web application asks without a page: the error it is told, or none.
async fn silently(world: &mut World) -> Option<String> {
    let url = world.request(&[("scope", "openid"), ("prompt", "none")]);
    let back = world.ada.get(&url).await.to();
    back.query_pairs().find(|(name, _)| name == "error").map(|(_, code)| code.into_owned())
}

#[tokio::test]
async fn a_device_that_was_allowed_and_has_not_asked_since() {
    for mut world in World::each().await {
        let script = devices::script(&world, &json!({})).await;
        let account = world.broker().at("/account");
        let device = devices::begin(&world, &script).await;
        assert!(world.ada.get(&account).await.body.contains("None. Whoever asks"), "it is not allowed yet");
        let mut ada = world.ada.clone();
        devices::answer(&mut ada, &world, text(&device["user_code"]), "accept").await;
        assert!(world.ada.get(&account).await.body.contains("Know who you are"));
        take_away(&mut world, &script, "Notebook").await;
        let form = [("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
        let refused = refusal(ask(world.broker(), "/o/token/", &script, &form).await).await;
        assert_eq!(refused, error(400, "invalid_grant"), "{}", world.house.home.name);
        // One that nobody fetches is not shown for ever.
        let device = devices::begin(&world, &script).await;
        devices::answer(&mut ada, &world, text(&device["user_code"]), "accept").await;
        world.house.pass(601);
        assert!(world.ada.get(&account).await.body.contains("None. Whoever asks"));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_code_that_its_client_has_not_redeemed() {
    for mut world in World::each().await {
        let script = rights::script(&world, &json!({"role": null, "scopes": ["openid"]})).await;
        let back = "http://127.0.0.1:4711/cb";
        let changes = [("redirect_uri", back), ("scope", "openid")];
        let url = super::authorization_request(&world.broker().url, &script.0, &changes);
        let code = parameter(&say(&mut world.ada, &url, "accept").await, "code");
        take_away(&mut world, &script, "Script").await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", back),
            ("code_verifier", VERIFIER),
        ];
        let refused = refusal(ask(world.broker(), "/o/token/", &script, &form).await).await;
        assert_eq!(refused, error(400, "invalid_grant"), "{}", world.house.home.name);
        // The same of a web application, which is not asked about again either.
        let (code, shop) = (world.code(&[]).await, world.shop.clone());
        take_away(&mut world, &shop, "Shop").await;
        let refused = refusal(world.redeem(&code, &[("redirect_uri", BACK)]).await).await;
        assert_eq!(refused, error(400, "invalid_grant"));
        assert_eq!(silently(&mut world).await.as_deref(), Some("consent_required"));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_consent_that_is_remembered_while_no_token_lives() {
    for mut world in World::each().await {
        let shop = world.shop.clone();
        // The client has given its refresh token back.
        let tokens = world.tokens(&[]).await;
        let form = [("token", text(&tokens["refresh_token"]))];
        assert_eq!(ask(world.broker(), "/o/revoke_token/", &shop, &form).await.status(), 200);
        assert_eq!(world.userinfo(text(&tokens["access_token"])).await.status(), 401);
        let page = world.ada.get(&world.broker().at("/account")).await;
        assert!(page.body.contains("gets the next one without asking you"), "{}", page.body);
        take_away(&mut world, &shop, "Shop").await;
        assert_eq!(silently(&mut world).await.as_deref(), Some("consent_required"));
        // Its tokens have ended by themselves.
        world.tokens(&[("scope", "openid")]).await;
        let page = world.ada.get(&world.broker().at("/account")).await;
        assert!(!page.body.contains("gets the next one without asking you"), "one lives: {}", page.body);
        world.house.pass(3_700);
        assert_eq!(silently(&mut world).await, None, "it is not asked about");
        world.house.pass(61);
        take_away(&mut world, &shop, "Shop").await;
        assert_eq!(
            silently(&mut world).await.as_deref(),
            Some("consent_required"),
            "{}",
            world.house.home.name
        );
        let code = world.code(&[]).await;
        ok(world.redeem(&code, &[]).await).await;
        world.stop().await;
    }
}
