//! PyJWT and jwcrypto, which verify our tokens by what is published: A7.

use std::time::Duration;

use jeton::model::time::Clock;
use reqwest::Method;
use serde_json::{Value, json};

use super::Scene;
use super::conversation::Peer;
use crate::authorization::say;
use crate::support::peer;

/// How long a new key waits before it signs.
const WAIT: i64 = 600;

/// Ada's tokens at the shop.
async fn tokens(scene: &mut Scene) -> Value {
    let broker = &scene.house.broker;
    let verifier = "a".repeat(43);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
    let asked = [
        ("response_type", "code"),
        ("client_id", &scene.shop.0),
        ("redirect_uri", super::BACK),
        ("scope", "openid profile"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let url = url::Url::parse_with_params(&broker.at("/o/authorize/"), asked).unwrap();
    let back = say(&mut scene.ada, url.as_str(), "accept").await;
    let (_, code) = back.query_pairs().find(|(name, _)| name == "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", super::BACK),
        ("code_verifier", &verifier),
    ];
    let request = broker.http.post(broker.at("/o/token/")).basic_auth(&scene.shop.0, Some(&scene.shop.1));
    let answer = request.form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// What both make of these two tokens now: once they agree on the claims, the key and its algorithm.
async fn verify(scene: &Scene, peer: &mut Peer, tokens: &Value) -> (String, String) {
    let mut keys = Vec::new();
    for (name, audience, kind) in
        [("access_token", &scene.house.broker.url, "at+jwt"), ("id_token", &scene.shop.0, "JWT")]
    {
        let verified = shown(scene, peer, &tokens[name], audience, kind).await;
        assert_eq!(verified["by_pyjwt"]["iss"], scene.house.broker.url, "{name}: {verified}");
        assert_eq!(verified["by_pyjwt"], verified["by_jwcrypto"], "{name}");
        let text = |key: &str| verified[key].as_str().unwrap().to_owned();
        keys.push((text("kid"), text("alg")));
    }
    assert_eq!(keys[0], keys[1]);
    keys.remove(0)
}

async fn shown(scene: &Scene, peer: &mut Peer, token: &Value, audience: &str, kind: &str) -> Value {
    let now = scene.house.broker.clock.now().unix_timestamp();
    peer.tell(&json!({"token": token, "audience": audience, "type": kind, "now": now}));
    peer.step("verified").await
}

/// A new key is made, waits, and signs: which one.
async fn roll(scene: Scene) -> (Scene, String) {
    let made = scene.house.write(Method::POST, "/keys/signing/rotate", &json!({})).await;
    scene.house.pass(WAIT + 1);
    // A broker that starts looks at its keys, one that runs does so every minute.
    let scene = Scene { house: scene.house.restart(&[]).await, ..scene };
    let signs = async {
        loop {
            let keys = scene.house.ask(Method::GET, "/admin/v1/keys/signing", None).await;
            let keys: Value = keys.json().await.unwrap();
            let items = keys["items"].as_array().unwrap();
            if items.iter().any(|key| key["state"] == "active" && key["kid"] == made["kid"]) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), signs).await.expect("the new key never signs");
    (scene, made["kid"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn pyjwt_and_jwcrypto_verify_our_tokens_and_old_ones_across_a_key_roll() {
    for algorithm in ["ES256", "RS256"] {
        let mut scene = Scene::with(&[("issuer.algorithm", algorithm)]).await;
        let Some(mut program) = peer::python("verify.py") else { return };
        let mut peer = Peer::start(&mut program, &scene.settings(&scene.shop));
        let before = tokens(&mut scene).await;
        let (old, alg) = verify(&scene, &mut peer, &before).await;
        assert_eq!(alg, algorithm);
        let (rolled, new) = roll(scene).await;
        scene = rolled;
        let after = tokens(&mut scene).await;
        assert_eq!(verify(&scene, &mut peer, &after).await, (new, alg.clone()));
        assert_eq!(
            verify(&scene, &mut peer, &before).await,
            (old, alg),
            "signed before, and good until it ends"
        );
        // Until they end, and not after; jwcrypto forgives a minute.
        scene.house.pass(3_600 + 60 - WAIT);
        let url = scene.house.broker.url.clone();
        let ended = shown(&scene, &mut peer, &before["access_token"], &url, "at+jwt").await;
        assert_eq!(
            (&ended["by_pyjwt"], &ended["by_jwcrypto"]),
            (&json!("ExpiredSignatureError"), &json!("JWTExpired"))
        );
        verify(&scene, &mut peer, &after).await;
        // An ID token is for the client.
        let elsewhere = shown(&scene, &mut peer, &after["id_token"], &url, "JWT").await;
        assert_eq!(
            (&elsewhere["by_pyjwt"], &elsewhere["by_jwcrypto"]),
            (&json!("InvalidAudienceError"), &json!("JWTInvalidClaimValue"))
        );
        peer.end().await;
        scene.house.stop().await;
    }
}
