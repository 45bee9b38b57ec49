//! Which public keys does an issuer sign with?
//!
//! A key set is read from a JWKS document (RFC 7517). Only public members are looked at; a key this crate cannot
//! verify with (another curve, encryption, a short RSA modulus, a point off the curve) is skipped, never an error,
//! because an issuer may publish keys for others. Each key says itself which algorithms it may verify.

use std::str::FromStr;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use serde::Deserialize;

use crate::{Algorithm, Error};

/// The public keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a JWKS document could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a JSON object with an array `keys`.
    #[error("the key set is not a JSON object with an array `keys`")]
    NotAKeySet,
}

impl KeySet {
    /// Reads a JWKS document; keys that cannot be used are skipped, so the set may be empty.
    ///
    /// # Errors
    /// [`KeySetError::NotAKeySet`] where the document as a whole is none.
    pub fn from_jwks(document: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let document: Document = serde_json::from_slice(document).map_err(|_| KeySetError::NotAKeySet)?;
        let usable =
            document.keys.into_iter().filter_map(|jwk| Key::from_jwk(serde_json::from_value(jwk).ok()?));
        Ok(Self { keys: usable.collect() })
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key a token names. A token without `kid` is unambiguous only where the issuer has a single key.
    pub(crate) fn require(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Error> {
        let mut named = match (kid, self.keys.as_slice()) {
            (None, [only]) => std::slice::from_ref(only).iter(),
            (None, _) => return Err(Error::UnknownKey),
            (Some(_), all) => all.iter(),
        }
        .filter(|key| kid.is_none() || key.kid.as_deref() == kid)
        .peekable();
        if named.peek().is_none() {
            return Err(Error::UnknownKey);
        }
        named.find(|key| key.algorithms.contains(&algorithm)).ok_or(Error::Algorithm)
    }
}

impl FromStr for KeySet {
    type Err = KeySetError;

    fn from_str(document: &str) -> Result<Self, KeySetError> {
        Self::from_jwks(document.as_bytes())
    }
}

/// One public key, with the algorithms it may verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    /// The uncompressed point on P-256.
    P256(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

/// The members of a JWK that matter to a verifier (RFC 7517 §4, RFC 7518 §6); private ones are not among them.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Key {
    fn from_jwk(jwk: Jwk) -> Option<Self> {
        let for_signatures = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures {
            return None;
        }
        let material = Material::from_jwk(&jwk)?;
        let mut algorithms = material.algorithms().to_vec();
        if let Some(name) = &jwk.alg {
            let bound = Algorithm::from_name(name)?;
            algorithms.retain(|algorithm| *algorithm == bound);
        }
        (!algorithms.is_empty()).then_some(Self { kid: jwk.kid, algorithms, material })
    }

    /// Verifies with the provider named here, not the process-wide one, which another crate may have set or
    /// left ambiguous (jsonwebtoken panics when both of its provider features are on).
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &str,
        signature: &Vec<u8>,
    ) -> Result<(), Error> {
        let key = self.material.decoding_key();
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm.jsonwebtoken(), &key)
            .map_err(|_| Error::Algorithm)?;
        verifier.verify(signed.as_bytes(), signature).map_err(|_| Error::Signature)
    }
}

impl Material {
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => Self::p256(&decode(&jwk.x)?, &decode(&jwk.y)?),
            ("OKP", Some("Ed25519")) => Self::ed25519(decode(&jwk.x)?),
            ("RSA", _) => Self::rsa(decode(&jwk.n)?, decode(&jwk.e)?),
            _ => None,
        }
    }

    fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        if x.len() != 32 || y.len() != 32 {
            return None;
        }
        let point = [&[4], x, y].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).ok()?;
        Some(Self::P256(point))
    }

    fn ed25519(x: Vec<u8>) -> Option<Self> {
        ParsedPublicKey::new(&ED25519, &x).ok()?;
        Some(Self::Ed25519(x))
    }

    /// RFC 7518 §3.3: 2048 bits or more; 8192 is where verifying becomes a way to keep us busy. Exponents that are
    /// even or 1 make no RSA key (with 1 anybody signs), and the parser below lets them through.
    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<Self> {
        let n: Vec<u8> = n.into_iter().skip_while(|byte| *byte == 0).collect();
        let e: Vec<u8> = e.into_iter().skip_while(|byte| *byte == 0).collect();
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        if !(256..=1024).contains(&n.len()) || !odd(&n) || !odd(&e) || e == [1] {
            return None;
        }
        RsaPublicKeyComponents { n: &n, e: &e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        Some(Self::Rsa { n, e })
    }

    fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::P256(_) => &[Algorithm::Es256],
            Self::Rsa { .. } => &[Algorithm::Rs256, Algorithm::Ps256],
            Self::Ed25519(_) => &[Algorithm::EdDsa],
        }
    }

    fn decoding_key(&self) -> DecodingKey {
        match self {
            Self::P256(point) => DecodingKey::from_ec_der(point),
            Self::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Self::Ed25519(x) => DecodingKey::from_ed_der(x),
        }
    }
}

fn decode(member: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(member.as_ref()?).ok()
}
