//! Is this token one of ours to accept?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::cache::{Digest, Verified};
use crate::seldom::Seldom;
use crate::source::Snapshot;
use crate::token::{Compact, Kind};
use crate::{Algorithm, Claims, Error, KeySource};

/// The longest token accepted, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The largest leeway for clocks that differ.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

pub(crate) const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
/// How much of a claim is told in the log.
const MAX_TOLD: usize = 300;
const DEFAULT_CACHED_TOKENS: u64 = 10_000;

/// Verifies the access tokens of one issuer; a clone is another handle on the same guard.
#[derive(Clone)]
pub struct Guard {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    plain_jwt: bool,
    leeway: time::Duration,
    keys: KeySource,
    verified: Verified,
    told: Seldom,
}

impl Guard {
    /// Begins a guard for the tokens of this issuer, compared byte for byte.
    pub fn builder(issuer: impl Into<String>) -> Builder {
        Builder {
            issuer: issuer.into(),
            audiences: Vec::new(),
            algorithms: vec![Algorithm::Es256, Algorithm::Rs256],
            plain_jwt: false,
            leeway: DEFAULT_LEEWAY,
            cached_tokens: DEFAULT_CACHED_TOKENS,
            keys: None,
        }
    }

    /// Verifies a token at this time. One verified before costs a hash and a look-up.
    ///
    /// Waits for the network only with [`RemoteKeys`](crate::RemoteKeys), for the first keys and for an unknown one.
    ///
    /// # Errors
    /// The first cause found; the claims count only once the signature is good.
    /// [`Error::KeysUnavailable`] says nothing about the token: answer 503, not 401.
    pub async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Arc<Claims>, Error> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::TooLong);
        }
        let digest = Digest::of(token);
        if let Some(claims) = self.find_verified(&digest, now)? {
            return Ok(claims);
        }
        let compact = Compact::parse(token)?;
        self.inner.check_header(&compact)?;
        let keys = check_signature(&self.inner.keys, &compact, now).await?;
        let claims = Arc::new(Claims::parse(&compact.payload()?)?);
        self.inner
            .check_claims(&claims, compact.kind)
            .inspect_err(|error| self.inner.tell(*error, &claims, now))?;
        claims.check_times(now, self.inner.leeway)?;
        self.inner.verified.insert(digest, keys.generation, Arc::clone(&claims));
        Ok(claims)
    }

    /// Forgets every token verified before.
    pub fn clear(&self) {
        self.inner.verified.clear();
    }

    /// Whom it is for, to name in challenges.
    #[cfg(feature = "actix")]
    pub(crate) fn realm(&self) -> &str {
        self.inner.audiences.first().map_or("", String::as_str)
    }

    fn find_verified(&self, digest: &Digest, now: OffsetDateTime) -> Result<Option<Arc<Claims>>, Error> {
        let generation = self.inner.keys.peek(now).generation;
        let Some(claims) = self.inner.verified.find(digest, generation) else {
            return Ok(None);
        };
        match claims.check_times(now, self.inner.leeway) {
            Ok(()) => Ok(Some(claims)),
            Err(error) => {
                self.inner.verified.remove(digest);
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { issuer, audiences, .. } = &*self.inner;
        f.debug_struct("Guard").field("issuer", issuer).field("audiences", audiences).finish_non_exhaustive()
    }
}

impl Inner {
    fn check_header(&self, token: &Compact<'_>) -> Result<(), Error> {
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Error::Algorithm);
        }
        if token.kind == Kind::Plain && !self.plain_jwt {
            return Err(Error::Type);
        }
        Ok(())
    }

    /// Tells what was expected, which a service that answers strangers too shows nobody. The signature was good, so the
    /// issuer's own words are told; the rest of the token is not.
    fn tell(&self, error: Error, claims: &Claims, now: OffsetDateTime) {
        let (expected, got) = match error {
            Error::Audience => (self.audiences.join(" "), claims.audience.join(" ")),
            Error::Issuer => (self.issuer.clone(), claims.issuer.clone()),
            _ => return,
        };
        if self.told.is_due(error.name(), now) {
            let got: String = got.chars().take(MAX_TOLD).collect();
            tracing::warn!(expected, got, "{error}; the same is not logged again for a minute");
        }
    }

    fn check_claims(&self, claims: &Claims, kind: Kind) -> Result<(), Error> {
        if claims.issuer != self.issuer {
            return Err(Error::Issuer);
        }
        if !claims.audience.iter().any(|audience| self.audiences.contains(audience)) {
            return Err(Error::Audience);
        }
        if kind == Kind::Plain && is_other_token(claims) {
            return Err(Error::Type);
        }
        Ok(())
    }
}

