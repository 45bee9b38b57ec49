//! Does the metadata list the algorithms that work, and just those? A6, A12.
//!
//! One too many fails here as one too few does: every algorithm that JOSE knows is tried, listed or not.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton::model::time::Clock;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::assertions::{JWT_BEARER, encode};
use super::{World, error, ok, refusal, text};
use crate::support::app::Home;
use crate::support::house::House;

/// RFC 7518 §3.1, RFC 8037 §3.1, RFC 8812 §3.2, RFC 9864 §2.2; and a name that compares by case.
const KNOWN: [&str; 17] = [
    "none", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "es256",
];

/// Where a client may authenticate by what it signs, and the list of its algorithms.
const ENDPOINTS: [(&str, &str); 3] = [
    ("/o/token/", "token_endpoint_auth_signing_alg_values_supported"),
    ("/o/introspect/", "introspection_endpoint_auth_signing_alg_values_supported"),
    ("/o/revoke_token/", "revocation_endpoint_auth_signing_alg_values_supported"),
];

/// What signs.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key of the kind that an algorithm wants, in its public form, and what signs by it.
fn key(algorithm: &str) -> (Value, Sign) {
    match algorithm {
        "none" => (ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256").0, Box::new(|_| Vec::new())),
        "HS256" => by_the_public_key(hmac::HMAC_SHA256),
        "HS384" => by_the_public_key(hmac::HMAC_SHA384),
        "HS512" => by_the_public_key(hmac::HMAC_SHA512),
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "RS384" => rsa(&RSA_PKCS1_SHA384),
        "RS512" => rsa(&RSA_PKCS1_SHA512),
        "PS256" => rsa(&RSA_PSS_SHA256),
        "PS384" => rsa(&RSA_PSS_SHA384),
        "PS512" => rsa(&RSA_PSS_SHA512),
        "ES256" | "es256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
        "ES256K" => ec(&ECDSA_P256K1_SHA256_FIXED_SIGNING, "secp256k1"),
        "EdDSA" | "Ed25519" => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())});
            (jwk, Box::new(move |message| pair.sign(message).as_ref().to_vec()))
        }
        other => panic!("no test signs with {other}, which the metadata lists"),
    }
}

fn rsa(encoding: &'static dyn RsaEncoding) -> (Value, Sign) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
    let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
    let jwk = json!({"kty": "RSA", "n": encode(n), "e": encode(e)});
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    (jwk, Box::new(sign))
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> (Value, Sign) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
    let jwk = json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)});
    (jwk, Box::new(move |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()))
}

/// As whoever takes a public key for a shared secret would be deceived.
fn by_the_public_key(algorithm: hmac::Algorithm) -> (Value, Sign) {
    let (jwk, _) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    let key = hmac::Key::new(algorithm, jwk.to_string().as_bytes());
    (jwk, Box::new(move |message| hmac::sign(&key, message).as_ref().to_vec()))
}

/// A client with such a key, where it is taken.
struct Signer {
    algorithm: &'static str,
    id: String,
    sign: Sign,
}

impl Signer {
    async fn register(world: &World, algorithm: &'static str) -> Option<Self> {
        let (jwk, sign) = key(algorithm);
        let body = json!({"identifier": algorithm, "kind": "service", "jwks": {"keys": [jwk]}});
        let made = world.house.ask(Method::POST, "/admin/v1/clients", Some(&body)).await;
        if made.status() == 400 {
            return None;
        }
        let made: Value = made.json().await.unwrap();
        Some(Self { algorithm, id: text(&made["client_id"]).to_owned(), sign })
    }

    async fn ask(&self, world: &World, path: &str, spoilt: bool) -> Response {
        let (broker, now) = (world.broker(), world.broker().clock.now().unix_timestamp());
        let header = json!({"alg": self.algorithm}).to_string();
        let claims = json!({
            "iss": self.id, "sub": self.id, "aud": broker.url, "jti": format!("{path} {spoilt}"), "iat": now,
            "exp": now + 60,
        });
        let signed = format!("{}.{}", encode(header), encode(claims.to_string()));
        let mut signature = (self.sign)(signed.as_bytes());
        if spoilt {
            *signature.last_mut().unwrap() ^= 1;
        }
        let assertion = format!("{signed}.{}", encode(signature));
        let form = [
            ("grant_type", "client_credentials"),
            ("token", "x"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &assertion),
        ];
        broker.http.post(broker.at(path)).form(&form).send().await.unwrap()
    }
}

