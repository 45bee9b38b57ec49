//! Is everything that the metadata lists there? Each entry is used, and one that nothing here knows fails. A6.
//!
//! Algorithms are used in `signing`, the addresses in `inspection`.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::assertions::{JWT_BEARER, Signer};
use super::{
    Client, World, ask, claims, devices, error, exchange, hidden, ok, parameter, refusal, say, text,
};

/// A list of the metadata.
async fn listed(world: &World, name: &str) -> Vec<String> {
    let url = world.broker().at("/.well-known/oauth-authorization-server");
    let metadata = ok(world.broker().http.get(url).send().await.unwrap()).await;
    let list = metadata[name].as_array().unwrap_or_else(|| panic!("no {name}"));
    assert!(!list.is_empty(), "{name}");
    list.iter().map(|entry| text(entry).to_owned()).collect()
}

#[tokio::test]
async fn every_grant_type_of_the_metadata_gives_a_token() {
    for mut world in World::each().await {
        let subject = exchange::connected(&mut world).await;
        let script = devices::script(&world, &json!({})).await;
        let grants = listed(&world, "grant_types_supported").await;
        for grant in &grants {
            let tokens = match grant.as_str() {
                "client_credentials" => {
                    ok(ask(world.broker(), "/o/token/", &world.shop, &[("grant_type", grant)]).await).await
                }
                "authorization_code" => world.tokens(&[]).await,
                "refresh_token" => {
                    let tokens = world.tokens(&[]).await;
                    ok(world.refresh(text(&tokens["refresh_token"]), &[]).await).await
                }
                devices::GRANT => {
                    let device = devices::begin(&world, &script).await;
                    let code = text(&device["user_code"]);
                    devices::answer(&mut world.ada.clone(), &world, code, "accept").await;
                    let form = [("grant_type", &**grant), ("device_code", text(&device["device_code"]))];
                    ok(ask(world.broker(), "/o/token/", &script, &form).await).await
                }
                exchange::GRANT => ok(exchange::exchange(&world, &world.shop, &subject, &[]).await).await,
                other => panic!("{other} is listed, and nobody uses it"),
            };
            assert!(tokens["access_token"].is_string(), "{grant} on {}", world.house.home.name);
        }
        assert_eq!(grants.len(), 5);
        world.stop().await;
    }
}

/// Who authenticates in one way each.
struct Callers {
    script: Client,
    signer: Signer,
}

impl Callers {
    async fn of(world: &World) -> Self {
        Self { script: devices::script(world, &json!({})).await, signer: Signer::register(world).await }
    }

