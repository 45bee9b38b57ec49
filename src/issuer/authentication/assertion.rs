//! `private_key_jwt`: a client signs who it is (RFC 7523 §3, OpenID Connect Core §9).
//!
//! The audience is the issuer alone: an assertion made for somebody else's token endpoint is worth nothing here. Each is
//! taken once, over all replicas, and only for a short time.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton_guard::{Algorithm, Claims, GivenKeys, Guard, KeySet};
use serde::Deserialize;
use time::Duration;

use crate::model::client::{Client, ClientId};
use crate::model::event::Origin;
use crate::model::secret::Secret;

use super::super::{Error, Issuer};

/// How a client may sign.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa];

/// The values of `alg` that an assertion may have; EdDSA on the one curve we know has a name of its own too (RFC 9864).
pub fn algorithm_names() -> Vec<&'static str> {
    ALGORITHMS.iter().map(|algorithm| algorithm.as_str()).chain(["Ed25519"]).collect()
}

/// How long an assertion may be good.
const LONGEST: Duration = Duration::minutes(5);
/// Clocks of clients may differ by this much.
const LEEWAY: std::time::Duration = std::time::Duration::from_secs(30);
/// The longest `jti`, in bytes.
const MAX_JTI: usize = 255;

impl Issuer {
    pub(super) async fn by_assertion(
        &self,
        client_id: Option<&str>,
        assertion: &Secret,
        origin: Origin,
    ) -> Result<Client, Error> {
        let Some(id) = issuer_of(assertion).filter(|id| client_id.is_none_or(|own| own == id.as_str()))
        else {
            return Err(self.refuse(None, origin, "an assertion that names no client, or another"));
        };
        let Some(client) = self.store.conn().find_client(&id).await? else {
            return Err(self.refuse(None, origin, "unknown"));
        };
        let client = self.vault.check(client)?;
        let claims = match self.verify_assertion(&client, assertion).await {
            Ok(claims) => claims,
            Err(reason) => return Err(self.refuse(Some(id), origin, &reason)),
        };
        // Only what the client itself has signed is remembered.
        let jti = claims.id.as_deref().unwrap_or_default();
        let hash = self.vault.hash("client_assertion", "jti_hash", id.as_str().as_bytes(), jti.as_bytes());
        let until = claims.expires_at + Duration::minutes(1);
        if !self.store.conn().note_assertion(hash, until).await? {
            return Err(self.refuse(Some(id), origin, "the assertion was used before"));
        }
        self.enabled(client, origin)
    }

    #[expect(clippy::disallowed_methods, reason = "door: the assertion is verified")]
    async fn verify_assertion(
        &self,
        client: &Client,
        assertion: &Secret,
    ) -> Result<std::sync::Arc<Claims>, String> {
        let jwks = client.jwks.as_ref().ok_or("no public key is registered for it")?;
        let keys = KeySet::from_jwks(jwks.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let guard = Guard::builder(client.client_id.as_str())
            .audience(self.url())
            .keys(GivenKeys::new(keys))
            .algorithms(ALGORITHMS)
            .accept_plain_jwt()
            .leeway(LEEWAY)
            .cached_tokens(0)
            .build()
            .map_err(|error| error.to_string())?;
        let now = self.clock.now();
        let claims = guard
            .verify(assertion.expose_secret(), now)
            .await
            .map_err(|error| format!("the assertion is refused: {error}"))?;
        let refused = if claims.subject != client.client_id.as_str() {
            "the assertion's `sub` is not the client"
        } else if claims.audience.len() != 1 {
            "the assertion has other audiences beside this issuer"
        } else if !claims.id.as_ref().is_some_and(|jti| (1..=MAX_JTI).contains(&jti.len())) {
            "the assertion has no `jti` of 1 to 255 bytes"
        } else if claims.expires_at - now > LONGEST + Duration::seconds(30) {
            "the assertion is good for more than 5 minutes"
        } else {
            return Ok(claims);
        };
        Err(refused.to_owned())
    }
}

/// Who the assertion says it is of; nothing is believed of it yet.
#[expect(clippy::disallowed_methods, reason = "door: the assertion's payload is looked at")]
fn issuer_of(assertion: &Secret) -> Option<ClientId> {
    #[derive(Deserialize)]
    struct Payload {
        iss: String,
    }
    let payload = assertion.expose_secret().split('.').nth(1)?;
    let payload: Payload = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    ClientId::parse(&payload.iss)
}
