//! `private_key_jwt`: A12.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton::model::time::Clock;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{World, error, ok, refusal};
use crate::support::app::Broker;

pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client's key pair.
struct Pair(EcdsaKeyPair);

impl Pair {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap())
    }

    fn jwk(&self) -> Value {
        jwk_of(&self.0)
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }
}

/// The public half, named `k`.
pub(super) fn jwk_of(pair: &EcdsaKeyPair) -> Value {
    let point = pair.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..65]), "kid": "k"})
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A client that signs.
pub(super) struct Signer {
    pair: Pair,
    id: String,
}

impl Signer {
    pub(super) async fn register(world: &World) -> Self {
        let pair = Pair::new();
        let body = json!({"identifier": "signs", "kind": "service", "jwks": {"keys": [pair.jwk()]}});
        let made = world.house.write(Method::POST, "/clients", &body).await;
        assert!(made["client_secret"].is_null(), "it has a key instead");
        Self { pair, id: made["client_id"].as_str().unwrap().to_owned() }
    }

    pub(super) fn claims(&self, world: &World, jti: &str) -> Value {
        let now = world.broker().clock.now().unix_timestamp();
        let (id, url) = (&self.id, &world.broker().url);
        json!({"iss": id, "sub": id, "aud": url, "jti": jti, "iat": now, "exp": now + 60})
    }

    pub(super) fn assertion(&self, claims: &Value) -> String {
        self.pair.sign(&json!({"alg": "ES256", "kid": "k"}), claims)
    }
}

pub(super) async fn ask(broker: &Broker, assertion: &str, more: &[(&str, &str)]) -> Response {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ];
    form.extend(more);
    broker.http.post(broker.at("/o/token/")).form(&form).send().await.unwrap()
}

