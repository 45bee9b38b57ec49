//! Authlib, requests-oauthlib, and a pipeline that knows no library: A2, A3, A10, A12.

use serde_json::{Value, json};

use super::conversation::Peer;
use super::{ACCESS_TOKEN, Scene, answer_device, notebook, pipeline, pipeline_with_odd_secret};
use crate::support::peer;

const AUTHLIB: &str = "authlib_client.py";
const REQUESTS_OAUTHLIB: &str = "requests_oauthlib_client.py";

fn start(script: &str, flow: &str, settings: &Value) -> Option<Peer> {
    let mut program = peer::python(script)?;
    Some(Peer::start(program.arg(flow), settings))
}

/// Its next step, an error of this class and code.
async fn refused(peer: &mut Peer, step: &str, name: &str, error: &str) {
    let refused = peer.step(step).await;
    assert_eq!((&refused["name"], &refused["error"]), (&json!(name), &json!(error)), "{step}");
}

#[tokio::test]
async fn a_pipeline_of_django_oauth_toolkit_goes_on_unchanged() {
    let scene = Scene::start().await;
    let client = pipeline(&scene.house).await;
    let Some(mut peer) = start("pipeline.py", "", &scene.settings(&client)) else { return };
    let tokens = peer.step("token").await;
    assert_eq!(
        (&tokens["status"], &tokens["token_type"], &tokens["scope"], &tokens["expires_in"]),
        (&json!(200), &json!("Bearer"), &json!("binb:read apps:read"), &json!(3600))
    );
    assert_eq!(peer.step("handed out").await["access_token"], scene.handed_out().await);
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn authlib_gets_a_program_its_tokens() {
    let scene = Scene::start().await;
    let client = pipeline(&scene.house).await;
    let Some(mut peer) = start(AUTHLIB, "machine", &scene.settings(&client)) else { return };
    for method in ["client_secret_basic", "client_secret_post"] {
        let tokens = peer.step("token").await;
        assert_eq!(tokens["scope"], "binb:read apps:read", "{method}");
    }
    scene.register_key(&mut peer).await;
    for time in ["first", "second"] {
        assert_eq!(peer.step("token").await["scope"], "binb:read", "the {time} one");
    }
    refused(&mut peer, "refused", "OAuthError", "invalid_client").await;
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn authlib_signs_a_person_in_exchanges_refreshes_and_revokes() {
    let mut scene = Scene::start().await;
    let Some(mut peer) = start(AUTHLIB, "person", &scene.settings(&scene.shop)) else { return };
    scene.agree(&mut peer).await;
    let tokens = peer.step("tokens").await;
    let claims = &tokens["claims"];
    let userinfo = peer.step("userinfo").await;
    assert_eq!((&userinfo["sub"], &userinfo["name"]), (&claims["sub"], &json!("Ada")));
    let told = peer.step("introspected").await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &claims["sub"]));
    let exchanged = peer.step("exchanged").await;
    assert_eq!(
        (&exchanged["access_token"], &exchanged["issued_token_type"]),
        (&scene.handed_out().await, &json!(ACCESS_TOKEN)),
        "the provider's own"
    );
    assert_ne!(peer.step("refreshed").await["refresh_token"], tokens["refresh_token"]);
    assert_eq!(peer.step("revoked").await, json!({"active": false, "step": "revoked"}));
    refused(&mut peer, "reused", "OAuthError", "invalid_grant").await;
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn requests_oauthlib_gets_a_program_its_tokens_and_raises_its_errors() {
    let scene = Scene::on_postgres().await;
    let client = pipeline_with_odd_secret(&scene.house).await;
    let Some(mut peer) = start(REQUESTS_OAUTHLIB, "machine", &scene.settings(&client)) else { return };
    for method in ["client_secret_basic", "client_secret_post"] {
        let tokens = peer.step("token").await;
        assert_eq!(tokens["scope"], json!(["binb:read", "apps:read"]), "{method}");
    }
    refused(&mut peer, "refused", "InvalidClientError", "invalid_client").await;
    refused(&mut peer, "refused", "InvalidScopeError", "invalid_scope").await;
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn requests_oauthlib_signs_a_person_in_exchanges_refreshes_and_revokes() {
    let mut scene = Scene::start().await;
    let Some(mut peer) = start(REQUESTS_OAUTHLIB, "person", &scene.settings(&scene.shop)) else { return };
    scene.agree(&mut peer).await;
    let tokens = peer.step("tokens").await;
    assert_eq!(tokens["scope"], json!(["openid", "profile", "offline_access"]));
    let userinfo = peer.step("userinfo").await;
    assert_eq!(userinfo["name"], "Ada");
    let told = peer.step("introspected").await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &userinfo["sub"]));
    let exchanged = peer.step("exchanged").await;
    assert_eq!(
        (&exchanged["access_token"], &exchanged["issued_token_type"]),
        (&scene.handed_out().await, &json!(ACCESS_TOKEN)),
        "the provider's own"
    );
    assert_ne!(peer.step("refreshed").await["refresh_token"], tokens["refresh_token"]);
    let revoked = peer.step("revoked").await;
    assert_eq!((&revoked["status"], &revoked["then"]), (&json!(200), &json!(401)));
    refused(&mut peer, "dead", "InvalidGrantError", "invalid_grant").await;
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn scripts_in_python_wait_for_the_person_who_types_their_code() {
    for (script, error, scope) in [
        (AUTHLIB, "OAuthError", json!("openid profile")),
        (REQUESTS_OAUTHLIB, "CustomOAuth2Error", json!(["openid", "profile"])),
    ] {
        let mut scene = Scene::start().await;
        let client = notebook(&scene.house).await;
        let Some(mut peer) = start(script, "device", &scene.settings(&client)) else { return };
        let device = peer.step("device").await;
        refused(&mut peer, "pending", error, "authorization_pending").await;
        answer_device(&mut scene, &device["user_code"], "accept").await;
        scene.house.pass(5);
        peer.tell(&json!({}));
        let tokens = peer.step("tokens").await;
        assert_eq!(tokens["scope"], scope, "{script}");
        assert!(tokens["id_token"].is_string(), "{script}");
        peer.end().await;
        scene.house.stop().await;
    }
}
