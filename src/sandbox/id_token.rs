//! How does a relying party know who signed in? ID tokens, ES256, by a key made at the start.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The key's name in header and key set.
const KID: &str = "sandbox-1";

/// Holds the signing key of one run.
pub(super) struct Signer(EcdsaKeyPair);

impl Signer {
    #[expect(clippy::expect_used, reason = "making a P-256 key needs nothing but random numbers")]
    pub(super) fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key can be made"))
    }

    /// The key set, as `/jwks` serves it.
    pub(super) fn jwks(&self) -> Value {
        let point = self.0.public_key().as_ref();
        // An uncompressed point (SEC 1 §2.3.3): 0x04, then x and y of 32 bytes each.
        let half = |range| point.get(range).map(|bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID,
            "x": half(1..33), "y": half(33..65),
        }]})
    }

    /// A compact JWS over these claims; none when the signature fails.
    pub(super) fn sign(&self, claims: &Value) -> Option<String> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KID});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
