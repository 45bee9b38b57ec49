//! Who is it that a proxy has signed in?
//!
//! A reverse proxy (APISIX `openid-connect`, mod_auth_openidc) signs people in and forwards their tokens in headers.
//! Whoever reaches the service past the proxy can send the same headers; so they are read from trusted addresses
//! only, and even then every claim comes from a token whose signature is good. What a proxy tells unsigned is read
//! for one purpose: where it contradicts the token, the request is refused.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::claims::auth_time;
use crate::seldom::Seldom;
use crate::{Claims, Error, Guard, IdTokenError, IdTokens, Refused, Secret};

mod builder;
mod headers;

pub use builder::{OidcProxyBuilder, OidcProxyError};
use headers::{Carried, IdToken, Names};

/// Claims that say what a token is or may do: an ID token adds none of them to what the access token says.
const NOT_ABOUT_THE_PERSON: [&str; 9] =
    ["authorization_details", "c_hash", "client_id", "jti", "role", "s_hash", "scope", "scp", "typ"];

/// Takes and verifies the tokens that a reverse proxy forwards in headers; a clone is another handle on the same
/// scheme.
///
/// ```
/// use jeton_guard::OidcProxyScheme;
///
/// let scheme = OidcProxyScheme::builder("https://sso.example.com/realms/acme", "terms")
///     .trusted_proxies(["10.0.0.0/8"])
///     .build()?;
/// assert_eq!(scheme.scheme_name(), "OidcProxyScheme");
/// # Ok::<_, jeton_guard::OidcProxyError>(())
/// ```
#[derive(Clone)]
pub struct OidcProxyScheme {
    inner: Arc<Inner>,
}

struct Inner {
    guard: Guard,
    id_tokens: IdTokens,
    trust: Trust,
    names: Names,
    auto_error: bool,
    scheme_name: String,
    open_id_connect_url: String,
    told: Seldom,
}

/// Whose headers are read.
enum Trust {
    /// All of them, from these addresses.
    Proxies(Vec<IpNet>),
    /// The access token alone, from anywhere.
    AnyVerified,
}

/// Somebody a proxy has signed in, as verified tokens tell it.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// The claims of the access token; where a signed ID token of the same `sub` came along, its claims about the
    /// person are in `extra` too. Where both name a claim, the access token's stands.
    pub claims: Arc<Claims>,
    /// When the person signed in at the issuer, as `auth_time` of the ID token tells it, else that of the access token;
    /// never later than the token itself.
    pub signed_in_at: Option<OffsetDateTime>,
    /// The access token, to call others with.
    pub access_token: Secret,
    /// The signed ID token, verified.
    pub id_token: Option<Secret>,
    /// The refresh token, as the proxy sent it: nobody but its issuer can verify one.
    pub refresh_token: Option<Secret>,
}

impl OidcProxyScheme {
    /// Begins a scheme. `open_id_connect_url` is the issuer, or the address of its
    /// `/.well-known/openid-configuration`; of an issuer that ends with a slash only the former. `audience` is whom
    /// the access tokens are for.
    pub fn builder(open_id_connect_url: impl Into<String>, audience: impl Into<String>) -> OidcProxyBuilder {
        OidcProxyBuilder::new(open_id_connect_url.into(), audience.into())
    }

    /// Who sent this request. `peer` is the address of the connection itself, never one that a header names;
    /// `headers` gives every value of a header, however it is capitalised.
    ///
    /// # Errors
    /// The first cause found. Answer [`Refused::is_temporary`] with 503, [`Refused::InsufficientScope`] with 403,
    /// the rest with 401.
    pub fn require<'r>(
        &self,
        peer: Option<IpAddr>,
        headers: impl Fn(&str) -> Vec<&'r [u8]>,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<Forwarded, Refused>> {
        let carried = self.inner.read(peer, headers);
        async move { self.inner.verify(carried?, now).await }
    }

    /// The same as the option `auto_error` says: where it is false, a request that is refused is one by nobody in
    /// particular, `None`.
    ///
    /// # Errors
    /// As [`Self::require`]; without `auto_error` only where the token could not be judged, for then nobody can say
    /// that it is nobody's.
    pub async fn find<'r>(
        &self,
        peer: Option<IpAddr>,
        headers: impl Fn(&str) -> Vec<&'r [u8]>,
        now: OffsetDateTime,
    ) -> Result<Option<Forwarded>, Refused> {
        match self.require(peer, headers, now).await {
            Ok(forwarded) => Ok(Some(forwarded)),
            Err(refused) if self.inner.auto_error || refused.is_temporary() => Err(refused),
            Err(refused) => {
                self.inner.tell(&refused, now);
                Ok(None)
            }
        }
    }

    /// What the scheme is called in documents and challenges.
    pub fn scheme_name(&self) -> &str {
        &self.inner.scheme_name
    }

    /// The security scheme for an OpenAPI document, to stand there under [`Self::scheme_name`] (OpenAPI 3.1 §4.8.27).
    pub fn openapi(&self) -> Value {
        json!({"type": "openIdConnect", "openIdConnectUrl": self.inner.open_id_connect_url})
    }
}

