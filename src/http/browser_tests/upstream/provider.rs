//! A provider that says what a test wants it to say, and keeps what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::Url;

use crate::identity::testing::Fixture;
use crate::identity::upstream::{Forwarded, Parts, Settings, Upstreams};
use crate::model::secret::Secret;
use crate::outbound::scripted::{Scripted, Seen, Step};
use crate::outbound::{self, Outbound};

pub(super) const ACCESS_TOKEN: &str = "canary-access-token";
pub(super) const CODE: &str = "canary-code";
pub(super) const CLIENT_SECRET: &str = "canary:secret é";

pub(super) struct Provider {
    server: Scripted,
    answers: Arc<Mutex<BTreeMap<String, Step>>>,
    pub(super) key: Key,
}

pub(super) struct Key {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

/// An authorization request, as the browser carried it.
pub(super) struct Asked(pub(super) Url);

impl Asked {
    pub(super) fn get(&self, name: &str) -> String {
        self.0
            .query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    /// The way back with a code, and these parameters beside.
    pub(super) fn back(&self, more: &str) -> String {
        format!("/login/oidc/callback?state={}&code={CODE}{more}", self.get("state"))
    }
}

impl Provider {
    pub(super) async fn start() -> Self {
        let answers = Arc::<Mutex<BTreeMap<String, Step>>>::default();
        let of_server = Arc::clone(&answers);
        let server = Scripted::answering(move |seen: &Seen| {
            let path = seen.line.split(' ').nth(1).unwrap_or_default();
            of_server.lock().unwrap().get(path).cloned().unwrap_or(Step::Hang)
        })
        .await;
        let provider = Self { server, answers, key: Key::new("k-1") };
        provider.discovery(|_| {});
        provider.keys(&[&provider.key]);
        provider
    }

    pub(super) fn issuer(&self) -> String {
        self.server.base.as_str().trim_end_matches('/').to_owned()
    }

    pub(super) fn set(&self, path: &str, step: Step) {
        self.answers.lock().unwrap().insert(path.to_owned(), step);
    }

    pub(super) fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer());
        json!({
            "issuer": self.issuer(), "authorization_endpoint": at("/authorize?tenant=x"), "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"), "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
            "scopes_supported": ["openid", "email", "groups"],
        })
    }

    pub(super) fn discovery(&self, change: impl FnOnce(&mut Value)) {
        let mut document = self.document();
        change(&mut document);
        self.set("/.well-known/openid-configuration", Step::json(200, &document));
    }

    pub(super) fn keys(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.set("/jwks", Step::json(200, &json!({ "keys": keys })));
    }

    /// What the token endpoint answers from now on.
    pub(super) fn id_token(&self, token: &str) {
        let answer = json!({"id_token": token, "access_token": ACCESS_TOKEN, "token_type": "Bearer"});
        self.set("/token", Step::json(200, &answer));
    }

    /// Requests for this path.
    pub(super) fn seen(&self, path: &str) -> Vec<Seen> {
        let of_path = |seen: &Seen| seen.line.split(' ').nth(1) == Some(path);
        self.server.seen().into_iter().filter(of_path).collect()
    }

    /// What a broker is told of it.
    pub(super) fn upstreams(&self, fixture: &Fixture) -> Upstreams {
        self.upstreams_behind(fixture, None)
    }

    /// The same behind reverse proxies that forward this.
    pub(super) fn upstreams_behind(&self, fixture: &Fixture, forwarded: Option<Forwarded>) -> Upstreams {
        let settings = Settings {
            issuer: self.issuer(),
            client_id: "jeton".into(),
            client_secret: Some(Secret::new(CLIENT_SECRET)),
            apps_claim: Some("groups".into()),
            superadmin_values: vec!["boss".into()],
            forwarded,
        };
        let outbound = outbound::Settings { allow_loopback: true, ..outbound::Settings::default() };
        let parts = Parts {
            tools: fixture.tools.clone(),
            sessions: Arc::clone(&fixture.sessions),
            people: Arc::clone(&fixture.people),
            outbound: Outbound::new(&outbound).unwrap(),
            public_url: fixture.public_url.clone(),
        };
        Upstreams::new(settings, parts).unwrap()
    }
}

impl Key {
    pub(super) fn new(kid: &'static str) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
               "x": encode(&point[1..33]), "y": encode(&point[33..])})
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "ES256", "kid": self.kid}), claims)
    }

    pub(super) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }

    /// HS256 with the public key for a secret.
    pub(super) fn hs256(&self, claims: &Value) -> String {
        let signed = unsigned(&json!({"alg": "HS256", "kid": self.kid}), claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes()).as_ref()))
    }
}

pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

pub(super) fn half_hash(token: &str) -> String {
    encode(&digest::digest(&digest::SHA256, token.as_bytes()).as_ref()[..16])
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
