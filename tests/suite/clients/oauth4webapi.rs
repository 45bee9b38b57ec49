//! oauth4webapi, for Node.js and browsers, which checks every answer to the letter: A3, A6, A8, A9, A10, A11.

use serde_json::{Value, json};

use super::conversation::Peer;
use super::{ACCESS_TOKEN, Scene, answer_device, notebook, pipeline};
use crate::support::peer;

fn start(flow: &str, settings: &Value) -> Option<Peer> {
    let mut program = peer::script("oauth4webapi.mjs")?;
    Some(Peer::start(program.arg(flow), settings))
}

#[tokio::test]
async fn a_program_gets_access_tokens_as_rfc_9068_has_them() {
    let scene = Scene::start().await;
    let client = pipeline(&scene.house).await;
    let Some(mut peer) = start("machine", &scene.settings(&client)) else { return };
    let url = &scene.house.broker.url;
    for document in ["openid-configuration", "oauth-authorization-server"] {
        let found = peer.step("discovered").await;
        assert_eq!(
            (&found["issuer"], &found["authorization_response_iss_parameter_supported"]),
            (&json!(url), &json!(true)),
            "{document}"
        );
    }
    for method in ["client_secret_basic", "client_secret_post"] {
        let token = peer.step("token").await;
        let claims = &token["claims"];
        assert_eq!(
            (&token["scope"], &claims["scope"], &claims["aud"], &claims["role"]),
            (&json!("binb:read apps:read"), &token["scope"], &json!(url), &json!("superadmin")),
            "{method}"
        );
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(client.0), &json!(client.0)));
    }
    scene.register_key(&mut peer).await;
    let token = peer.step("token").await;
    assert_eq!(
        (&token["scope"], &token["jtis"]),
        (&json!("binb:read"), &json!(3)),
        "each with a jti of its own"
    );
    assert_eq!(peer.step("elsewhere").await["code"], "OAUTH_JWT_CLAIM_COMPARISON_FAILED");
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn a_web_application_signs_a_person_in_and_acts_for_the_person() {
    let mut scene = Scene::start().await;
    let Some(mut peer) = start("person", &scene.settings(&scene.shop)) else { return };
    scene.agree(&mut peer).await;
    assert_eq!(peer.step("mixed up").await["code"], "OAUTH_INVALID_RESPONSE", "RFC 9207 §2.4");
    let tokens = peer.step("tokens").await;
    assert_eq!(tokens["scope"], "openid profile offline_access");
    assert_eq!(
        (&tokens["claims"]["sub"], &tokens["claims"]["client_id"]),
        (&tokens["sub"], &json!(scene.shop.0))
    );
    assert_eq!(peer.step("userinfo").await["name"], "Ada");
    let told = peer.step("introspected").await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &tokens["sub"]));
    let exchanged = peer.step("exchanged").await;
    assert_eq!(
        (&exchanged["access_token"], &exchanged["issued_token_type"]),
        (&scene.handed_out().await, &json!(ACCESS_TOKEN)),
        "the provider's own"
    );
    assert_ne!(peer.step("refreshed").await["refresh_token"], tokens["refresh_token"]);
    assert_eq!(peer.step("revoked").await, json!({"active": false, "step": "revoked"}));
    for token in ["the one used before", "its successor"] {
        let dead = peer.step("dead").await;
        assert_eq!(
            (&dead["name"], &dead["error"]),
            (&json!("ResponseBodyError"), &json!("invalid_grant")),
            "{token}"
        );
    }
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn a_device_is_told_to_wait_to_slow_down_and_at_last_its_tokens() {
    let mut scene = Scene::start().await;
    let client = notebook(&scene.house).await;
    let Some(mut peer) = start("device", &scene.settings(&client)) else { return };
    let device = peer.step("device").await;
    for error in ["authorization_pending", "slow_down"] {
        peer.tell(&json!({}));
        assert_eq!(peer.step("not yet").await["error"], error);
    }
    answer_device(&mut scene, &device["user_code"], "accept").await;
    scene.house.pass(10);
    peer.tell(&json!({}));
    assert_eq!(peer.step("tokens").await["scope"], "openid");
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn each_bad_request_is_refused_with_an_error_that_the_library_knows() {
    let scene = Scene::start().await;
    let client = pipeline(&scene.house).await;
    let Some(mut peer) = start("refused", &scene.settings(&client)) else { return };
    const CHALLENGE: &str = "WWWAuthenticateChallengeError";
    const BODY: &str = "ResponseBodyError";
    let (basic, bearer, none) = (json!("basic"), json!("bearer"), Value::Null);
    let table = [
        ("wrong secret in the header", CHALLENGE, 401, "", &basic),
        ("unknown client", CHALLENGE, 401, "", &basic),
        ("wrong secret in the form", BODY, 401, "invalid_client", &none),
        ("no authentication", CHALLENGE, 401, "", &basic),
        ("unknown grant", BODY, 400, "unsupported_grant_type", &none),
        ("unknown scope", BODY, 400, "invalid_scope", &none),
        ("unknown resource", BODY, 400, "invalid_target", &none),
        ("doubled scope", BODY, 400, "invalid_request", &none),
        ("another kind of client", BODY, 400, "unauthorized_client", &none),
        ("unknown refresh token", BODY, 400, "unauthorized_client", &none),
        ("userinfo with a machine", CHALLENGE, 403, "insufficient_scope", &bearer),
        ("userinfo with nonsense", CHALLENGE, 401, "invalid_token", &bearer),
        ("introspection unauthenticated", CHALLENGE, 401, "", &basic),
        ("revocation unauthenticated", CHALLENGE, 401, "", &basic),
    ];
    for (what, name, status, error, scheme) in table {
        let refused = peer.step("refused").await;
        let code = refused["error"].as_str().unwrap_or_default();
        assert_eq!(
            (&refused["what"], &refused["name"], &refused["status"], code, &refused["scheme"]),
            (&json!(what), &json!(name), &json!(status), error, scheme)
        );
    }
    peer.end().await;
    scene.house.stop().await;
}
