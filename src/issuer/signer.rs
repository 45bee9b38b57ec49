//! One private key: made, opened, used.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::secret::Secret;

/// How our tokens are signed (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256: signs in 0.03 ms.
    #[default]
    Es256,
    /// RSA of 2048 bits, for verifiers that know nothing else: signs in 1.2 ms.
    Rs256,
}

impl Algorithm {
    /// The value of `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// Reads a value of `alg`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Es256, Self::Rs256].into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// A private key, ready to sign.
pub(super) struct Signer {
    kid: Uuid,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// Makes a key; returns its PKCS#8 in base64 and its public members. The library takes its own random numbers.
    pub(super) fn generate(kid: Uuid, algorithm: Algorithm) -> Result<(Secret, Value), Unspecified> {
        let pkcs8 = match algorithm {
            Algorithm::Es256 => {
                let document =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
                encode(document.as_ref())
            }
            Algorithm::Rs256 => encode(RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?.as_ref()),
        };
        let pkcs8 = Secret::new(pkcs8);
        let public = Self::open(kid, algorithm, &pkcs8).ok_or(Unspecified)?.public_jwk();
        Ok((pkcs8, public))
    }

    /// Opens what [`Signer::generate`] made.
    #[expect(clippy::disallowed_methods, reason = "door: a private key goes into the signer")]
    pub(super) fn open(kid: Uuid, algorithm: Algorithm, pkcs8: &Secret) -> Option<Self> {
        let der = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(pkcs8.expose_secret()).ok()?);
        let pair = match algorithm {
            Algorithm::Es256 => {
                Pair::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?)
            }
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::from_pkcs8(&der).ok()?),
        };
        Some(Self { kid, pair })
    }

    pub(super) fn kid(&self) -> Uuid {
        self.kid
    }

    /// A JWS in compact form (RFC 7515 §7.1) of this type.
    pub(super) fn sign<C: Serialize>(&self, kind: &str, claims: &C) -> Result<Secret, Unspecified> {
        let kid = self.kid.simple().to_string();
        let header = json!({ "typ": kind, "alg": self.algorithm().as_str(), "kid": kid });
        let payload = serde_json::to_vec(claims).map_err(|_| Unspecified)?;
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(&payload));
        let signature = self.signature(signed.as_bytes())?;
        Ok(Secret::new(format!("{signed}.{}", encode(&signature))))
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Ec(_) => Algorithm::Es256,
            Pair::Rsa(_) => Algorithm::Rs256,
        }
    }

    fn signature(&self, signed: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => Ok(pair.sign(&random, signed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed, &mut signature)?;
                Ok(signature)
            }
        }
    }

    fn public_jwk(&self) -> Value {
        let (kid, alg) = (self.kid.simple().to_string(), self.algorithm().as_str());
        match &self.pair {
            Pair::Ec(pair) => {
                // An uncompressed point: 4, x, y.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at_checked(32).unwrap_or_default();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": kid, "use": "sig", "alg": alg })
            }
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": e, "kid": kid, "use": "sig", "alg": alg })
            }
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
