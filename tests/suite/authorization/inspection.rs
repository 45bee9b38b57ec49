//! Introspection, revocation, userinfo and the metadata: A5, A6, A8.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, ask, claims, error, ok, public, refusal, resources, text};

async fn introspect(world: &World, client: &super::Client, token: &str) -> Value {
    ok(ask(world.broker(), "/o/introspect/", client, &[("token", token)]).await).await
}

#[tokio::test]
async fn a_client_learns_what_its_own_tokens_are_worth_and_nothing_of_others() {
    for mut world in World::each().await {
        let tokens = world.tokens(&[]).await;
        let (access, refresh) = (text(&tokens["access_token"]), text(&tokens["refresh_token"]));
        let told = introspect(&world, &world.shop, access).await;
        let said = claims(&tokens["access_token"]);
        assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("Bearer")));
        for claim in ["sub", "iss", "aud", "client_id", "exp", "iat", "jti", "scope"] {
            assert_eq!(told[claim], said[claim], "{claim}");
        }
        assert_eq!(told["username"], "ada@example.com");
        assert_eq!(introspect(&world, &world.shop, refresh).await["active"], true);
        let other = world.house.client(&super::provider("Other")).await;
        let inactive = json!({"active": false});
        for token in [access, refresh] {
            assert_eq!(introspect(&world, &other, token).await, inactive);
        }
        for token in ["x", "a.b.c", text(&tokens["id_token"]), "00000000000070008000000000000000.AAAA"] {
            assert_eq!(introspect(&world, &world.shop, token).await, inactive, "{token}");
        }
        world.house.pass(3_700);
        assert_eq!(introspect(&world, &world.shop, access).await, inactive, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn introspection_tells_role_and_locations_as_the_token_does_and_as_they_are_left() {
    for world in World::each().await {
        resources::register(&world).await;
        let body = json!({
            "identifier": "job", "kind": "service", "role": "superadmin", "resources": [resources::TERMS],
            "scopes": ["binb:read", "terms:read"], "allow": ["acme/*", "globex/github"],
        });
        let job = world.house.client(&body).await;
        let token = async |resource: &str| {
            let form = [("grant_type", "client_credentials"), ("resource", resource)];
            ok(ask(world.broker(), "/o/token/", &job, &form).await).await["access_token"].clone()
        };
        let own = token(&world.broker().url).await;
        let told = introspect(&world, &job, text(&own)).await;
        assert_eq!(told["role"], "superadmin", "{}", world.house.home.name);
        for claim in ["role", "authorization_details"] {
            assert_eq!(told[claim], claims(&own)[claim], "{claim}");
        }
        let locations = json!([{"type": "binb_token", "locations": ["acme/*", "globex/github"]}]);
        assert_eq!(told["authorization_details"], locations);
        // For another resource server there are neither, whoever asks.
        let reader = json!({"identifier": "Terms", "kind": "service", "resources": [resources::TERMS]});
        let reader = world.house.client(&reader).await;
        let terms = token(resources::TERMS).await;
        for asks in [&job, &reader] {
            let told = introspect(&world, asks, text(&terms)).await;
            assert_eq!((&told["active"], &told["aud"]), (&json!(true), &json!(resources::TERMS)));
            assert!(told.get("role").is_none() && told.get("authorization_details").is_none(), "{told}");
        }
        // Nor for somebody without them.
        let plain = world.broker().token_of(&world.shop).await;
        let told = introspect(&world, &world.shop, &plain).await;
        assert!(told.get("role").is_none() && told.get("authorization_details").is_none(), "{told}");
        let path = format!("/clients/{}", job.0);
        world.house.write(Method::PATCH, &path, &json!({"allow": ["acme/github"]})).await;
        let told = introspect(&world, &job, text(&own)).await;
        let locations = json!([{"type": "binb_token", "locations": ["acme/github"]}]);
        assert_eq!(told["authorization_details"], locations);
        world.house.write(Method::PATCH, &path, &json!({"role": null})).await;
        let told = introspect(&world, &job, text(&own)).await;
        assert!(told["active"] == true && told.get("role").is_none(), "{told}");
        world.stop().await;
    }
}

#[tokio::test]
async fn nobody_introspects_without_proving_himself() {
    for world in World::each().await {
        let form = [("token", "x")];
        let nobody = (String::from("nobody"), String::from("x"));
        let wrong = (world.shop.0.clone(), String::from("wrong"));
        for client in [nobody, wrong] {
            let refused = refusal(ask(world.broker(), "/o/introspect/", &client, &form).await).await;
            assert_eq!(refused, error(401, "invalid_client"));
        }
        let body = json!({"identifier": "Script", "kind": "programmatic", "scopes": ["openid"]});
        let script = public(&world.house, &body).await;
        let refused = refusal(ask(world.broker(), "/o/introspect/", &script, &form).await).await;
        assert_eq!(refused, error(400, "unauthorized_client"));
        for path in ["/o/introspect/", "/o/revoke_token/"] {
            let refused = refusal(ask(world.broker(), path, &world.shop, &[]).await).await;
            assert_eq!(refused, error(400, "invalid_request"), "{path}");
            let bearer = world.broker().token_of(&world.shop).await;
            let request = world.broker().http.post(world.broker().at(path)).bearer_auth(bearer).form(&form);
            assert_eq!(refusal(request.send().await.unwrap()).await, error(401, "invalid_client"));
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_revokes_its_own_tokens_and_no_other() {
    for mut world in World::each().await {
        let tokens = world.tokens(&[]).await;
        let (access, refresh) = (text(&tokens["access_token"]), text(&tokens["refresh_token"]));
        let other = world.house.client(&super::provider("Other")).await;
        let revoke = async |client: &super::Client, token: &str| {
            let answer = ask(world.broker(), "/o/revoke_token/", client, &[("token", token)]).await;
            answer.status().as_u16()
        };
        for token in [access, refresh, "unknown"] {
            assert_eq!(revoke(&other, token).await, 200);
        }
        assert_eq!(world.userinfo(access).await.status(), 200, "another client's token stays alive");
        assert_eq!(revoke(&world.shop, access).await, 200);
        assert_eq!(world.userinfo(access).await.status(), 401);
        let next = ok(world.refresh(refresh, &[]).await).await;
        assert_eq!(world.userinfo(text(&next["access_token"])).await.status(), 200, "the grant lives on");
        assert_eq!(revoke(&world.shop, text(&next["refresh_token"])).await, 200);
        assert_eq!(world.userinfo(text(&next["access_token"])).await.status(), 401);
        let dead = refusal(world.refresh(text(&next["refresh_token"]), &[]).await).await;
        assert_eq!(dead, error(400, "invalid_grant"), "{}", world.house.home.name);
        // A machine's own, too.
        let job =
            world.house.client(&json!({"identifier": "job", "kind": "service", "role": "superadmin"})).await;
        let token = world.broker().token_of(&job).await;
        assert_eq!(introspect(&world, &job, &token).await["active"], true);
        assert_eq!(revoke(&job, &token).await, 200);
        assert_eq!(introspect(&world, &job, &token).await, json!({"active": false}));
        let http = &world.broker().http;
        let handed = http.get(world.broker().at("/acme/sandbox/binb-token")).bearer_auth(&token);
        assert_eq!(handed.send().await.unwrap().status(), 401);
        world.stop().await;
    }
}

/// What kind of token it is, is found out: a hint that is wrong, empty or unknown changes nothing (RFC 7009 §2.1, RFC 7662
/// §2.1). One that comes twice is refused, whatever it says, and the token lives on (RFC 6749 §3.2).
#[tokio::test]
async fn a_hint_hides_no_token() {
    for mut world in World::each().await {
        let hints =
            ["access_token", "refresh_token", "", "id_token", "urn:example:odd", "ACCESS_TOKEN", " ", "%"];
        for hint in hints {
            for kind in ["access_token", "refresh_token"] {
                let what = format!("{kind} said to be {hint:?} on {}", world.house.home.name);
                let tokens = world.tokens(&[("prompt", "consent")]).await;
                let token = text(&tokens[kind]);
                let about = async |path: &str, hints: &[&str]| {
                    let mut form = vec![("token", token)];
                    form.extend(hints.iter().map(|hint| ("token_type_hint", *hint)));
                    ask(world.broker(), path, &world.shop, &form).await
                };
                for path in ["/o/introspect/", "/o/revoke_token/"] {
                    let twice = refusal(about(path, &[hint, hint]).await).await;
                    assert_eq!(twice, error(400, "invalid_request"), "{what}");
                }
                let plain = introspect(&world, &world.shop, token).await;
                assert_eq!(plain["active"], true, "{what}");
                assert_eq!(ok(about("/o/introspect/", &[hint]).await).await, plain, "{what}");
                assert_eq!(about("/o/revoke_token/", &[hint]).await.status(), 200, "{what}");
                let told = introspect(&world, &world.shop, token).await;
                assert_eq!(told, json!({"active": false}), "{what}");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn userinfo_tells_a_person_s_token_and_no_other() {
    for mut world in World::each().await {
        let bare = world.tokens(&[("scope", "openid")]).await;
        let told = ok(world.userinfo(text(&bare["access_token"])).await).await;
        assert_eq!(told, json!({"sub": claims(&bare["access_token"])["sub"]}));
        let without = world.tokens(&[("scope", "profile")]).await;
        assert!(without.get("id_token").is_none());
        let refused = world.userinfo(text(&without["access_token"])).await;
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"openid\""));
        assert_eq!(refusal(refused).await, error(403, "insufficient_scope"));
        let machine = world.broker().token_of(&world.house.broker.superadmin).await;
        assert_eq!(refusal(world.userinfo(&machine).await).await, error(403, "insufficient_scope"));
        let url = world.broker().at("/o/userinfo");
        let nothing = world.broker().http.get(&url).send().await.unwrap();
        assert!(nothing.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        assert_eq!(nothing.status(), 401);
        let id_token = world.userinfo(text(&bare["id_token"])).await;
        assert_eq!(refusal(id_token).await, error(401, "invalid_token"), "an ID token is no access token");
        let in_query = format!("{url}?access_token={}", text(&bare["access_token"]));
        assert_eq!(world.broker().http.get(in_query).send().await.unwrap().status(), 401);
        let posted = world.broker().http.post(&url).bearer_auth(text(&bare["access_token"]));
        assert_eq!(posted.send().await.unwrap().status(), 200, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn every_address_of_the_metadata_answers_and_all_of_them_are_there() {
    for world in World::each().await {
        let broker = world.broker();
        for document in ["oauth-authorization-server", "openid-configuration"] {
            let request = broker.http.get(broker.at(&format!("/.well-known/{document}")));
            let spoofed =
                request.header("x-forwarded-host", "evil.example").header("forwarded", "host=evil.example");
            let metadata: Value = spoofed.send().await.unwrap().json().await.unwrap();
            assert_eq!(metadata["issuer"], broker.url);
            assert!(!metadata.to_string().contains("evil"));
            let mut seen = 0;
            for (name, value) in metadata.as_object().unwrap() {
                let endpoint = name.ends_with("_endpoint") || name == "jwks_uri";
                if !endpoint {
                    continue;
                }
                seen += 1;
                let url = text(value);
                assert!(url.starts_with(&broker.url), "{name}: {url}");
                let method = match name.as_str() {
                    "jwks_uri" | "authorization_endpoint" | "userinfo_endpoint" => Method::GET,
                    _ => Method::POST,
                };
                let status = broker.http.request(method.clone(), url).send().await.unwrap().status().as_u16();
                assert!([200, 400, 401].contains(&status), "{name}: {method} {url}: {status}");
                let bare = url.trim_end_matches('/');
                let again = broker.http.request(method, bare).send().await.unwrap().status().as_u16();
                assert_eq!(again, status, "{name} without its final slash");
            }
            assert_eq!(seen, 7);
        }
        world.stop().await;
    }
}
