//! Is this ID token the answer to our own sign-in request? (OpenID Connect Core 1.0 §3.1.3.7)
//!
//! Kept apart from [`Guard`](crate::Guard): an ID token says who signed in and gives no access, so neither of the two
//! ever takes the other's tokens. Nothing is remembered: each is looked at once.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use time::OffsetDateTime;

use crate::claims::{List, auth_time, check_times, instant, required};
use crate::guard::{DEFAULT_LEEWAY, check_signature};
use crate::token::{Compact, Kind};
use crate::{Algorithm, Error, KeySource};

/// The longest ID token accepted, in bytes: one that lists many groups is longer than any access token.
pub const MAX_ID_TOKEN_BYTES: usize = 64 * 1024;

/// Verifies the ID tokens of one issuer for one of its clients.
#[derive(Clone, Debug)]
pub struct IdTokens {
    issuer: String,
    client_id: String,
    algorithms: Vec<Algorithm>,
    keys: KeySource,
}

/// What the token must answer to.
#[derive(Clone, Copy, Default)]
pub struct Expected<'e> {
    /// The `nonce` of the request.
    pub nonce: &'e str,
    /// The access token that came along: `at_hash`, where the token has one, must be its hash.
    pub access_token: Option<&'e str>,
}

/// Who signed in, as a verified ID token tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// `sub`: never reassigned within the issuer, and the only claim to know somebody by.
    pub subject: String,
    /// `exp`: when the token ends.
    pub expires_at: OffsetDateTime,
    /// `auth_time`: when the person signed in at the issuer, where it is told and not later than `iat`.
    pub signed_in_at: Option<OffsetDateTime>,
    /// Every other claim, as it came.
    pub claims: Map<String, Value>,
}

/// Why an ID token was refused. Holds no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// What refuses an access token too.
    #[error(transparent)]
    Token(#[from] Error),
    /// `nonce` is missing or another request's.
    #[error("the ID token answers another request")]
    Nonce,
    /// `azp` names another client, or the token has several audiences and names none.
    #[error("the ID token was issued to another client")]
    AuthorizedParty,
    /// `at_hash` is not the hash of the access token.
    #[error("the ID token came with another access token")]
    AccessTokenHash,
}

