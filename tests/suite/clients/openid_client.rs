//! openid-client, for Node.js: A2, A6, A9, A10, A11.

use serde_json::{Value, json};

use super::conversation::Peer;
use super::{ACCESS_TOKEN, Scene, answer_device, notebook, pipeline_with_odd_secret};
use crate::support::peer;

fn start(flow: &str, settings: &Value) -> Option<Peer> {
    let mut program = peer::script("openid-client.mjs")?;
    Some(Peer::start(program.arg(flow), settings))
}

#[tokio::test]
async fn a_program_finds_the_endpoints_and_authenticates_in_every_way() {
    // At the root, and where the issuer has a path: RFC 8414 §3.1 and Discovery §4.1 look for it in different places.
    for scene in [Scene::on_postgres().await, Scene::under("/laputa").await] {
        authenticates_in_every_way(scene).await;
    }
}

async fn authenticates_in_every_way(scene: Scene) {
    let client = pipeline_with_odd_secret(&scene.house).await;
    let Some(mut peer) = start("machine", &scene.settings(&client)) else { return };
    for document in ["openid-configuration", "oauth-authorization-server"] {
        let found = peer.step("discovered").await;
        assert_eq!(
            (&found["issuer"], &found["pkce"]),
            (&json!(scene.house.broker.url), &json!(true)),
            "{document}"
        );
    }
    for method in ["client_secret_basic", "client_secret_post"] {
        let tokens = peer.step("token").await;
        assert_eq!(
            (&tokens["token_type"], &tokens["scope"], &tokens["expires_in"]),
            (&json!("bearer"), &json!("binb:read apps:read"), &json!(3600)),
            "{method}"
        );
    }
    scene.register_key(&mut peer).await;
    assert_eq!(peer.step("token").await["scope"], "binb:read");
    let refused = peer.step("refused").await;
    assert_eq!(
        (&refused["name"], &refused["status"], &refused["scheme"]),
        (&json!("WWWAuthenticateChallengeError"), &json!(401), &json!("basic"))
    );
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
    assert_eq!(tokens["scope"], "openid profile email offline_access");
    let claims = &tokens["claims"];
    assert_eq!(
        (&claims["name"], &claims["email"], &claims["email_verified"]),
        (&json!("Ada"), &json!("ada@example.com"), &json!(false))
    );
    let userinfo = peer.step("userinfo").await;
    assert_eq!((&userinfo["sub"], &userinfo["name"]), (&claims["sub"], &json!("Ada")));
    let told = peer.step("introspected").await;
    assert_eq!(
        (&told["active"], &told["sub"], &told["client_id"]),
        (&json!(true), &claims["sub"], &json!(scene.shop.0))
    );
    let exchanged = peer.step("exchanged").await;
    assert_eq!(
        (&exchanged["access_token"], &exchanged["issued_token_type"]),
        (&scene.handed_out().await, &json!(ACCESS_TOKEN)),
        "the provider's own"
    );
    let refreshed = peer.step("refreshed").await;
    assert_ne!(refreshed["refresh_token"], tokens["refresh_token"]);
    assert_eq!(refreshed["claims"]["sub"], claims["sub"]);
    assert_eq!(peer.step("revoked").await, json!({"active": false, "step": "revoked"}));
    for step in ["reused", "dead"] {
        let refused = peer.step(step).await;
        assert_eq!(
            (&refused["name"], &refused["error"]),
            (&json!("ResponseBodyError"), &json!("invalid_grant")),
            "{step}"
        );
    }
    peer.end().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn a_device_waits_for_its_person_and_slows_down_when_told_to() {
    let mut scene = Scene::start().await;
    let client = notebook(&scene.house).await;
    let Some(mut peer) = start("device", &scene.settings(&client)) else { return };
    let device = peer.step("device").await;
    // It waits the interval and is told to go on; waits too short a time, by our clock, and is told to slow down.
    for (passed, error) in [(5, "authorization_pending"), (1, "slow_down")] {
        wait(&scene, &mut peer, passed).await;
        assert_eq!(peer.step("answered").await["error"], error);
    }
    // From then on it waits ten seconds.
    wait(&scene, &mut peer, 5).await;
    answer_device(&mut scene, &device["user_code"], "accept").await;
    wait(&scene, &mut peer, 5).await;
    assert_eq!(peer.step("answered").await.get("error"), None);
    let tokens = peer.step("tokens").await;
    assert_eq!((&tokens["scope"], &tokens["claims"]["name"]), (&json!("openid profile"), &json!("Ada")));
    peer.step("answered").await;
    let device = peer.step("device").await;
    answer_device(&mut scene, &device["user_code"], "cancel").await;
    wait(&scene, &mut peer, 5).await;
    peer.step("answered").await;
    let denied = peer.step("denied").await;
    assert_eq!((&denied["name"], &denied["error"]), (&json!("ResponseBodyError"), &json!("access_denied")));
    peer.step("answered").await;
    peer.step("device").await;
    // Nobody answers within its ten minutes.
    wait(&scene, &mut peer, 601).await;
    peer.step("answered").await;
    let expired = peer.step("expired").await;
    assert_eq!((&expired["name"], &expired["error"]), (&json!("ResponseBodyError"), &json!("expired_token")));
    peer.end().await;
    scene.house.stop().await;
}

/// The program waits, by the broker's clock.
async fn wait(scene: &Scene, peer: &mut Peer, seconds: i64) {
    peer.step("waits").await;
    scene.house.pass(seconds);
    peer.tell(&json!({}));
}