#[tokio::test]
async fn a_client_signs_who_it_is_and_each_assertion_is_good_once() {
    for world in World::each().await {
        let signer = Signer::register(&world).await;
        let assertion = signer.assertion(&signer.claims(&world, "1"));
        ok(ask(world.broker(), &assertion, &[]).await).await;
        let replayed = refusal(ask(world.broker(), &assertion, &[]).await).await;
        assert_eq!(replayed, error(401, "invalid_client"), "{}", world.house.home.name);
        let named = signer.assertion(&signer.claims(&world, "2"));
        let tokens = ok(ask(world.broker(), &named, &[("client_id", &signer.id)]).await).await;
        // New keys: tokens got by the old ones are refused, as after the deletion of a secret.
        let told = async |token: &Value| {
            let url = world.broker().at("/acme/sandbox/status");
            let request = world.broker().http.get(url).bearer_auth(token.as_str().unwrap());
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(told(&tokens["access_token"]).await, 403);
        let keys = json!({"jwks": {"keys": [Pair::new().jwk()]}});
        world.house.write(Method::PATCH, &format!("/clients/{}", signer.id), &keys).await;
        assert_eq!(told(&tokens["access_token"]).await, 401);
        world.stop().await;
    }
}

#[tokio::test]
async fn an_assertion_that_says_anything_else_is_refused() {
    for world in World::each().await {
        let signer = Signer::register(&world).await;
        let good = signer.claims(&world, "good");
        let token_endpoint = world.broker().at("/o/token/");
        let now = good["iat"].as_i64().unwrap();
        let both = json!([world.broker().url, "https://other.example"]);
        let changes = [
            ("sub", json!("somebody")),
            ("iss", json!(world.shop.0)),
            ("aud", json!(token_endpoint)),
            ("aud", both),
            ("aud", Value::Null),
            ("jti", Value::Null),
            ("jti", json!("")),
            ("jti", json!("j".repeat(256))),
            ("exp", json!(now - 31)),
            ("exp", json!(now + 600)),
            ("exp", Value::Null),
            ("nbf", json!(now + 60)),
        ];
        for (name, value) in changes {
            let mut claims = good.clone();
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
            let answer = ask(world.broker(), &signer.assertion(&claims), &[]).await;
            assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{name}: {value}");
        }
        let header = |alg: &str| json!({"alg": alg, "kid": "k"});
        let foreign = Pair::new();
        let mut moved = header("ES256");
        moved["jwk"] = foreign.jwk();
        let forged = [
            format!("{}.{}.", encode(header("none").to_string()), encode(good.to_string())),
            signer.pair.sign(&header("HS256"), &good),
            signer.pair.sign(&header("RS256"), &good),
            foreign.sign(&header("ES256"), &good),
            foreign.sign(&moved, &good),
            signer.assertion(&good).replace('.', ""),
            "a.b.c".to_owned(),
        ];
        for assertion in forged {
            let answer = ask(world.broker(), &assertion, &[]).await;
            assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{assertion}");
        }
        // None of these used up the name of a good one.
        ok(ask(world.broker(), &signer.assertion(&good), &[]).await).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn one_way_of_authentication_at_a_time_and_a_type_that_is_known() {
    for world in World::each().await {
        let signer = Signer::register(&world).await;
        let assertion = signer.assertion(&signer.claims(&world, "1"));
        let with_secret = ask(world.broker(), &assertion, &[("client_secret", "x")]).await;
        assert_eq!(refusal(with_secret).await, error(400, "invalid_request"));
        let other = ask(world.broker(), &assertion, &[("client_id", &world.shop.0)]).await;
        assert_eq!(refusal(other).await, error(401, "invalid_client"));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
            ("client_assertion", &assertion),
        ];
        let url = world.broker().at("/o/token/");
        let saml = world.broker().http.post(&url).form(&form).send().await.unwrap();
        assert_eq!(refusal(saml).await, error(400, "invalid_request"));
        let both = world.broker().http.post(&url).basic_auth(&world.shop.0, Some(&world.shop.1));
        let form = [form[0], ("client_assertion_type", JWT_BEARER), form[2]];
        let both = both.form(&form).send().await.unwrap();
        assert_eq!(refusal(both).await, error(400, "invalid_request"), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn private_keys_are_not_taken_and_public_clients_have_none() {
    for world in World::each().await {
        let mut private = Pair::new().jwk();
        private["d"] = json!("AQAB");
        let table = [
            json!({"identifier": "a", "kind": "service", "jwks": {"keys": [private]}}),
            json!({"identifier": "a", "kind": "service", "jwks": {"keys": []}}),
            json!({"identifier": "a", "kind": "service", "jwks": {"keys": [{"kty": "oct"}]}}),
            json!({"identifier": "a", "kind": "service", "jwks": 7}),
            json!({"identifier": "a", "kind": "programmatic", "jwks": {"keys": [Pair::new().jwk()]}}),
        ];
        for body in table {
            let answer = world.house.ask(Method::POST, "/admin/v1/clients", Some(&body)).await;
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(
                (&problem["code"], &problem["errors"][0]["pointer"]),
                (&json!("invalid_request"), &json!("/jwks"))
            );
            assert!(!problem.to_string().contains("AQAB"), "{problem}");
        }
        world.stop().await;
    }
}

/// What signs with a private key.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One key of each kind that an algorithm of the metadata wants, in its public form, and what signs by it.
fn signing(algorithm: &str) -> (Value, Sign) {
    let rsa = |encoding: &'static dyn RsaEncoding| -> (Value, Sign) {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let number = |bytes: &[u8]| encode(bytes);
        let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
        let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
        let jwk = json!({"kty": "RSA", "n": number(n), "e": number(e), "kid": "k"});
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        (jwk, Box::new(sign))
    };
    match algorithm {
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "PS256" => rsa(&RSA_PSS_SHA256),
        "EdDSA" => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let x = encode(pair.public_key().as_ref());
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k"});
            (jwk, Box::new(move |message| pair.sign(message).as_ref().to_vec()))
        }
        "ES256" => {
            let pair = Pair::new();
            let jwk = pair.jwk();
            (
                jwk,
                Box::new(move |message| {
                    pair.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
                }),
            )
        }
        other => panic!("no test signs with {other}, which the metadata lists"),
    }
}

#[tokio::test]
async fn a_client_signs_with_every_algorithm_that_the_metadata_lists() {
    for world in World::each().await {
        let broker = world.broker();
        let url = broker.at("/.well-known/oauth-authorization-server");
        let metadata = ok(broker.http.get(url).send().await.unwrap()).await;
        let listed = metadata["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap();
        assert!(listed.len() >= 4, "{listed:?}");
        for algorithm in listed {
            let algorithm = algorithm.as_str().unwrap();
            let (jwk, sign) = signing(algorithm);
            let body = json!({"identifier": algorithm, "kind": "service", "jwks": {"keys": [jwk]}});
            let made = world.house.write(Method::POST, "/clients", &body).await;
            let (id, now) = (&made["client_id"], broker.clock.now().unix_timestamp());
            let header = json!({"alg": algorithm, "kid": "k"}).to_string();
            let assertion = |jti: &str| {
                let claims =
                    json!({"iss": id, "sub": id, "aud": broker.url, "jti": jti, "iat": now, "exp": now + 60});
                let signed = format!("{}.{}", encode(&header), encode(claims.to_string()));
                let mut signature = sign(signed.as_bytes());
                if jti == "spoilt" {
                    *signature.last_mut().unwrap() ^= 1;
                }
                format!("{signed}.{}", encode(signature))
            };
            ok(ask(broker, &assertion("good"), &[]).await).await;
            let spoilt = refusal(ask(broker, &assertion("spoilt"), &[]).await).await;
            assert_eq!(spoilt, error(401, "invalid_client"), "{algorithm} on {}", world.house.home.name);
        }
        world.stop().await;
    }
}
