//! Does the published client's `TokenSource` get along with this server, as itself by a key and for a person?

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use jeton_client::{AssertionKey, ClientProof, Error, Grant, OnRotation, Secret, TokenSource};
use reqwest::Method;
use serde_json::json;

use super::assertions::jwk_of;
use super::{World, claims, error, refusal, text};

fn grant(world: &World, client_id: &str, proof: ClientProof) -> Grant {
    let token_endpoint = world.broker().at("/o/token/").parse().unwrap();
    Grant { token_endpoint, client_id: client_id.to_owned(), proof, scope: None, resource: None }
}

/// A key as `openssl genpkey` writes it, and its public half.
fn key() -> (Secret, serde_json::Value) {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
    let body = STANDARD.encode(document.as_ref());
    (Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")), jwk_of(&pair))
}

#[expect(clippy::disallowed_methods, reason = "the test takes the tokens on to look at them")]
fn plain(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}

fn code(error: &Error) -> &str {
    let Error::Problem(problem) = error else { panic!("{error}") };
    &problem.code
}

#[tokio::test]
async fn a_source_with_a_key_proves_itself_anew_for_each_token() {
    for world in World::each().await {
        let (pem, jwk) = key();
        let body = json!({"identifier": "signs", "kind": "service", "jwks": {"keys": [jwk]}});
        let made = world.house.write(Method::POST, "/clients", &body).await;
        let id = made["client_id"].as_str().unwrap();
        let source = |pem: &Secret, audience: &str| {
            let key = AssertionKey::from_pem(pem, Some("k"), audience).unwrap();
            TokenSource::client_credentials(grant(&world, id, ClientProof::PrivateKey(key.into()))).unwrap()
        };
        let own = source(&pem, &world.broker().url);
        let first = own.bearer().await.unwrap();
        assert_eq!(claims(&json!(plain(first.token())))["client_id"], id, "{}", world.house.home.name);
        own.forget(&first);
        // No assertion is taken twice, so this was another one.
        let second = own.bearer().await.unwrap();
        assert_ne!(plain(first.token()), plain(second.token()));
        for (wrong, pem, audience) in [
            ("another key", &key().0, world.broker().url.as_str()),
            ("another issuer", &pem, "https://a.example"),
        ] {
            let refused = source(pem, audience).bearer().await.unwrap_err();
            assert_eq!((code(&refused), refused.exit_code()), ("invalid_client", 77), "{wrong}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_source_spends_each_refresh_token_once_and_a_copy_ends_the_family() {
    for mut world in World::each().await {
        let first = world.tokens(&[]).await;
        let kept = Arc::new(Mutex::new(vec![text(&first["refresh_token"]).to_owned()]));
        let keeps = Arc::clone(&kept);
        let on_rotation: OnRotation = Arc::new(move |fresh| {
            keeps.lock().unwrap().push(plain(fresh));
            Ok(())
        });
        let proof = ClientProof::Secret(Secret::new(world.shop.1.as_str()));
        let grant = grant(&world, &world.shop.0, proof);
        let begun = Secret::new(text(&first["refresh_token"]));
        let source = TokenSource::refresh_token(grant, begun, Some(on_rotation)).unwrap();
        let mut bearer = source.bearer().await.unwrap();
        for spent in 2..=4 {
            source.forget(&bearer);
            bearer = source.bearer().await.unwrap();
            assert_eq!(kept.lock().unwrap().len(), spent + 1, "each answer brings the next one");
            assert_eq!(
                world.userinfo(&plain(bearer.token())).await.status(),
                200,
                "{}",
                world.house.home.name
            );
        }
        let copy = kept.lock().unwrap()[1].clone();
        assert_eq!(refusal(world.refresh(&copy, &[]).await).await, error(400, "invalid_grant"));
        assert_eq!(world.userinfo(&plain(bearer.token())).await.status(), 401);
        source.forget(&bearer);
        let dead = source.bearer().await.unwrap_err();
        assert_eq!(code(&dead), "invalid_grant", "{}", world.house.home.name);
        assert_eq!(kept.lock().unwrap().len(), 5, "and nothing came of it");
        world.stop().await;
    }
}
