//! Odd values of every parameter that programs send, odd names and odd headers: each gets the error of its parameter. A2, A3.

use serde_json::{Value, json};

use super::ODD;
use crate::authorization::{
    BACK, Client, VERIFIER, World, ask, changed, devices, error, exchange, ok, refusal, text,
};
use crate::support::problem;

/// What is wrong with the answers to odd values of these parameters: each has its own code, and no value is repeated.
async fn judge(
    world: &World,
    client: &Client,
    form: &[(&str, &str)],
    names: &[(&'static str, &'static str)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, expected) in names {
        for odd in ODD {
            // These are names that a connection might have, and none has.
            let named = ["null", "-1", "99999999999999999999", "a.b.c.d"].contains(&odd);
            let expected = if *name == "flow" && named { "invalid_target" } else { *expected };
            let form = changed(form, &[(*name, odd)]);
            let answer = ask(world.broker(), "/o/token/", client, &form).await;
            let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
            let body: Value = serde_json::from_str(&body).unwrap();
            let told = body["error_description"].as_str().unwrap_or_default();
            let repeated = told.contains(odd) && odd != " " && odd != "%";
            if repeated || (status, &body["error"]) != (400, &json!(expected)) {
                wrong.push(format!("{}: {name}={odd}: {status} {body}, not {expected}", form[0].1));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn an_odd_value_gets_the_error_of_its_parameter() {
    let (target, request, grant, scope) =
        ("invalid_target", "invalid_request", "invalid_grant", "invalid_scope");
    for mut world in World::each().await {
        let script = devices::script(&world, &json!({})).await;
        let device = devices::begin(&world, &script).await;
        let tokens = world.tokens(&[]).await;
        let machine = [("grant_type", "client_credentials")];
        let mut wrong = judge(&world, &world.shop, &machine, &[("scope", scope), ("resource", target)]).await;
        let code = [
            ("grant_type", "authorization_code"),
            ("code", "x"),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        // The code comes first: without it nothing else is looked at.
        let names = [("code", grant), ("redirect_uri", grant), ("code_verifier", grant), ("resource", grant)];
        wrong.extend(judge(&world, &world.shop, &code, &names).await);
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens["refresh_token"]))];
        let names = [("refresh_token", grant), ("scope", scope), ("resource", target)];
        wrong.extend(judge(&world, &world.shop, &refresh, &names).await);
        let poll = [("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
        wrong.extend(judge(&world, &script, &poll, &[("device_code", grant), ("resource", target)]).await);
        let exchange = [
            ("grant_type", exchange::GRANT),
            ("subject_token", text(&tokens["access_token"])),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", "acme/sandbox"),
        ];
        let names = [
            ("subject_token", request),
            ("subject_token_type", request),
            ("audience", target),
            ("flow", request),
            ("min_ttl", request),
            ("requested_token_type", request),
            ("actor_token", request),
            ("resource", target),
        ];
        wrong.extend(judge(&world, &world.shop, &exchange, &names).await);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        world.stop().await;
    }
}

#[tokio::test]
async fn no_value_of_any_parameter_is_a_500() {
    for world in World::each().await {
        let broker = world.broker();
        let script = devices::script(&world, &json!({})).await;
        for (name, refused) in [("scope", "invalid_scope"), ("resource", "invalid_target")] {
            for odd in ODD {
                let answer = ask(broker, "/o/device_authorization/", &script, &[(name, odd)]).await;
                assert_eq!(refusal(answer).await, error(400, refused), "{name}={odd}");
            }
        }
        for path in ["/o/introspect/", "/o/revoke_token/"] {
            for odd in ODD {
                let request =
                    broker.http.post(broker.at(path)).form(&[("token", odd), ("token_type_hint", odd)]);
                let answer = request.basic_auth(&world.shop.0, Some(&world.shop.1)).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{path} {odd}");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn odd_grants_assertions_and_actors_get_the_standard_s_errors() {
    for world in World::each().await {
        let broker = world.broker();
        let token = broker.at("/o/token/");
        let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
        let access = "urn:ietf:params:oauth:token-type:access_token";
        for odd in ODD {
            let forms = [
                (true, vec![("grant_type", odd)], (400, "unsupported_grant_type")),
                (
                    false,
                    vec![("client_assertion_type", odd), ("client_assertion", "x")],
                    (400, "invalid_request"),
                ),
                (true, vec![("client_assertion_type", odd)], (400, "invalid_request")),
                (true, vec![("client_id", odd)], (400, "invalid_request")),
                (
                    true,
                    vec![
                        ("grant_type", exchange),
                        ("subject_token", "x"),
                        ("subject_token_type", access),
                        ("audience", "acme/sandbox"),
                        ("actor_token", odd),
                    ],
                    (400, "invalid_request"),
                ),
            ];
            for (authenticated, mut form, (status, code)) in forms {
                if !form.iter().any(|(name, _)| *name == "grant_type") {
                    form.push(("grant_type", "client_credentials"));
                }
                let request = broker.http.post(&token).form(&form);
                let request = match authenticated {
                    true => request.basic_auth(&world.shop.0, Some(&world.shop.1)),
                    false => request,
                };
                let refused = refusal(request.send().await.unwrap()).await;
                assert_eq!(refused, error(status, code), "{form:?}");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn odd_names_proofs_and_headers_get_the_standard_s_errors() {
    for world in World::each().await {
        let broker = world.broker();
        let (token, userinfo) = (broker.at("/o/token/"), broker.at("/o/userinfo/"));
        let jwt = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        // Each of these counts as a failure from here: a few must do.
        for odd in ["%", "\u{1F600}", "a.b.c.d"] {
            let forms = [
                vec![("client_id", odd), ("client_secret", "x")],
                vec![("client_id", &world.shop.0), ("client_secret", odd)],
                vec![("client_assertion_type", jwt), ("client_assertion", odd)],
            ];
            for mut form in forms {
                form.push(("grant_type", "client_credentials"));
                let answer = broker.http.post(&token).form(&form).send().await.unwrap();
                assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{form:?}");
            }
        }
        let headers: [&[u8]; 8] = [
            b"Basic",
            b"Basic ",
            b"Basic !!!",
            b"Basic bm9jb2xvbg==",
            b"Basic /zr/",
            b"Bearer x",
            b"Digest x",
            b"\xff\xfe",
        ];
        for value in headers {
            let form = [("grant_type", "client_credentials")];
            let request = broker.http.post(&token).header("authorization", value).form(&form);
            let answer = request.send().await.unwrap();
            assert!(answer.headers().contains_key("www-authenticate"), "{value:?}");
            assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{value:?}");
            let answer = broker.http.get(&userinfo).header("authorization", value).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{value:?}");
        }
        for url in [&token, &userinfo] {
            let twice = broker.http.post(url).header("authorization", "Bearer x");
            let twice =
                twice.header("authorization", "Bearer x").form(&[("grant_type", "client_credentials")]);
            let answer = twice.send().await.unwrap();
            if url == &userinfo {
                let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
                assert_eq!(challenge, "Bearer realm=\"jeton\", error=\"invalid_request\"", "RFC 6750 §3.1");
            }
            assert_eq!(refusal(answer).await, error(400, "invalid_request"), "two headers at {url}");
        }
        let bearer = broker.http.get(broker.at("/admin/v1/apps")).header("authorization", "Bearer x");
        let answer = bearer.header("authorization", "Bearer x").send().await.unwrap();
        problem::read(answer, "invalid_token").await;
        ok(ask(broker, "/o/token/", &world.shop, &[("grant_type", "client_credentials")]).await).await;
        world.stop().await;
    }
}