impl fmt::Debug for OidcProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { guard, scheme_name, .. } = &*self.inner;
        f.debug_struct("OidcProxyScheme")
            .field("scheme_name", scheme_name)
            .field("guard", guard)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Tells why somebody is nobody, which no answer does. Who brought no token may be a stranger; whom another line
    /// tells of is not told again.
    fn tell(&self, refused: &Refused, now: OffsetDateTime) {
        let told = match refused {
            Refused::Missing | Refused::UntrustedPeer => true,
            Refused::AccessToken(error) => {
                matches!(error, Error::Audience | Error::Issuer | Error::NotYetValid)
            }
            _ => false,
        };
        let cause = match refused {
            Refused::IdToken(cause) => format!("{refused}: {cause}"),
            Refused::Header { cause, .. } => format!("{refused}: {cause}"),
            _ => refused.to_string(),
        };
        if !told && self.told.is_due(&cause, now) {
            tracing::warn!(
                cause,
                "a request goes on without identity; the same is not logged again for a minute"
            );
        }
    }

    fn read<'r>(
        &self,
        peer: Option<IpAddr>,
        headers: impl Fn(&str) -> Vec<&'r [u8]>,
    ) -> Result<Carried<'r>, Refused> {
        match &self.trust {
            Trust::AnyVerified => Carried::access_token_alone(&self.names, headers),
            Trust::Proxies(networks) => {
                let trusted = |address: IpAddr| networks.iter().any(|network| network.contains(&address));
                if peer.map(|peer| peer.to_canonical()).is_some_and(trusted) {
                    return Carried::read(&self.names, headers);
                }
                let peer = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.to_string());
                tracing::warn!(client.address = %peer, "refused a request past the trusted proxies, from {peer}");
                Err(Refused::UntrustedPeer)
            }
        }
    }

    async fn verify(&self, carried: Carried<'_>, now: OffsetDateTime) -> Result<Forwarded, Refused> {
        let mut claims = self.guard.verify(carried.access_token, now).await?;
        if let Some((name, _)) = carried.told.into_iter().find(|(_, subject)| *subject != claims.subject) {
            return Err(Refused::OtherSubject(name));
        }
        let told = auth_time(&claims.extra, claims.issued_at);
        let (id_token, signed_in_at) = match carried.id_token {
            Some(token) => self.verify_id_token(token, &mut claims, now).await?.unzip(),
            None => (None, None),
        };
        Ok(Forwarded {
            claims,
            signed_in_at: signed_in_at.flatten().or(told),
            access_token: Secret::new(carried.access_token),
            id_token,
            refresh_token: carried.refresh_token.map(Secret::new),
        })
    }

    /// One that has expired counts as none: proxies keep the first one long after they have refreshed the access
    /// token. For the same reason `at_hash` is not compared; that the subject is the same is what counts.
    async fn verify_id_token(
        &self,
        token: IdToken<'_>,
        claims: &mut Arc<Claims>,
        now: OffsetDateTime,
    ) -> Result<Option<(Secret, Option<OffsetDateTime>)>, Refused> {
        let identity = match self.id_tokens.verify_forwarded(token.0, now).await {
            Ok(identity) => identity,
            Err(IdTokenError::Token(Error::Expired)) => {
                tracing::debug!("a forwarded ID token has expired and is not taken");
                return Ok(None);
            }
            Err(error) => return Err(Refused::IdToken(error)),
        };
        if identity.subject != claims.subject {
            return Err(Refused::OtherSubject(self.names.id_token.clone()));
        }
        let signed_in_at = identity.signed_in_at;
        add(&mut Arc::make_mut(claims).extra, identity.claims);
        Ok(Some((Secret::new(token.0), signed_in_at)))
    }
}

fn add(claims: &mut Map<String, Value>, about_the_person: Map<String, Value>) {
    for (name, value) in about_the_person {
        if !NOT_ABOUT_THE_PERSON.contains(&name.as_str()) {
            claims.entry(name).or_insert(value);
        }
    }
}