    /// A form, by a client that authenticates like this.
    async fn send(&self, world: &World, method: &str, path: &str, form: &[(&str, &str)]) -> Response {
        let (id, secret) = &world.shop;
        let plain = async |more: &[(&str, &str)]| {
            let form = [form, more].concat();
            world.broker().http.post(world.broker().at(path)).form(&form).send().await.unwrap()
        };
        match method {
            "client_secret_basic" => ask(world.broker(), path, &world.shop, form).await,
            "client_secret_post" => plain(&[("client_id", id), ("client_secret", secret)]).await,
            "private_key_jwt" => {
                let assertion = self.signer.assertion(&self.signer.claims(world, path));
                plain(&[("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion)]).await
            }
            "none" => ask(world.broker(), path, &self.script, form).await,
            other => panic!("{other} is listed, and nobody uses it"),
        }
    }
}

#[tokio::test]
async fn every_way_of_authentication_of_the_metadata_lets_a_client_in() {
    for world in World::each().await {
        let callers = Callers::of(&world).await;
        for method in listed(&world, "token_endpoint_auth_methods_supported").await {
            if method == "none" {
                let device = devices::begin(&world, &callers.script).await;
                let form = [("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
                let waits = callers.send(&world, &method, "/o/token/", &form).await;
                assert_eq!(refusal(waits).await, error(400, "authorization_pending"));
                continue;
            }
            let form = [("grant_type", "client_credentials")];
            let tokens = ok(callers.send(&world, &method, "/o/token/", &form).await).await;
            assert!(tokens["access_token"].is_string(), "{method}");
        }
        for (path, list) in [
            ("/o/introspect/", "introspection_endpoint_auth_methods_supported"),
            ("/o/revoke_token/", "revocation_endpoint_auth_methods_supported"),
        ] {
            for method in listed(&world, list).await {
                let answer = callers.send(&world, &method, path, &[("token", "x")]).await;
                assert_eq!(answer.status(), 200, "{method} at {path}, {}", world.house.home.name);
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn every_prompt_and_response_mode_of_the_metadata_is_understood() {
    for mut world in World::each().await {
        world.tokens(&[]).await;
        for prompt in listed(&world, "prompt_values_supported").await {
            let seen = world.ada.get(&world.request(&[("prompt", &prompt)])).await;
            match prompt.as_str() {
                "none" => assert!(!parameter(&seen.to(), "code").is_empty()),
                "consent" => assert!(!hidden(&seen, "shown").is_empty(), "she is asked again"),
                // Whoever is to choose an account signs in with it.
                "login" | "select_account" => {
                    assert!(seen.body.contains("type=\"password\""), "{prompt}: {}", seen.body);
                }
                other => panic!("{other} is listed, and nobody uses it"),
            }
        }
        for (name, list) in [
            ("response_type", "response_types_supported"),
            ("response_mode", "response_modes_supported"),
            ("code_challenge_method", "code_challenge_methods_supported"),
        ] {
            for value in listed(&world, list).await {
                let url = world.request(&[(name, &value)]);
                let back = say(&mut world.ada, &url, "accept").await;
                assert_eq!(back.fragment(), None, "{name}={value}");
                ok(world.redeem(&parameter(&back, "code"), &[]).await).await;
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn every_scope_and_claim_of_the_metadata_can_be_had() {
    for mut world in World::each().await {
        let scopes = listed(&world, "scopes_supported").await;
        let of_persons = ["openid", "profile", "email", "offline_access"];
        let (persons, machines): (Vec<_>, Vec<_>) =
            scopes.iter().map(String::as_str).partition(|scope| of_persons.contains(scope));
        assert_eq!(persons, of_persons);
        let body = json!({"identifier": "all", "kind": "service", "role": "superadmin", "scopes": machines});
        let machine = world.house.client(&body).await;
        for scope in machines {
            let form = [("grant_type", "client_credentials"), ("scope", scope)];
            let tokens = ok(ask(world.broker(), "/o/token/", &machine, &form).await).await;
            assert_eq!(claims(&tokens["access_token"])["scope"], scope);
        }
        for scope in persons {
            assert_eq!(world.tokens(&[("scope", scope)]).await["scope"], scope);
        }
        let tokens = world.tokens(&[]).await;
        let told = claims(&tokens["id_token"]);
        for claim in listed(&world, "claims_supported").await {
            assert!(told.get(&claim).is_some(), "{claim} is not in {told}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_key_that_grew_old_is_followed_by_one_that_everybody_may_fetch() {
    for mut world in World::each().await {
        assert_eq!(keys(&world).await.len(), 1);
        world.house.pass(91 * 86_400);
        // A broker that starts looks at its keys, one that runs does so every minute of the machine's.
        world.house = world.house.restart(&[]).await;
        let pending = async {
            loop {
                let keys = keys(&world).await;
                if let Some(key) = keys.iter().find(|key| key["state"] == "pending") {
                    break key["kid"].clone();
                }
            }
        };
        let pending = tokio::time::timeout(Duration::from_secs(30), pending).await.expect("no key follows");
        // Every replica knows it this soon.
        world.house.pass(6);
        let url = world.broker().at("/.well-known/jwks.json");
        let set = ok(world.broker().http.get(url).send().await.unwrap()).await;
        let set = set["keys"].as_array().unwrap();
        assert!(set.iter().any(|key| key["kid"] == pending), "{}: {set:?}", world.house.home.name);
        assert_eq!(keys(&world).await.iter().filter(|key| key["state"] == "active").count(), 1);
        world.stop().await;
    }
}

async fn keys(world: &World) -> Vec<Value> {
    let keys: Value =
        world.house.ask(Method::GET, "/admin/v1/keys/signing", None).await.json().await.unwrap();
    keys["items"].as_array().unwrap().clone()
}
