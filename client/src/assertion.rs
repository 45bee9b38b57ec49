//! How does a program prove itself by a key instead of a secret? By a signed assertion (RFC 7523), good for one minute.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::error::Error;
use crate::login::now;
use crate::secret::Secret;
use crate::settings::SettingsError;

/// `client_assertion_type`.
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const LIFETIME_S: i64 = 60;

/// A private key of a client (ES256), and whom its assertions are for. `Debug` does not print it.
pub struct AssertionKey {
    pair: EcdsaKeyPair,
    kid: Option<String>,
    audience: String,
}

impl AssertionKey {
    /// From PEM (PKCS#8, curve P-256), as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes it.
    /// `audience` is the issuer.
    ///
    /// # Errors
    /// When the text holds no such key.
    #[expect(clippy::disallowed_methods, reason = "door: the private key is parsed")]
    pub fn from_pem(pem: &Secret, kid: Option<&str>, audience: &str) -> Result<Self, SettingsError> {
        let body = pem.expose_secret().split("-----BEGIN PRIVATE KEY-----").nth(1);
        let body = body.and_then(|rest| rest.split("-----END PRIVATE KEY-----").next());
        let text: String = body.unwrap_or_default().chars().filter(|c| !c.is_whitespace()).collect();
        let der = STANDARD.decode(text).map_err(|_| SettingsError::Key)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map_err(|_| SettingsError::Key)?;
        Ok(Self { pair, kid: kid.map(str::to_owned), audience: audience.to_owned() })
    }

    /// A new one; none is sent twice.
    pub(crate) fn assertion(&self, client_id: &str) -> Result<Secret, Error> {
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).map_err(|_| SettingsError::Key)?;
        let at = now().unix_timestamp();
        let header = match &self.kid {
            Some(kid) => json!({"alg": "ES256", "typ": "JWT", "kid": kid}),
            None => json!({"alg": "ES256", "typ": "JWT"}),
        };
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": self.audience, "iat": at, "exp": at + LIFETIME_S,
            "jti": URL_SAFE_NO_PAD.encode(jti),
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature =
            self.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| SettingsError::Key)?;
        Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey")
            .field("kid", &self.kid)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