/// The keys that bear the token out. Newer ones are asked for where the token may be signed with one: its `kid`
/// is unknown, or it names none and the only key does not fit.
pub(crate) async fn check_signature(
    source: &KeySource,
    token: &Compact<'_>,
    now: OffsetDateTime,
) -> Result<Arc<Snapshot>, Error> {
    let keys = source.require(now).await?;
    let error = match bears_out(&keys, token) {
        Ok(()) => return Ok(keys),
        Err(error) => error,
    };
    let may_be_newer = error == Error::UnknownKey || (error == Error::Signature && token.kid.is_none());
    if !may_be_newer {
        return Err(error);
    }
    let newer = source.find_newer(&keys, now).await.ok_or(error)?;
    bears_out(&newer, token).map(|()| newer)
}

fn bears_out(keys: &Snapshot, token: &Compact<'_>) -> Result<(), Error> {
    let key = keys.set.require(token.kid.as_deref(), token.algorithm)?;
    key.verify(token.algorithm, token.signed, &token.signature)
}

/// Issuers that sign everything as `JWT` give their ID tokens away by `nonce` and the hashes (OpenID Connect Core
/// §2, §3.3.2.11), logout tokens by `events`, and Keycloak all of them by a `typ` claim.
fn is_other_token(claims: &Claims) -> bool {
    let marked = ["at_hash", "c_hash", "nonce", "events"].iter().any(|name| claims.extra.contains_key(*name));
    let typ = claims.extra.get("typ").and_then(|typ| typ.as_str());
    let named = typ.is_some_and(|typ| {
        ["ID", "Refresh", "Offline", "Logout"].iter().any(|other| typ.eq_ignore_ascii_case(other))
    });
    marked || named
}

/// What a guard accepts, before it is built.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    plain_jwt: bool,
    leeway: Duration,
    cached_tokens: u64,
    keys: Option<KeySource>,
}

/// Why a guard cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The issuer is empty.
    #[error("the issuer is empty")]
    NoIssuer,
    /// No audience, or an empty one: such a guard would accept tokens meant for others.
    #[error("no audience is set")]
    NoAudience,
    /// No algorithm is allowed.
    #[error("no algorithm is allowed")]
    NoAlgorithm,
    /// No key source is set.
    #[error("no key source is set")]
    NoKeys,
    /// More than [`MAX_LEEWAY`].
    #[error("the leeway is more than 60 seconds")]
    LeewayTooLong,
}

impl Builder {
    /// Accepts tokens for this audience, compared byte for byte; may be given several times.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Takes the keys from here: [`GivenKeys`](crate::GivenKeys) or [`RemoteKeys`](crate::RemoteKeys).
    pub fn keys(mut self, keys: impl Into<KeySource>) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// Accepts these algorithms only; ES256 and RS256 by default.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Also accepts `typ` `JWT` or none, as foreign issuers (Keycloak among them) mark their access tokens.
    ///
    /// Such a token is refused where its claims show that it is an ID, refresh or logout token. Use an audience
    /// that is no client id of the issuer: an ID token without any mark has its client id as audience.
    pub fn accept_plain_jwt(mut self) -> Self {
        self.plain_jwt = true;
        self
    }

    /// Forgives clocks that differ by this much, in whole seconds, at `exp`, `nbf` and `iat`; 30 s by default.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Remembers at most this many verified tokens; 10,000 by default, 0 remembers none.
    pub fn cached_tokens(mut self, tokens: u64) -> Self {
        self.cached_tokens = tokens;
        self
    }

    /// Makes the guard. The network is not used before the first token.
    ///
    /// # Errors
    /// Where the issuer, every audience or the keys are missing, no algorithm is left, or the leeway is too long.
    pub fn build(self) -> Result<Guard, BuildError> {
        if self.issuer.is_empty() {
            return Err(BuildError::NoIssuer);
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(BuildError::NoAudience);
        }
        if self.algorithms.is_empty() {
            return Err(BuildError::NoAlgorithm);
        }
        if self.leeway > MAX_LEEWAY {
            return Err(BuildError::LeewayTooLong);
        }
        let inner = Inner {
            issuer: self.issuer,
            audiences: self.audiences,
            algorithms: self.algorithms,
            plain_jwt: self.plain_jwt,
            leeway: time::Duration::try_from(self.leeway).map_err(|_| BuildError::LeewayTooLong)?,
            keys: self.keys.ok_or(BuildError::NoKeys)?,
            verified: Verified::new(self.cached_tokens),
            told: Seldom::default(),
        };
        Ok(Guard { inner: Arc::new(inner) })
    }
}
