//! `private_key_jwt`: A12. By which algorithms is in `signing`.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
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

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
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