/// A list of the metadata, whose two documents say the same.
async fn listed(world: &World, name: &str) -> Vec<String> {
    let [one, other] = ["oauth-authorization-server", "openid-configuration"];
    let one = listed_by(world, one, name).await;
    assert_eq!(listed_by(world, other, name).await, one, "{name}");
    one
}

async fn listed_by(world: &World, document: &str, name: &str) -> Vec<String> {
    let url = world.broker().at(&format!("/.well-known/{document}"));
    let metadata = ok(world.broker().http.get(url).send().await.unwrap()).await;
    let list = metadata[name].as_array().unwrap_or_else(|| panic!("no {name}"));
    list.iter().map(|entry| text(entry).to_owned()).collect()
}

#[tokio::test]
async fn a_client_signs_with_every_algorithm_that_the_metadata_lists_and_with_no_other() {
    for world in World::each().await {
        let mut taken = ENDPOINTS.map(|_| BTreeSet::new());
        for algorithm in KNOWN {
            let Some(signer) = Signer::register(&world, algorithm).await else { continue };
            for ((path, _), taken) in ENDPOINTS.iter().zip(&mut taken) {
                let answer = signer.ask(&world, path, false).await;
                if answer.status() == 200 {
                    taken.insert(algorithm.to_owned());
                    let spoilt = refusal(signer.ask(&world, path, true).await).await;
                    assert_eq!(spoilt, error(401, "invalid_client"), "{algorithm} at {path}");
                } else {
                    assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{algorithm} at {path}");
                }
            }
        }
        for ((path, list), taken) in ENDPOINTS.iter().zip(taken) {
            let listed = listed(&world, list).await;
            assert_eq!(listed.len(), taken.len(), "{list}: {listed:?}");
            assert_eq!(BTreeSet::from_iter(listed), taken, "{path} on {}", world.house.home.name);
        }
        world.stop().await;
    }
}

/// How both tokens of a sign-in are signed: alike.
async fn signed_with(world: &mut World) -> String {
    let tokens = world.tokens(&[("prompt", "consent")]).await;
    let [access, id] = ["access_token", "id_token"].map(|name| {
        let header = text(&tokens[name]).split('.').next().unwrap().to_owned();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        text(&header["alg"]).to_owned()
    });
    assert_eq!(access, id);
    id
}

const ID_TOKEN: &str = "id_token_signing_alg_values_supported";

#[tokio::test]
async fn id_tokens_are_signed_as_the_metadata_says_and_it_says_no_more() {
    for algorithm in ["ES256", "RS256"] {
        for home in Home::each().await {
            let mut world = World::of(House::on(home, &[("issuer.algorithm", algorithm)]).await).await;
            assert_eq!(listed(&world, ID_TOKEN).await, [algorithm], "{}", world.house.home.name);
            assert_eq!(signed_with(&mut world).await, algorithm);
            world.stop().await;
        }
    }
}

/// Until this is the list: a broker that starts looks at its keys at once, and answers meanwhile.
async fn until_listed(world: &World, expected: &[&str]) {
    let told = async { while listed_by(world, "openid-configuration", ID_TOKEN).await != expected {} };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    assert!(told.is_ok(), "{:?}, not {expected:?}", listed(world, ID_TOKEN).await);
}

#[tokio::test]
async fn another_algorithm_is_listed_before_it_signs_and_the_old_one_until_nobody_signs_with_it() {
    let rsa = [("issuer.algorithm", "RS256")];
    for mut world in World::each().await {
        world.house = world.house.restart(&rsa).await;
        assert_eq!(listed(&world, ID_TOKEN).await, ["ES256"], "the key that there is signs");
        world.house.write(Method::POST, "/keys/signing/rotate", &json!({})).await;
        assert_eq!(listed(&world, ID_TOKEN).await, ["ES256", "RS256"], "{}", world.house.home.name);
        assert_eq!(signed_with(&mut world).await, "ES256");
        world.house.pass(601);
        world.house = world.house.restart(&rsa).await;
        until_listed(&world, &["RS256", "ES256"]).await;
        assert_eq!(signed_with(&mut world).await, "RS256");
        world.house.pass(61);
        world.house = world.house.restart(&rsa).await;
        until_listed(&world, &["RS256"]).await;
        world.stop().await;
    }
}