impl IdTokens {
    /// For this issuer and client, both compared byte for byte; ES256 and RS256.
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>, keys: impl Into<KeySource>) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            algorithms: vec![Algorithm::Es256, Algorithm::Rs256],
            keys: keys.into(),
        }
    }

    /// Accepts these algorithms only.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Verifies a token at this time.
    ///
    /// # Errors
    /// The first cause found; the claims count only once the signature is good.
    pub async fn verify(
        &self,
        token: &str,
        expected: Expected<'_>,
        now: OffsetDateTime,
    ) -> Result<Identity, IdTokenError> {
        let (identity, answer) = self.verify_any(token, now, Life::Goes).await?;
        answer.check(expected)?;
        Ok(identity)
    }

    /// Verifies a token that a client shows at the issuer itself, to say whom it means (`id_token_hint`, §3.1.2.1): its life
    /// may be over, and nobody remembers its `nonce`.
    ///
    /// # Errors
    /// The same, but never for an end of its life.
    pub async fn verify_hint(&self, token: &str, now: OffsetDateTime) -> Result<Identity, IdTokenError> {
        self.verify_any(token, now, Life::MayBeOver).await.map(|(identity, _)| identity)
    }

    /// Verifies a token that answers somebody else's request, whose `nonce` nobody knows here.
    pub(crate) async fn verify_forwarded(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Identity, IdTokenError> {
        self.verify_any(token, now, Life::Goes).await.map(|(identity, _)| identity)
    }

    async fn verify_any(
        &self,
        token: &str,
        now: OffsetDateTime,
        life: Life,
    ) -> Result<(Identity, Answer), IdTokenError> {
        if token.len() > MAX_ID_TOKEN_BYTES {
            return Err(Error::TooLong.into());
        }
        let compact = Compact::parse(token)?;
        if !self.algorithms.contains(&compact.algorithm) {
            return Err(Error::Algorithm.into());
        }
        if compact.kind != Kind::Plain {
            return Err(Error::Type.into());
        }
        check_signature(&self.keys, &compact, now).await?;
        let wire: Wire = serde_json::from_slice(&compact.payload()?).map_err(|_| Error::Malformed)?;
        self.check(wire, compact.algorithm, now, life)
    }

    fn check(
        &self,
        wire: Wire,
        algorithm: Algorithm,
        now: OffsetDateTime,
        life: Life,
    ) -> Result<(Identity, Answer), IdTokenError> {
        let issuer = required(wire.iss, "iss")?;
        if issuer != self.issuer {
            return Err(Error::Issuer.into());
        }
        let audience = wire.aud.map(List::into_vec).ok_or(Error::MissingClaim("aud"))?;
        if !audience.contains(&self.client_id) {
            return Err(Error::Audience.into());
        }
        // Of several audiences one is the client that asked; which, only `azp` tells.
        match wire.azp {
            Some(azp) if azp != self.client_id => return Err(IdTokenError::AuthorizedParty),
            None if audience.len() > 1 => return Err(IdTokenError::AuthorizedParty),
            Some(_) | None => {}
        }
        let expires_at = wire.exp.as_ref().map(instant).transpose()?.ok_or(Error::MissingClaim("exp"))?;
        let issued_at = wire.iat.as_ref().map(instant).transpose()?.ok_or(Error::MissingClaim("iat"))?;
        let not_before = wire.nbf.as_ref().map(instant).transpose()?;
        let leeway = time::Duration::try_from(DEFAULT_LEEWAY).map_err(|_| Error::Malformed)?;
        let ends_at = match life {
            Life::Goes => expires_at,
            Life::MayBeOver => expires_at.max(now),
        };
        check_times(&issuer, ends_at, [("nbf", not_before), ("iat", Some(issued_at))], now, leeway)?;
        let identity = Identity {
            subject: required(wire.sub, "sub")?,
            expires_at,
            signed_in_at: auth_time(&wire.extra, Some(issued_at)),
            claims: wire.extra,
        };
        Ok((identity, Answer { nonce: wire.nonce, at_hash: wire.at_hash, algorithm }))
    }
}

/// What is demanded of a token's end.
#[derive(Clone, Copy)]
enum Life {
    Goes,
    MayBeOver,
}

/// What ties a token to the request it answers.
struct Answer {
    nonce: Option<String>,
    at_hash: Option<String>,
    algorithm: Algorithm,
}

impl Answer {
    fn check(&self, expected: Expected<'_>) -> Result<(), IdTokenError> {
        if expected.nonce.is_empty() || self.nonce.as_deref() != Some(expected.nonce) {
            return Err(IdTokenError::Nonce);
        }
        if let (Some(hash), Some(token)) = (&self.at_hash, expected.access_token)
            && *hash != half_hash(self.algorithm, token)
        {
            return Err(IdTokenError::AccessTokenHash);
        }
        Ok(())
    }
}

/// The left half of the hash that the signature's algorithm uses (§3.1.3.6).
fn half_hash(algorithm: Algorithm, token: &str) -> String {
    let hash = match algorithm {
        Algorithm::Es256 | Algorithm::Rs256 | Algorithm::Ps256 => &digest::SHA256,
        Algorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(hash, token.as_bytes());
    let half: Vec<u8> = hash.as_ref().iter().take(hash.as_ref().len() / 2).copied().collect();
    URL_SAFE_NO_PAD.encode(half)
}

/// The claims as they are on the wire; a repeated one is an error of serde.
#[derive(Deserialize)]
struct Wire {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<List>,
    azp: Option<String>,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    nonce: Option<String>,
    at_hash: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}
