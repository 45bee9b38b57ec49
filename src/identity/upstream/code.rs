//! How does a code become what the provider says of a person? Token request, ID token, and userinfo where it tells more.
//!
//! The one door of this module's secrets.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use jeton_guard::{Error as TokenError, Expected, IdTokenError, IdTokens, Identity};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tracing::warn;
use url::form_urlencoded;

use super::provider::{Fault, Metadata, is_json};
use super::{Error, Upstream};
use crate::model::secret::Secret;
use crate::outbound::Response;

const TOKEN: &str = "the token endpoint of the provider";
const USERINFO: &str = "the userinfo endpoint of the provider";

/// Who signed in there, and all that was said of them.
pub(super) struct Told {
    pub(super) subject: String,
    /// When, as far as it is told.
    pub(super) signed_in_at: Option<OffsetDateTime>,
    pub(super) claims: Map<String, Value>,
}

/// A token answer (RFC 6749 §5.1, OpenID Connect Core 1.0 §3.1.3.3).
#[derive(Deserialize)]
struct Tokens {
    id_token: Secret,
    access_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Upstream {
    /// Swaps the code, and believes the ID token that came for it.
    pub(super) async fn redeem(
        &self,
        metadata: &Metadata,
        code: &Secret,
        verifier: &Secret,
        nonce: &str,
    ) -> Result<Told, Error> {
        let (headers, form) = self.request(metadata, code, verifier)?;
        let sent = self.provider.send(Method::POST, &metadata.token_endpoint, headers, form, TOKEN).await;
        let tokens = read(&sent.inspect_err(log)?)?;
        let access_token = tokens.access_token.as_ref();
        let expected = Expected { nonce, access_token: access_token.map(plain) };
        let identity = self.verify(metadata, &tokens.id_token, expected).await?;
        let signed_in_at = self.past(identity.signed_in_at);
        let mut told = Told { subject: identity.subject, signed_in_at, claims: identity.claims };
        if let Some(token) = access_token.filter(|_| self.misses(&told.claims)) {
            self.ask_more(metadata, token, &mut told).await?;
        }
        Ok(told)
    }

    /// A clock that is ahead makes nobody's sign-in newer than now.
    pub(super) fn past(&self, at: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
        at.map(|at| at.min(self.tools.clock.now()))
    }

    fn request(
        &self,
        metadata: &Metadata,
        code: &Secret,
        verifier: &Secret,
    ) -> Result<(HeaderMap, Vec<u8>), Error> {
        let client_id = self.settings.client_id.as_str();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", plain(code))
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("code_verifier", plain(verifier));
        match &self.settings.client_secret {
            Some(secret) if metadata.secret_in_form => {
                form.append_pair("client_id", client_id).append_pair("client_secret", plain(secret));
            }
            Some(secret) => {
                // Both parts are form-urlencoded first (RFC 6749 §2.3.1).
                let encode =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = STANDARD.encode(format!("{}:{}", encode(client_id), encode(plain(secret))));
                headers.insert(AUTHORIZATION, authorization("Basic", &pair)?);
            }
            None => {
                form.append_pair("client_id", client_id);
            }
        }
        Ok((headers, form.finish().into_bytes()))
    }

    async fn verify(
        &self,
        metadata: &Metadata,
        id_token: &Secret,
        expected: Expected<'_>,
    ) -> Result<Identity, Error> {
        let issuer = self.settings.issuer.as_str();
        let tokens = IdTokens::new(issuer, self.settings.client_id.as_str(), self.provider.keys.clone())
            .algorithms(metadata.algorithms.iter().copied());
        let now = self.tools.clock.now();
        self.provider.renew_keys(metadata, false).await.inspect_err(log)?;
        let verified = match tokens.verify(plain(id_token), expected, now).await {
            Err(IdTokenError::Token(TokenError::UnknownKey | TokenError::Signature)) => {
                self.provider.renew_keys(metadata, true).await.inspect_err(log)?;
                tokens.verify(plain(id_token), expected, now).await
            }
            verified => verified,
        };
        Ok(verified.inspect_err(|error| {
            warn!(%issuer, %error, "refused an ID token of the upstream provider");
        })?)
    }

    /// Many providers put addresses and groups where only the access token leads (§5.4).
    fn misses(&self, claims: &Map<String, Value>) -> bool {
        let wanted = self.settings.apps_claim.as_deref().into_iter().chain(["email"]);
        wanted.into_iter().any(|name| !claims.contains_key(name))
    }

    /// What userinfo says beside: of the same subject, and never instead of what the ID token says (§5.3.2).
    async fn ask_more(&self, metadata: &Metadata, token: &Secret, told: &mut Told) -> Result<(), Error> {
        let Some(url) = &metadata.userinfo_endpoint else { return Ok(()) };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization("Bearer", plain(token))?)]);
        let body = self.provider.read(url, headers, USERINFO).await.inspect_err(log)?;
        let unreadable = |_| Fault::Unreadable { what: USERINFO };
        let more: Map<String, Value> = serde_json::from_slice(&body).map_err(unreadable).inspect_err(log)?;
        if more.get("sub").and_then(Value::as_str) != Some(told.subject.as_str()) {
            return Err(Fault::Unreadable { what: USERINFO }.into());
        }
        for (name, value) in more {
            told.claims.entry(name).or_insert(value);
        }
        Ok(())
    }
}

fn read(response: &Response) -> Result<Tokens, Error> {
    if response.status == 200 && is_json(&response.headers) {
        let unreadable = |_| Fault::Unreadable { what: TOKEN };
        return Ok(serde_json::from_slice(&response.body).map_err(unreadable).inspect_err(log)?);
    }
    let refusal = serde_json::from_slice::<Refusal>(&response.body).ok().map(|refusal| refusal.error);
    // In words of ours: a provider may put what it was sent into its error.
    let known = ["invalid_client", "unauthorized_client", "invalid_request", "invalid_scope"];
    let code = known.into_iter().find(|code| refusal.as_deref() == Some(*code));
    match (code, refusal.as_deref()) {
        (Some(code), _) => Err(Error::Misconfigured { code }),
        (None, Some("invalid_grant")) => Err(Error::CodeRefused),
        _ => {
            let fault = Fault::Status { what: TOKEN, status: response.status };
            log(&fault);
            Err(fault.into())
        }
    }
}

fn log(fault: &Fault) {
    warn!(error = %fault, "nobody was signed in through the upstream provider");
}

/// A value that no layer below prints.
fn authorization(scheme: &str, value: &str) -> Result<HeaderValue, Fault> {
    let header = HeaderValue::try_from(format!("{scheme} {value}"));
    let mut header = header.map_err(|_| Fault::Unreadable { what: TOKEN })?;
    header.set_sensitive(true);
    Ok(header)
}

/// RFC 7636 §4.2.
pub(super) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, plain(verifier).as_bytes()))
}

/// What goes to the provider: code, proof key and secret to its token endpoint, the state with the browser.
#[expect(
    clippy::disallowed_methods,
    reason = "door: goes to the provider it belongs to, or into its own seal"
)]
pub(super) fn plain(secret: &Secret) -> &str {
    secret.expose_secret()
}
