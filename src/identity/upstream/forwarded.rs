//! Who is it that a reverse proxy has signed in at the provider, and forwards with each request?
//!
//! Read from trusted addresses only, and verified again (`jeton_guard::OidcProxyScheme`). Nothing but a browser's
//! session comes of it, which is good only while the proxy forwards the same person.

use std::net::IpAddr;

use jeton_guard::{Error as TokenError, OidcProxyError, OidcProxyScheme, Refused};
use time::OffsetDateTime;
use tracing::warn;

use super::account::Way;
use super::code::Told;
use super::provider::Provider;
use super::{Error, Upstream, Upstreams, claims};
use crate::identity::session::{Opened, SignedIn};
use crate::model::address::Network;
use crate::model::event::Origin;
use crate::model::person::OpenedBy;
use crate::model::principal::UserId;

/// Where a proxy forwards an ID token.
const ID_TOKEN: &str = "x-id-token";

/// Which proxies are believed, and what they forward.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// Whom the access tokens are for.
    pub audience: String,
    /// The client that the proxy is at the provider, whom ID tokens are for; `None`: the audience.
    pub client_id: Option<String>,
    /// The header that holds the bare access token; `None`: `Authorization`, after `Bearer`.
    pub token_header: Option<String>,
    /// Where they sign people out: a path, or an address.
    pub logout_url: Option<String>,
    /// Their addresses.
    pub proxies: Vec<Network>,
}

/// Whom the proxy forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtProxy {
    /// Nobody, or not as we can believe it.
    Nobody,
    /// Somebody who is not known here (yet).
    Stranger,
    /// This person, and when they signed in, as far as it is told.
    Known(UserId, Option<OffsetDateTime>),
}

/// What is read of a request: the address of the connection itself, and all values of a header.
pub struct Request<'r> {
    /// Never one that a header names.
    pub peer: Option<IpAddr>,
    /// However the name is capitalised.
    pub headers: &'r dyn Fn(&str) -> Vec<&'r [u8]>,
}

impl Upstreams {
    /// Whom the proxy forwards with this request.
    pub async fn at_proxy(&self, request: &Request<'_>) -> Result<AtProxy, Error> {
        let Some(upstream) = self.find() else { return Ok(AtProxy::Nobody) };
        let Some(told) = upstream.forwarded(request).await else { return Ok(AtProxy::Nobody) };
        let conn = upstream.tools.store.conn();
        Ok(match upstream.find(conn, &told.0.subject).await? {
            Some(identity) => AtProxy::Known(identity.user, told.0.signed_in_at),
            None => AtProxy::Stranger,
        })
    }

    /// A session for whom the proxy forwards with this request; `None` where that is nobody. Only claims let somebody new
    /// in: the browser may have been led here by anybody's link.
    ///
    /// # Errors
    /// [`Error::Unknown`] where nothing lets the person in.
    pub async fn sign_in_at_proxy(
        &self,
        request: &Request<'_>,
        origin: Origin,
    ) -> Result<Option<Opened>, Error> {
        let Some(upstream) = self.find() else { return Ok(None) };
        upstream.sign_in_forwarded(request, None, origin).await
    }

    /// The same for somebody who has clicked to accept an invitation, which lets them in, too.
    ///
    /// # Errors
    /// [`Error::Unknown`] where it does not.
    pub async fn join_at_proxy(
        &self,
        request: &Request<'_>,
        invitation: &str,
        origin: Origin,
    ) -> Result<Option<(Opened, SignedIn)>, Error> {
        let Some(upstream) = self.find() else { return Ok(None) };
        let Some(opened) = upstream.sign_in_forwarded(request, Some(invitation), origin).await? else {
            return Ok(None);
        };
        let signed_in = upstream.sessions.resume_opened(&opened, origin).await?.ok_or(Error::Disabled)?;
        Ok(Some((opened, signed_in)))
    }
}

impl Upstream {
    async fn sign_in_forwarded(
        &self,
        request: &Request<'_>,
        invitation: Option<&str>,
        origin: Origin,
    ) -> Result<Option<Opened>, Error> {
        let Some(told) = self.forwarded(request).await else { return Ok(None) };
        // With another ID token other claims may count.
        let tokens = [self.token_header(), ID_TOKEN].map(|name| (request.headers)(name).concat());
        let token = self.tools.vault.hash("session", "forwarded_token", b"", &tokens.join(&b'\n'));
        let mut said = claims::read(&told.0, &self.settings);
        said.partial = told.1;
        let by = OpenedBy::Proxy(told.0.signed_in_at);
        self.sign_in((&told.0.subject, &said), invitation, Way::AtProxy(by, token), origin).await.map(Some)
    }

    /// What verified tokens tell, and whether a signed ID token came that was not taken: proxies keep the first one long
    /// after it has ended, and what only it said is not gone.
    async fn forwarded(&self, request: &Request<'_>) -> Option<(Told, bool)> {
        let scheme = self.scheme.as_ref()?;
        // Strangers make nobody ask the provider.
        let peer = request.peer.map(|peer| peer.to_canonical())?;
        let trusted = self.settings.forwarded.iter().flat_map(|forwarded| &forwarded.proxies);
        if !trusted.into_iter().any(|network| network.contains(peer))
            || (request.headers)(self.token_header()).is_empty()
        {
            return None;
        }
        self.renew(false).await;
        let now = self.tools.clock.now();
        let judged = match scheme.require(request.peer, request.headers, now).await {
            Err(Refused::AccessToken(TokenError::UnknownKey | TokenError::Signature)) => {
                self.renew(true).await;
                scheme.require(request.peer, request.headers, now).await
            }
            judged => judged,
        };
        match judged {
            Ok(forwarded) => {
                let (subject, claims) = (forwarded.claims.subject.clone(), forwarded.claims.extra.clone());
                let is_signed = |value: &&[u8]| value.iter().filter(|byte| **byte == b'.').count() == 2;
                let came = (request.headers)(ID_TOKEN).iter().any(is_signed);
                let signed_in_at = self.past(forwarded.signed_in_at);
                Some((Told { subject, signed_in_at, claims }, came && forwarded.id_token.is_none()))
            }
            Err(error) => {
                warn!(%error, "what a proxy forwards signs nobody in");
                None
            }
        }
    }

    fn token_header(&self) -> &str {
        let header = self.settings.forwarded.as_ref().and_then(|forwarded| forwarded.token_header.as_deref());
        header.unwrap_or("authorization")
    }

    /// Known keys stay in use while the provider is down.
    async fn renew(&self, missed: bool) {
        let Ok(_turn) = self.asking.try_acquire() else { return };
        if let Ok(metadata) = self.provider.metadata().await {
            // The provider's own log line tells why.
            let _ = self.provider.renew_keys(&metadata, missed).await;
        }
    }
}

/// The scheme of `forwarded`, over the provider's keys.
///
/// # Errors
/// A name that is none of a header, or no proxy.
pub(super) fn scheme(
    forwarded: &Forwarded,
    issuer: &str,
    provider: &Provider,
) -> Result<OidcProxyScheme, OidcProxyError> {
    let mut scheme = OidcProxyScheme::builder(issuer, &forwarded.audience)
        .trusted_proxies(forwarded.proxies.iter().map(ToString::to_string))
        .keys(provider.keys.clone());
    if let Some(client_id) = &forwarded.client_id {
        scheme = scheme.client_id(client_id);
    }
    if let Some(header) = &forwarded.token_header {
        scheme = scheme.auth_token_header(header).auth_token_in_authorization(false);
    }
    scheme.build()
}
