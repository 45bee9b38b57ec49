//! A `scope` in token requests whose grant has no say in it: it is ignored, and what comes is told (RFC 6749 §3.2, §3.3).

use serde_json::json;

use super::{World, ask, claims, devices, error, exchange, ok, refusal, text};

/// Less than there is, more, what nobody has, and what is no scope (RFC 6749 §3.3).
const SCOPES: [&str; 6] =
    ["openid", "openid profile superadmin binb:read", "nobody:knows", "read", "\"", "a  b\\"];

/// The scope of a device was named when it began (RFC 8628 §3.1); the token request has none (§3.4).
#[tokio::test]
async fn a_scope_that_a_device_sends_with_its_code_changes_nothing() {
    for world in World::each().await {
        let script = devices::script(&world, &json!({})).await;
        for scope in SCOPES {
            let begun = [("scope", "openid profile")];
            let device = ok(ask(world.broker(), "/o/device_authorization/", &script, &begun).await).await;
            let poll = async |scopes: &[&str]| {
                let mut form =
                    vec![("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
                form.extend(scopes.iter().map(|scope| ("scope", *scope)));
                ask(world.broker(), "/o/token/", &script, &form).await
            };
            let what = format!("{scope} on {}", world.house.home.name);
            assert_eq!(refusal(poll(&[scope]).await).await, error(400, "authorization_pending"), "{what}");
            devices::answer(&mut world.ada.clone(), &world, text(&device["user_code"]), "accept").await;
            assert_eq!(refusal(poll(&[scope; 2]).await).await, error(400, "invalid_request"), "{what}");
            let tokens = ok(poll(&[scope]).await).await;
            assert_eq!(tokens["scope"], "openid profile", "{what}");
            assert_eq!(claims(&tokens["access_token"])["scope"], "openid profile", "{what}");
        }
        world.stop().await;
    }
}

/// The scopes of a third-party token are those of its connection; the answer says which (RFC 8693 §2.2.1).
#[tokio::test]
async fn a_scope_that_is_sent_with_a_token_to_exchange_changes_nothing() {
    for mut world in World::each().await {
        let token = exchange::connected(&mut world).await;
        let mut plain = ok(exchange::exchange(&world, &world.shop, &token, &[]).await).await;
        assert_eq!(plain["scope"], "read");
        for scope in SCOPES {
            let what = format!("{scope} on {}", world.house.home.name);
            let swap =
                async |scopes: &[(&str, &str)]| exchange::exchange(&world, &world.shop, &token, scopes).await;
            let swapped = ok(swap(&[("scope", scope)]).await).await;
            for key in ["access_token", "scope", "token_type", "issued_token_type"] {
                assert_eq!(swapped[key], plain[key], "{key}: {what}");
            }
            let twice = refusal(swap(&[("scope", scope), ("scope", scope)]).await).await;
            assert_eq!(twice, error(400, "invalid_request"), "{what}");
        }
        plain.as_object_mut().unwrap().remove("expires_in");
        assert_eq!(plain.as_object().unwrap().len(), 4, "{plain}");
        world.stop().await;
    }
}
