//! Nothing is left of what was asked for: the client is told so, and gets no token without a scope (RFC 6749 §5.1).

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, World, ask, devices, error, ok, parameter, refusal, rights, say, text};
use crate::support::jar::{Jar, Seen};

const BACK: &str = "http://127.0.0.1:4711/cb";

/// A superadmin's script, which a device may be as well: it is confined.
async fn notebook(world: &World) -> Client {
    let confined = json!({
        "role": "superadmin", "scopes": ["openid", "binb:read"], "allow": ["acme/github"],
        "redirect_uris": ["http://127.0.0.1/cb"],
    });
    devices::script(world, &confined).await
}

async fn begin(world: &World, script: &Client) -> Value {
    let form = [("scope", "binb:read")];
    ok(ask(world.broker(), "/o/device_authorization/", script, &form).await).await
}

async fn poll(world: &World, script: &Client, device: &Value) -> (u16, String) {
    let form = [("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
    refusal(ask(world.broker(), "/o/token/", script, &form).await).await
}

/// Types the code, and says this to what the page asks.
async fn say_to(jar: &mut Jar, world: &World, device: &Value, decision: &str) -> Seen {
    let url = world.broker().at("/o/device/");
    let token = jar.get(&url).await.csrf_token();
    let code = text(&device["user_code"]);
    jar.post(&url, &[("csrf_token", &token), ("user_code", code), ("decision", decision)]).await
}

async fn change_role(world: &World, role: Value) {
    let users: Value = world.house.ask(Method::GET, "/admin/v1/users", None).await.json().await.unwrap();
    let root = users["items"].as_array().unwrap().iter().find(|user| user["display_name"] == "Root");
    let path = format!("/users/{}", text(&root.unwrap()["id"]));
    world.house.write(Method::PATCH, &path, &json!({ "role": role })).await;
}

async fn change_scopes(world: &World, script: &Client, scopes: &[&str]) {
    world.house.write(Method::PATCH, &format!("/clients/{}", script.0), &json!({ "scopes": scopes })).await;
}

#[tokio::test]
async fn a_device_is_told_access_denied_and_its_person_why() {
    for world in World::each().await {
        let script = notebook(&world).await;
        let device = begin(&world, &script).await;
        let mut ada = world.ada.clone();
        let page = say_to(&mut ada, &world, &device, "").await;
        assert!(page.body.contains("You cannot give"), "{}: {}", world.house.home.name, page.body);
        assert!(page.body.contains("Receive the tokens of connected accounts"), "{}", page.body);
        assert!(!page.body.contains("value=\"accept\""), "{}", page.body);
        assert_eq!(poll(&world, &script, &device).await, error(400, "authorization_pending"));
        // Whoever says yes all the same has said no.
        let told = say_to(&mut ada, &world, &device, "accept").await;
        assert!(told.body.contains("was told no"), "{}", told.body);
        assert_eq!(poll(&world, &script, &device).await, error(400, "access_denied"));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_is_told_access_denied_where_rights_went_after_the_yes() {
    for world in World::each().await {
        let script = notebook(&world).await;
        let mut root = rights::root(&world).await;
        for change in ["role", "scopes"] {
            let device = begin(&world, &script).await;
            let page = say_to(&mut root, &world, &device, "").await;
            assert!(page.body.contains("value=\"accept\""), "{}", page.body);
            let told = say_to(&mut root, &world, &device, "accept").await;
            assert!(told.body.contains("may act for you now"), "{}", told.body);
            match change {
                "role" => change_role(&world, Value::Null).await,
                _ => change_scopes(&world, &script, &["openid"]).await,
            }
            for _ in 0..2 {
                assert_eq!(
                    poll(&world, &script, &device).await,
                    error(400, "access_denied"),
                    "{change}: {}",
                    world.house.home.name
                );
            }
            change_role(&world, json!("superadmin")).await;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_code_is_worth_nothing_where_rights_went_after_the_yes() {
    for world in World::each().await {
        let script = notebook(&world).await;
        let mut root = rights::root(&world).await;
        for change in ["role", "scopes"] {
            let changes = [("redirect_uri", BACK), ("scope", "binb:read")];
            let url = super::authorization_request(&world.broker().url, &script.0, &changes);
            let code = parameter(&say(&mut root, &url, "accept").await, "code");
            match change {
                "role" => change_role(&world, Value::Null).await,
                _ => change_scopes(&world, &script, &["openid"]).await,
            }
            let form = [
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("redirect_uri", BACK),
                ("code_verifier", super::VERIFIER),
            ];
            let refused = refusal(ask(world.broker(), "/o/token/", &script, &form).await).await;
            assert_eq!(refused, error(400, "invalid_grant"), "{change}: {}", world.house.home.name);
            change_role(&world, json!("superadmin")).await;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn who_asks_for_no_scope_gets_a_token_without_one() {
    for world in World::each().await {
        let script = devices::script(&world, &json!({"scopes": []})).await;
        let device = devices::begin(&world, &script).await;
        let mut ada = world.ada.clone();
        let page = say_to(&mut ada, &world, &device, "").await;
        assert!(page.body.contains("nothing in particular") && page.body.contains("value=\"accept\""));
        say_to(&mut ada, &world, &device, "accept").await;
        let form = [("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
        let tokens = ok(ask(world.broker(), "/o/token/", &script, &form).await).await;
        assert!(tokens["scope"].is_null(), "{}: {tokens}", world.house.home.name);
        world.stop().await;
    }
}
