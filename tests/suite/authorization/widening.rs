//! Nobody gets more rights than he has by the administration's own routes. A14, by REST.

use reqwest::Method;
use serde_json::{Value, json};

use super::replicas::Twins;
use super::{Client, World, claims, rights, text};

async fn ask(world: &World, client: &Client, method: Method, path: &str, body: &Value) -> u16 {
    let token = world.broker().token_of(client).await;
    let url = world.broker().at(&format!("/admin/v1{path}"));
    let request = world.broker().http.request(method, url).bearer_auth(token).json(body);
    request.send().await.unwrap().status().as_u16()
}

/// All clients and people as an admin sees them.
async fn seen(world: &World) -> (Value, Value) {
    let all =
        async |path: &str| -> Value { world.house.ask(Method::GET, path, None).await.json().await.unwrap() };
    (all("/admin/v1/clients").await, all("/admin/v1/users").await)
}

#[tokio::test]
async fn nobody_widens_himself_or_another_or_takes_a_stronger_client_s_secret() {
    for mut world in World::each().await {
        let scopes = ["clients:read", "clients:write", "apps:read"];
        let mut body =
            json!({"identifier": "weak", "kind": "service", "role": "superadmin", "scopes": scopes});
        let weak = world.house.client(&body).await;
        body["identifier"] = json!("confined");
        body["allow"] = json!(["acme/*"]);
        let confined = world.house.client(&body).await;
        let tokens = world.tokens(&[("scope", "openid")]).await;
        let ada = text(&claims(&tokens["access_token"])["sub"]).to_owned();
        let before = seen(&world).await;
        let strong = format!("/clients/{}", world.broker().superadmin.0);
        let of = |client: &Client| format!("/clients/{}", client.0);
        let new =
            json!({"identifier": "new", "kind": "service", "role": "superadmin", "scopes": ["superadmin"]});
        let table = [
            (&confined, Method::PATCH, of(&confined), json!({"allow": null})),
            (&confined, Method::PATCH, of(&confined), json!({"allow": ["*/*"]})),
            (&confined, Method::POST, format!("{}/secrets", of(&confined)), json!({})),
            (&weak, Method::PATCH, of(&weak), json!({"scopes": ["superadmin"]})),
            (&weak, Method::PATCH, of(&weak), json!({"scopes": ["apps:write"]})),
            (&weak, Method::PATCH, strong.clone(), json!({"identifier": "mine"})),
            (&weak, Method::POST, format!("{strong}/secrets"), json!({})),
            (&weak, Method::POST, "/clients".to_owned(), new),
            (&weak, Method::PATCH, format!("/users/{ada}"), json!({"role": "superadmin"})),
        ];
        for (client, method, path, body) in table {
            let status = ask(&world, client, method.clone(), &path, &body).await;
            assert_eq!(status, 403, "{method} {path} {body}");
        }
        assert_eq!(seen(&world).await, before, "{}", world.house.home.name);
        // What is within its rights it may do.
        let status = ask(&world, &weak, Method::PATCH, &of(&weak), &json!({"scopes": ["apps:read"]})).await;
        assert_eq!(status, 200);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_person_s_narrowed_row_binds_on_another_replica_within_five_seconds() {
    let Some(twins) = Twins::start().await else { return };
    let world = &twins.world;
    let script = rights::script(world, &json!({})).await;
    let tokens = rights::token_of(world, &mut rights::root(world).await, &script, "superadmin").await;
    let there = async || {
        let request = twins.other.http.get(twins.other.at("/admin/v1/apps"));
        request.bearer_auth(text(&tokens["access_token"])).send().await.unwrap().status().as_u16()
    };
    assert_eq!(there().await, 200);
    let user = text(&claims(&tokens["access_token"])["sub"]).to_owned();
    world.house.write(Method::PATCH, &format!("/users/{user}"), &json!({"role": null})).await;
    world.house.pass(5);
    assert_eq!(there().await, 403);
    twins.stop().await;
}
