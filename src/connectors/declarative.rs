//! How does a definition become a connector? One that speaks plain OAuth needs no code of its own.

mod client_auth;
mod reading;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;
use url::Url;

pub(super) use self::client_auth::{basic, open};
use super::{Authorize, Connector, Error, Exchange, Probe, Revocation, Tokens, answer};
use crate::model::connector::{Account, Credentials, Definition, Grant, Identity, TokenAuth, fill};
use crate::model::secret::Secret;
use crate::outbound::{self, Outbound, Trust};

/// Asking for a lifetime delays storing a grant that may already have spent its predecessor: it gets little.
const INTROSPECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// A second call within one method is made only when it can still be answered in the method's time.
const WORTH_SENDING: Duration = Duration::from_secs(1);

/// A connector made of its definition alone.
#[derive(Debug)]
pub struct Declarative {
    definition: Arc<Definition>,
    outbound: Outbound,
    trust: Trust,
}

impl Declarative {
    /// Runs a definition over the network; `trust` tells who wrote it.
    pub fn new(definition: Arc<Definition>, outbound: Outbound, trust: Trust) -> Self {
        Self { definition, outbound, trust }
    }

    /// Fills a URL template. Values are checked at the door too; here once more, since a row may have been
    /// changed behind our back and a secret is about to go there.
    pub(super) fn address(&self, template: &str, credentials: &Credentials) -> Result<Url, Error> {
        let declared = |name: &&String| self.definition.url_variables.contains_key(*name);
        let values: BTreeMap<String, String> = credentials
            .variables
            .iter()
            .filter(|(name, _)| declared(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        if let Err(violations) = self.definition.check_variables(&values) {
            let names: Vec<_> =
                violations.into_iter().map(|v| format!("{} {}", v.pointer, v.detail)).collect();
            return Err(Error::Definition(names.join("; ")));
        }
        fill(template, &values).map_err(Error::Definition)
    }

    /// One call, with what all calls share.
    pub(super) async fn call(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<outbound::Response, Error> {
        let mut headers = headers;
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let request =
            outbound::Request { method, url, headers, body, trust: self.trust, timeout: Some(timeout) };
        Ok(self.outbound.send(request).await?)
    }

    /// A GET with the access token as bearer (RFC 6750 §2.1).
    async fn ask(&self, url: Url, access_token: &Secret) -> Result<outbound::Response, Error> {
        let headers = HeaderMap::from_iter([(
            AUTHORIZATION,
            client_auth::authorization("Bearer", open(access_token))?,
        )]);
        self.call(Method::GET, url, headers, Vec::new(), self.timeout()).await
    }

    /// A form to an endpoint that authenticates us as the token endpoint does.
    async fn post_form(
        &self,
        template: &str,
        credentials: &Credentials,
        secret: Option<&Secret>,
        fields: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<outbound::Response, Error> {
        let url = self.address(template, credentials)?;
        let (headers, body) =
            client_auth::form(self.definition.token_auth, &credentials.client_id, secret, fields)?;
        self.call(Method::POST, url, headers, body, timeout).await
    }

    /// The previous secret and the time left for it, after a definite refusal of the current one.
    pub(super) fn second_secret<'c>(
        &self,
        credentials: &'c Credentials,
        error: &Error,
        started: Instant,
    ) -> Option<(&'c Secret, Duration)> {
        let Error::ClientRejected { code } = error else { return None };
        let left = self.outbound.timeout().saturating_sub(started.elapsed());
        let secret_is_wrong = !code.eq_ignore_ascii_case("unauthorized_client");
        let previous = credentials.previous_secret.as_ref()?;
        (secret_is_wrong && self.definition.token_auth != TokenAuth::None && left >= WORTH_SENDING)
            .then_some((previous, left))
    }

    /// How long one call may take.
    pub(super) fn timeout(&self) -> Duration {
        self.outbound.timeout()
    }

    async fn spend(
        &self,
        credentials: &Credentials,
        secret: Option<&Secret>,
        refresh_token: &Secret,
        timeout: Duration,
    ) -> Result<Grant, Error> {
        let started = Instant::now();
        let grant = token::refresh(self, credentials, secret, refresh_token, timeout).await?;
        Ok(self.with_lifetime(credentials, secret, grant, timeout.saturating_sub(started.elapsed())).await)
    }

    /// Asks once for a lifetime the answer did not name (RFC 7662). A failure costs the lifetime, never the
    /// grant.
    async fn with_lifetime(
        &self,
        credentials: &Credentials,
        secret: Option<&Secret>,
        mut grant: Grant,
        left: Duration,
    ) -> Grant {
        if let (None, Some(url)) = (grant.expires_in, &self.definition.introspection_url) {
            let fields = [("token", open(&grant.access_token)), ("token_type_hint", "access_token")];
            let timeout = left.min(INTROSPECTION_TIMEOUT);
            let asked = self.post_form(url, credentials, secret, &fields, timeout).await;
            grant.expires_in = asked.ok().and_then(|response| reading::remaining_life(&response));
        }
        grant
    }

    /// Asks whose account a token belongs to: the first of `names` (pointers to id and label) that is whole,
    /// else the first with an id.
    pub(super) async fn account_of(
        &self,
        credentials: &Credentials,
        access_token: &Secret,
        template: &str,
        names: &[(&str, &str)],
    ) -> Result<Account, Error> {
        let response = self.ask(self.address(template, credentials)?, access_token).await?;
        let retry_after = answer::retry_after(&response.headers);
        match response.status {
            200..=299 => reading::account(&response, names).ok_or_else(|| Error::Ambiguous {
                detail: "the answer names no account".to_owned(),
                retry_after: None,
            }),
            429 => Err(Error::RateLimited { retry_after }),
            status @ (401 | 403) if !is_rate_limit(&response) => {
                Err(Error::RequestRejected { status, code: "access_token_rejected".to_owned() })
            }
            status => Err(Error::Ambiguous {
                detail: format!("status {status} when asked for the account"),
                retry_after,
            }),
        }
    }

    async fn revoke_one(
        &self,
        url: &str,
        credentials: &Credentials,
        secret: Option<&Secret>,
        fields: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<(), Error> {
        let response = self.post_form(url, credentials, secret, fields, timeout).await?;
        match answer::read_status(response.status, &response.headers, &response.body, &self.definition) {
            // Gone already: what was wanted. Google and Salesforce call it `invalid_token`, against RFC 7009 §2.2.
            Err(Error::Refused { .. }) => Ok(()),
            Err(Error::RequestRejected { code, .. }) if code.eq_ignore_ascii_case("invalid_token") => Ok(()),
            read => read,
        }
    }
}

#[async_trait]
impl Connector for Declarative {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn authorize_url(&self, request: &Authorize<'_>) -> Result<Url, Error> {
        token::authorize_url(self, request)
    }

    /// With the current secret alone: an authorization code is never sent twice.
    async fn exchange(&self, request: &Exchange<'_>) -> Result<Grant, Error> {
        let (started, credentials) = (Instant::now(), request.credentials);
        let grant = token::exchange(self, request).await?;
        let left = self.timeout().saturating_sub(started.elapsed());
        Ok(self.with_lifetime(credentials, credentials.client_secret.as_ref(), grant, left).await)
    }

    async fn refresh(&self, credentials: &Credentials, refresh_token: &Secret) -> Result<Grant, Error> {
        let (started, current) = (Instant::now(), credentials.client_secret.as_ref());
        let error = match self.spend(credentials, current, refresh_token, self.timeout()).await {
            Ok(grant) => return Ok(grant),
            Err(error) => error,
        };
        match self.second_secret(credentials, &error, started) {
            Some((secret, left)) => self.spend(credentials, Some(secret), refresh_token, left).await,
            None => Err(error),
        }
    }

    async fn revoke(&self, credentials: &Credentials, tokens: &Tokens<'_>) -> Result<Revocation, Error> {
        let Some(url) = &self.definition.revocation_url else { return Ok(Revocation::Unsupported) };
        // The refresh token first: it is the one that could make new ones.
        for (token, hint) in [(tokens.refresh_token, "refresh_token"), (tokens.access_token, "access_token")]
        {
            let Some(token) = token else { continue };
            let fields = [("token", open(token)), ("token_type_hint", hint)];
            let (started, current) = (Instant::now(), credentials.client_secret.as_ref());
            if let Err(error) = self.revoke_one(url, credentials, current, &fields, self.timeout()).await {
                match self.second_secret(credentials, &error, started) {
                    Some((secret, left)) => {
                        self.revoke_one(url, credentials, Some(secret), &fields, left).await?
                    }
                    None => return Err(error),
                }
            }
        }
        Ok(Revocation::Revoked)
    }

    async fn identify(
        &self,
        credentials: &Credentials,
        access_token: &Secret,
    ) -> Result<Option<Account>, Error> {
        let Some(Identity { url, id, label }) = &self.definition.identity else { return Ok(None) };
        self.account_of(credentials, access_token, url, &[(id, label)]).await.map(Some)
    }

    async fn probe(&self, credentials: &Credentials, access_token: &Secret) -> Result<Probe, Error> {
        let identity = self.definition.identity.as_ref().map(|identity| &identity.url);
        let Some(template) = self.definition.probe_url.as_ref().or(identity) else {
            return Ok(Probe::Unknown);
        };
        let response = self.ask(self.address(template, credentials)?, access_token).await?;
        Ok(match response.status {
            200..=299 => Probe::Works,
            401 | 403 if !is_rate_limit(&response) => Probe::Rejected,
            _ => Probe::Unknown,
        })
    }
}

impl From<outbound::Error> for Error {
    fn from(error: outbound::Error) -> Self {
        match error {
            outbound::Error::Refused(refusal) => Self::NotSent { detail: refusal.to_string() },
            outbound::Error::NotSent { detail } => Self::NotSent { detail },
            outbound::Error::Ambiguous { detail } => Self::Ambiguous { detail, retry_after: None },
        }
    }
}

/// A 403 may speak of the caller's rate and not of the token (GitHub).
fn is_rate_limit(response: &outbound::Response) -> bool {
    response.headers.contains_key(RETRY_AFTER)
        || response.headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0")
}

#[cfg(test)]
mod tests;
