//! Authorization codes: A9, and what a person's tokens say.

use serde_json::json;
use url::Url;

use super::{
    BACK, World, authorization_request, claims, error, hidden, ok, parameter, public, refusal, say, text,
};
use crate::support::problem::is_plain;

#[tokio::test]
async fn a_person_signs_in_at_a_web_application() {
    for mut world in World::each().await {
        let url = world.request(&[]);
        let back = say(&mut world.ada, &url, "accept").await;
        assert!(back.as_str().starts_with(&format!("{BACK}&code=")), "{back}");
        assert_eq!(parameter(&back, "state"), "af0ifjsldkj");
        assert_eq!(parameter(&back, "iss"), world.broker().url, "RFC 9207");
        let answer = world.redeem(&parameter(&back, "code"), &[]).await;
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let tokens = ok(answer).await;
        assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert_eq!(tokens["scope"], "openid profile email offline_access");
        let (access, id) = (claims(&tokens["access_token"]), claims(&tokens["id_token"]));
        assert_eq!((&access["sub"], &access["aud"]), (&id["sub"], &json!(world.broker().url)));
        assert_eq!((&access["client_id"], &id["aud"]), (&json!(world.shop.0), &json!(world.shop.0)));
        assert!(access.get("role").is_none() && access.get("authorization_details").is_none());
        assert_eq!((&id["nonce"], &id["iss"]), (&json!("n-0S6_WzA2Mj"), &json!(world.broker().url)));
        assert!(id["auth_time"].is_i64() && id["at_hash"].is_string());
        assert_eq!((&id["email"], &id["email_verified"]), (&json!("ada@example.com"), &json!(false)));
        let told = ok(world.userinfo(text(&tokens["access_token"])).await).await;
        assert_eq!((&told["sub"], &told["name"]), (&id["sub"], &json!("Ada")), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_for_its_client_address_and_verifier() {
    for mut world in World::each().await {
        let other = world.house.client(&super::provider("Other")).await;
        let code = world.code(&[]).await;
        let wrong = [
            ("redirect_uri", "https://shop.example/back"),
            ("redirect_uri", ""),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"),
            ("code_verifier", "short"),
        ];
        for change in wrong {
            let refused = refusal(world.redeem(&code, &[change]).await).await;
            assert_eq!(refused, error(400, "invalid_grant"), "{change:?}");
        }
        for missing in ["code_verifier", "code"] {
            let refused = refusal(world.redeem(&code, &[(missing, "")]).await).await;
            assert_eq!(refused, error(400, "invalid_request"), "{missing}");
        }
        let own = std::mem::replace(&mut world.shop, other);
        assert_eq!(refusal(world.redeem(&code, &[]).await).await, error(400, "invalid_grant"));
        world.shop = own;
        ok(world.redeem(&code, &[]).await).await;
        let code = world.code(&[("prompt", "consent")]).await;
        world.house.pass(61);
        assert_eq!(refusal(world.redeem(&code, &[]).await).await, error(400, "invalid_grant"));
        for code in ["x", "00000000000070008000000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(refusal(world.redeem(code, &[]).await).await, error(400, "invalid_grant"));
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_the_first_made() {
    for mut world in World::each().await {
        let code = world.code(&[]).await;
        let tokens = ok(world.redeem(&code, &[]).await).await;
        assert_eq!(world.userinfo(text(&tokens["access_token"])).await.status(), 200);
        assert_eq!(refusal(world.redeem(&code, &[]).await).await, error(400, "invalid_grant"));
        let told = world.userinfo(text(&tokens["access_token"])).await;
        assert!(told.headers()["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
        assert_eq!(refusal(told).await, error(401, "invalid_token"), "{}", world.house.home.name);
        let refused = refusal(world.refresh(text(&tokens["refresh_token"]), &[]).await).await;
        assert_eq!(refused, error(400, "invalid_grant"));
        world.stop().await;
    }
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    for mut world in World::each().await {
        let addresses = [
            "",
            "https://shop.example/back",
            "https://shop.example/back?from=jeton&x=1",
            "https://shop.example/back?from=jeton#",
            "https://shop.example/back/?from=jeton",
            "https://shop.example/BACK?from=jeton",
            "https://SHOP.example/back?from=jeton",
            "https://shop.example:443/back?from=jeton",
            "http://shop.example/back?from=jeton",
            "https://shop.example@evil.example/back?from=jeton",
            "https://shop.example.evil.example/back?from=jeton",
            "https://evil.example/?https://shop.example/back?from=jeton",
            "//evil.example",
            "javascript:alert(1)",
            "https://shop.example/back?from=jeton%0d%0aLocation:x",
        ];
        for address in addresses {
            let url = world.request(&[("redirect_uri", address)]);
            let seen = world.ada.get(&url).await;
            assert_eq!((seen.status.as_u16(), &seen.location), (400, &None), "{address}");
            assert!(seen.body.contains("redirect_uri"), "{address}");
        }
        for client in ["", "nobody", "a/b"] {
            let url = authorization_request(&world.broker().url, client, &[]);
            let seen = world.ada.get(&url).await;
            assert_eq!((seen.status.as_u16(), &seen.location), (400, &None), "{client}");
        }
        let doubled = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", world.request(&[]));
        assert_eq!(world.ada.get(&doubled).await.status, 400);
        world.stop().await;
    }
}

#[tokio::test]
async fn the_port_on_loopback_is_free_and_private_schemes_are_kept() {
    for mut world in World::each().await {
        let uris = ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.script:/cb"];
        let body = json!({
            "identifier": "Script", "kind": "programmatic", "redirect_uris": uris, "scopes": ["openid"],
        });
        let script = public(&world.house, &body).await;
        for address in ["http://127.0.0.1:51004/cb", "http://[::1]:8080/cb", "com.example.script:/cb"] {
            let changes = [("redirect_uri", address), ("scope", "openid")];
            let url = authorization_request(&world.broker().url, &script.0, &changes);
            let back = say(&mut world.ada, &url, "accept").await;
            assert!(back.as_str().starts_with(&format!("{address}?code=")), "{back}");
            let form = [
                ("grant_type", "authorization_code"),
                ("code", &parameter(&back, "code")),
                ("redirect_uri", address),
                ("code_verifier", super::VERIFIER),
            ];
            let tokens = ok(super::ask(world.broker(), "/o/token/", &script, &form).await).await;
            assert!(tokens["id_token"].is_string() && tokens["refresh_token"].is_null());
            // A script is asked for each time: anybody can say its name.
            assert_eq!(world.ada.get(&url).await.status, 200);
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_rest_is_told_to_the_client() {
    for mut world in World::each().await {
        let long = "n".repeat(2_001);
        let table = [
            ("response_type", "token", "unsupported_response_type"),
            ("response_type", "code id_token", "unsupported_response_type"),
            ("response_type", "", "invalid_request"),
            ("response_mode", "fragment", "invalid_request"),
            ("code_challenge", "", "invalid_request"),
            ("code_challenge", "short", "invalid_request"),
            // No hash is written so: its last bits are not zero, and no verifier would ever fit.
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN", "invalid_request"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("code_challenge_method", "", "invalid_request"),
            ("scope", "openid binb:read", "invalid_scope"),
            ("scope", "terms:read", "invalid_scope"),
            ("scope", "\u{e9}", "invalid_scope"),
            ("resource", "https://terms.example", "invalid_target"),
            ("prompt", "none login", "invalid_request"),
            ("prompt", "create", "invalid_request"),
            ("max_age", "soon", "invalid_request"),
            ("max_age", "-1", "invalid_request"),
            ("nonce", &long, "invalid_request"),
            ("id_token_hint", "x", "invalid_request"),
            ("expected", "x", "invalid_request"),
            ("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
            ("request_uri", "https://shop.example/r", "request_uri_not_supported"),
        ];
        let mut nobody = crate::support::jar::Jar::new();
        for (name, value, code) in table {
            let url = world.request(&[(name, value)]);
            let back = nobody.get(&url).await.to();
            assert!(back.as_str().starts_with(&format!("{BACK}&error=")), "{name}={value}: {back}");
            assert_eq!(parameter(&back, "error"), code, "{name}={value}");
            assert!(is_plain(&parameter(&back, "error_description")), "{back}");
            assert_eq!(parameter(&back, "state"), "af0ifjsldkj");
            assert_eq!(parameter(&back, "iss"), world.broker().url);
        }
        let back = nobody.get(&world.request(&[("state", &long)])).await.to();
        assert_eq!(parameter(&back, "error"), "invalid_request");
        assert!(!back.query_pairs().any(|(name, _)| name == "state"), "{back}");
        for name in table.map(|(name, ..)| name).into_iter().chain(["state"]) {
            let doubled = format!("{}&{name}=a", world.request(&[(name, "b")]));
            let back = nobody.get(&doubled).await.to();
            assert!(back.as_str().starts_with(&format!("{BACK}&error=")), "{name}: {back}");
            assert_eq!(parameter(&back, "error"), "invalid_request", "{name}");
        }
        let unknown = format!("{}&ui_locales=de&claims=%7B%7D&foo=1&foo=2", world.request(&[]));
        assert_eq!(world.ada.get(&unknown).await.status, 200, "unknown parameters are ignored");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_may_ask_nobody_is_told_what_stands_in_the_way() {
    for mut world in World::each().await {
        let silent = world.request(&[("prompt", "none")]);
        let mut nobody = crate::support::jar::Jar::new();
        assert_eq!(parameter(&nobody.get(&silent).await.to(), "error"), "login_required");
        assert_eq!(parameter(&world.ada.get(&silent).await.to(), "error"), "consent_required");
        world.tokens(&[]).await;
        let code = parameter(&world.ada.get(&silent).await.to(), "code");
        ok(world.redeem(&code, &[]).await).await;
        world.house.pass(100);
        let aged = world.request(&[("prompt", "none"), ("max_age", "60")]);
        assert_eq!(parameter(&world.ada.get(&aged).await.to(), "error"), "login_required");
        // Signing in again is asked for once, and then done.
        let url = world.request(&[("prompt", "login"), ("max_age", "0")]);
        let page = world.ada.get(&url).await;
        assert!(page.body.contains("type=\"password\""), "{}", page.body);
        let (return_to, token) = (hidden(&page, "return_to"), page.csrf_token());
        let form = [
            ("email", "ada@example.com"),
            ("password", crate::support::house::PASSWORD),
            ("csrf_token", &token),
            ("return_to", &return_to),
        ];
        let login = world.broker().at("/login");
        let next = world.ada.post(&login, &form).await.to();
        let code = parameter(&world.ada.get(next.as_str()).await.to(), "code");
        let tokens = ok(world.redeem(&code, &[]).await).await;
        let (id, now) = (claims(&tokens["id_token"]), claims(&tokens["access_token"])["iat"].clone());
        assert!(now.as_i64().unwrap() - id["auth_time"].as_i64().unwrap() < 60, "{id}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_code_of_a_person_who_is_gone_or_disabled_is_worth_nothing() {
    for mut world in World::each().await {
        let tokens = world.tokens(&[]).await;
        let code = world.code(&[("prompt", "consent")]).await;
        let id = claims(&tokens["access_token"])["sub"].clone();
        let path = format!("/users/{}", text(&id));
        assert_eq!(world.userinfo(text(&tokens["access_token"])).await.status(), 200);
        world.house.write(reqwest::Method::PATCH, &path, &json!({"disabled": true})).await;
        assert_eq!(refusal(world.redeem(&code, &[]).await).await, error(400, "invalid_grant"));
        let refused = refusal(world.refresh(text(&tokens["refresh_token"]), &[]).await).await;
        assert_eq!(refused, error(400, "invalid_grant"));
        let told = refusal(world.userinfo(text(&tokens["access_token"])).await).await;
        assert_eq!(told, error(401, "invalid_token"), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_request_that_comes_as_a_form_goes_on_as_a_link() {
    for mut world in World::each().await {
        let url = Url::parse(&world.request(&[])).unwrap();
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let form: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let action = world.broker().at("/o/authorize");
        let next = world.ada.post(&action, &form).await.to();
        let back = say(&mut world.ada, next.as_str(), "cancel").await;
        assert_eq!(parameter(&back, "error"), "access_denied");
        world.stop().await;
    }
}
