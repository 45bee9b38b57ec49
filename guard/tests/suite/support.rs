//! What do the tests make tokens and guards of?

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton_guard::{Builder, GivenKeys, Guard, KeySet};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-24 10:00 UTC);
pub(crate) const ISSUER: &str = "https://jeton.example.com";

pub(crate) static ES: LazyLock<Signer> = LazyLock::new(|| Signer::es256("es-1"));
pub(crate) static ES_OTHER: LazyLock<Signer> = LazyLock::new(|| Signer::es256("es-2"));
pub(crate) static RS: LazyLock<Signer> = LazyLock::new(|| Signer::rs256("rs-1"));
pub(crate) static ED: LazyLock<Signer> = LazyLock::new(|| Signer::ed25519("ed-1"));

pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn es256(kid: &'static str) -> Self {
        Self { kid, pair: Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }

    pub(crate) fn rs256(kid: &'static str) -> Self {
        Self { kid, pair: Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())) }
    }

    pub(crate) fn ed25519(kid: &'static str) -> Self {
        Self { kid, pair: Pair::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
                       "x": base64(&point[1..33]), "y": base64(&point[33..])})
            }
            Pair::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } =
                    RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "kid": self.kid, "n": base64(&n), "e": base64(&e)})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": base64(pair.public_key().as_ref())})
            }
        }
    }

    /// The public key as bytes, as the attacker of HS256 would use it for a secret.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The same in the form that files have (`SubjectPublicKeyInfo`).
    pub(crate) fn public_info(&self) -> Vec<u8> {
        let info: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_der().unwrap(),
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Pair::Ed25519(pair) => pair.public_key().as_der().unwrap(),
        };
        info.as_ref().to_vec()
    }

    pub(crate) fn sign(&self, algorithm: &str, message: &str) -> Vec<u8> {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

/// A token in the making; starts as a good one.
#[derive(Clone)]
pub(crate) struct Draft {
    header: Value,
    payload: Value,
}

pub(crate) fn draft() -> Draft {
    let now = NOW.unix_timestamp();
    Draft {
        header: json!({"typ": "at+jwt", "alg": "ES256", "kid": "es-1"}),
        payload: json!({"iss": ISSUER, "sub": "pipeline", "aud": ISSUER, "client_id": "pipeline", "iat": now,
                        "exp": now + 3600, "jti": "0199", "scope": "binb:read apps:read", "role": "superadmin"}),
    }
}

impl Draft {
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.payload[name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.payload.as_object_mut().unwrap().remove(name);
        self
    }

    /// Seconds from now, whether before or after.
    pub(crate) fn at(self, name: &str, seconds: i64) -> Self {
        self.claim(name, NOW.unix_timestamp() + seconds)
    }

    pub(crate) fn unsigned(&self) -> String {
        compact(&self.header.to_string(), &self.payload.to_string())
    }

    pub(crate) fn sign(&self, signer: &Signer) -> String {
        sign_raw(signer, &self.header.to_string(), &self.payload.to_string())
    }

    /// Signs with the key and names it.
    pub(crate) fn by(self, signer: &Signer) -> String {
        let algorithm = match signer.pair {
            Pair::Es256(_) => "ES256",
            Pair::Rsa(_) => "RS256",
            Pair::Ed25519(_) => "EdDSA",
        };
        self.header("alg", algorithm).header("kid", signer.kid).sign(signer)
    }
}

/// Signs texts that need not be what a JSON library would write.
pub(crate) fn sign_raw(signer: &Signer, header: &str, payload: &str) -> String {
    let signed = compact(header, payload);
    let parsed: Value = serde_json::from_str(header).unwrap_or_default();
    let signature = signer.sign(parsed["alg"].as_str().unwrap_or_default(), &signed);
    format!("{signed}.{}", base64(&signature))
}

fn compact(header: &str, payload: &str) -> String {
    format!("{}.{}", base64(header.as_bytes()), base64(payload.as_bytes()))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

pub(crate) fn key_set(signers: &[&Signer]) -> KeySet {
    jwks(signers).parse().unwrap()
}

/// A guard of the test issuer that knows these keys.
pub(crate) fn builder(signers: &[&Signer]) -> Builder {
    Guard::builder(ISSUER).audience(ISSUER).keys(GivenKeys::new(key_set(signers)))
}
