//! Other resource servers: their scopes, and tokens that are worth nothing here. A15, RFC 8707.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, World, ask, claims, error, exchange, ok, refusal, text};

pub(super) const TERMS: &str = "https://terms.example/api";

pub(super) async fn register(world: &World) {
    let body = json!({"uri": TERMS, "name": "Terms", "scopes": ["terms:read", "terms:write"]});
    world.house.write(Method::POST, "/resources", &body).await;
}

async fn token(world: &World, client: &Client, more: &[(&str, &str)]) -> reqwest::Response {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(more);
    ask(world.broker(), "/o/token/", client, &form).await
}

#[tokio::test]
async fn a_pipeline_gets_a_token_for_its_only_resource_server_without_asking() {
    for world in World::each().await {
        register(&world).await;
        let body = json!({
            "identifier": "pipeline", "kind": "service", "resources": [TERMS], "scopes": ["terms:read"],
        });
        let pipeline = world.house.client(&body).await;
        let tokens = ok(token(&world, &pipeline, &[]).await).await;
        let said = claims(&tokens["access_token"]);
        assert_eq!((&said["aud"], &said["scope"]), (&json!(TERMS), &json!("terms:read")));
        let refused = refusal(token(&world, &pipeline, &[("scope", "terms:write")]).await).await;
        assert_eq!(refused, error(400, "invalid_scope"));
        let refused = refusal(token(&world, &pipeline, &[("resource", "https://other.example")]).await).await;
        assert_eq!(refused, error(400, "invalid_target"), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_token_for_another_resource_server_carries_nothing_of_ours_and_is_refused_here() {
    for world in World::each().await {
        register(&world).await;
        let body = json!({
            "identifier": "both", "kind": "service", "role": "superadmin", "resources": [TERMS],
            "scopes": ["superadmin", "terms:read"], "allow": ["acme/*"],
        });
        let both = world.house.client(&body).await;
        let tokens = ok(token(&world, &both, &[]).await).await;
        let said = claims(&tokens["access_token"]);
        assert_eq!((&said["aud"], &tokens["scope"]), (&json!(TERMS), &json!("terms:read")));
        assert!(said.get("role").is_none() && said.get("authorization_details").is_none(), "{said}");
        let refused = refusal(token(&world, &both, &[("scope", "binb:read")]).await).await;
        assert_eq!(refused, error(400, "invalid_scope"), "another resource server does not know it");
        let bearer = text(&tokens["access_token"]);
        for path in ["/acme/sandbox/binb-token", "/admin/v1/apps", "/o/userinfo/"] {
            let answer =
                world.broker().http.get(world.broker().at(path)).bearer_auth(bearer).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
        }
        let told = ok(ask(world.broker(), "/o/introspect/", &both, &[("token", bearer)]).await).await;
        assert_eq!((&told["active"], &told["aud"]), (&json!(true), &json!(TERMS)));
        // Ours, where it is asked for by name.
        let url = world.broker().url.clone();
        let own = ok(token(&world, &both, &[("resource", &url)]).await).await;
        let said = claims(&own["access_token"]);
        assert_eq!(
            (&said["aud"], &said["role"]),
            (&json!(url), &json!("superadmin")),
            "{}",
            world.house.home.name
        );
        assert_eq!(own["scope"], "superadmin");
        let refused =
            refusal(token(&world, &both, &[("resource", &url), ("scope", "terms:read")]).await).await;
        assert_eq!(refused, error(400, "invalid_scope"));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_resource_server_asks_about_tokens_that_are_for_it() {
    for world in World::each().await {
        register(&world).await;
        let client = |name: &str, resources: Value, scopes: Value| json!({"identifier": name, "kind": "service", "resources": resources, "scopes": scopes});
        let pipeline = world.house.client(&client("pipeline", json!([TERMS]), json!(["terms:read"]))).await;
        let terms = world.house.client(&client("terms", json!([TERMS]), json!([]))).await;
        let stranger = world.house.client(&client("stranger", json!([]), json!([]))).await;
        let tokens = ok(token(&world, &pipeline, &[]).await).await;
        let form = [("token", text(&tokens["access_token"]))];
        let told = ok(ask(world.broker(), "/o/introspect/", &terms, &form).await).await;
        assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(pipeline.0)));
        let told = ok(ask(world.broker(), "/o/introspect/", &stranger, &form).await).await;
        assert_eq!(told, json!({"active": false}));
        assert_eq!(ask(world.broker(), "/o/revoke_token/", &terms, &form).await.status(), 200);
        let told = ok(ask(world.broker(), "/o/introspect/", &terms, &form).await).await;
        assert_eq!(told["active"], true, "it is not the one it was issued to: {}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn what_a_resource_server_no_longer_knows_is_in_no_new_token() {
    for world in World::each().await {
        register(&world).await;
        let body = json!({
            "identifier": "pipeline", "kind": "service", "resources": [TERMS], "scopes": ["terms:read", "terms:write"],
        });
        let pipeline = world.house.client(&body).await;
        let less = json!({"uri": TERMS, "name": "Terms", "scopes": ["terms:read"]});
        world.house.write(Method::PUT, "/resources", &less).await;
        assert_eq!(ok(token(&world, &pipeline, &[]).await).await["scope"], "terms:read");
        let gone = format!("/admin/v1/resources?uri={TERMS}");
        assert_eq!(world.house.ask(Method::DELETE, &gone, None).await.status(), 204);
        assert_eq!(refusal(token(&world, &pipeline, &[]).await).await, error(400, "invalid_target"));
        // Its client can still be changed in other ways.
        let path = format!("/clients/{}", pipeline.0);
        world.house.write(Method::PATCH, &path, &json!({"token_lifetime_s": 120})).await;
        let listed: Value =
            world.house.ask(Method::GET, "/admin/v1/resources", None).await.json().await.unwrap();
        assert_eq!(listed, json!({"items": [], "next_cursor": null}), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn bad_resource_servers_and_clients_of_unknown_ones_are_pointed_at() {
    for world in World::each().await {
        register(&world).await;
        let url = world.broker().url.clone();
        let resources = [
            (json!({"uri": "terms", "name": "T", "scopes": []}), "/uri"),
            (json!({"uri": "https://a.example/#f", "name": "T", "scopes": []}), "/uri"),
            (json!({"uri": url, "name": "T", "scopes": []}), "/uri"),
            (json!({"uri": "https://a.example", "name": "", "scopes": []}), "/name"),
            (json!({"uri": "https://a.example", "name": "T", "scopes": ["superadmin"]}), "/scopes/0"),
            (json!({"uri": "https://a.example", "name": "T", "scopes": ["a b"]}), "/scopes/0"),
        ];
        let clients = [
            (json!({"identifier": "a", "kind": "service", "resources": ["https://a.example"]}), "/resources"),
            (json!({"identifier": "a", "kind": "service", "scopes": ["terms:read"]}), "/scopes"),
            (json!({"identifier": "a", "kind": "service", "redirect_uris": [super::BACK]}), "/redirect_uris"),
        ];
        let told = async |path: &str, body: &Value| -> Value {
            world.house.ask(Method::POST, path, Some(body)).await.json().await.unwrap()
        };
        for (path, table) in [("/admin/v1/resources", &resources[..]), ("/admin/v1/clients", &clients[..])] {
            for (body, pointer) in table {
                let problem = told(path, body).await;
                assert_eq!(
                    (&problem["code"], &problem["errors"][0]["pointer"]),
                    (&json!("invalid_request"), &json!(pointer)),
                    "{problem}"
                );
            }
        }
        let twice = told("/admin/v1/resources", &json!({"uri": TERMS, "name": "T", "scopes": []})).await;
        assert_eq!(twice["code"], "already_exists");
        let unknown = json!({"uri": "https://a.example", "name": "T", "scopes": []});
        let put = world.house.ask(Method::PUT, "/admin/v1/resources", Some(&unknown)).await;
        assert_eq!(put.status(), 404, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_of_two_resource_servers_that_names_none_gets_a_token_for_us_as_long_as_it_may_live() {
    for world in World::each().await {
        register(&world).await;
        let other = json!({"uri": "https://other.example", "name": "Other", "scopes": ["other:read"]});
        world.house.write(Method::POST, "/resources", &other).await;
        let body = json!({
            "identifier": "both", "kind": "service", "role": "superadmin", "token_lifetime_s": 120,
            "resources": [TERMS, "https://other.example"], "allow": ["acme/*"],
            "scopes": ["binb:read", "terms:read", "other:read"],
        });
        let both = world.house.client(&body).await;
        let tokens = ok(token(&world, &both, &[]).await).await;
        let said = claims(&tokens["access_token"]);
        assert_eq!((&said["aud"], &tokens["scope"]), (&json!(world.broker().url), &json!("binb:read")));
        let lifetime = said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap();
        assert_eq!((lifetime, &tokens["expires_in"]), (120, &json!(120)));
        let details = &said["authorization_details"];
        assert_eq!(details.as_array().map(Vec::len), Some(1), "{said}");
        assert_eq!(details[0]["locations"], json!(["acme/*"]), "{said}");
        let path = format!("/clients/{}", both.0);
        world.house.write(Method::PATCH, &path, &json!({"token_lifetime_s": 600})).await;
        let longer = ok(token(&world, &both, &[("resource", TERMS)]).await).await;
        assert_eq!(claims(&longer["access_token"])["aud"], TERMS);
        assert_eq!(longer["expires_in"], 600, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_person_s_token_for_another_resource_server_is_exchanged_for_nothing() {
    for mut world in World::each().await {
        register(&world).await;
        exchange::connected(&mut world).await;
        let mut body = super::provider("Reader");
        body["resources"] = json!([TERMS]);
        body["scopes"] = json!(["openid", "terms:read"]);
        world.shop = world.house.client(&body).await;
        let of_ours = world.tokens(&[("scope", "openid"), ("resource", &world.broker().url.clone())]).await;
        let theirs = world.tokens(&[("scope", "openid terms:read"), ("resource", TERMS)]).await;
        assert_eq!(claims(&theirs["access_token"])["aud"], TERMS);
        let ours = text(&of_ours["access_token"]);
        ok(exchange::exchange(&world, &world.shop, ours, &[]).await).await;
        let token = text(&theirs["access_token"]);
        let refused = refusal(exchange::exchange(&world, &world.shop, token, &[]).await).await;
        assert_eq!(refused, error(400, "invalid_request"), "{}", world.house.home.name);
        world.stop().await;
    }
}
