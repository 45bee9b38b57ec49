//! What does GitHub do that data can't say? It revokes by its own call. For OAuth Apps and user tokens of
//! GitHub Apps alike.

use std::time::Duration;

use async_trait::async_trait;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;
use url::Url;

use super::declarative::{Declarative, basic, open};
use super::{Authorize, Connector, Error, Exchange, Probe, Revocation, Tokens, answer};
use crate::model::connector::{Account, Credentials, Definition, Grant};
use crate::model::secret::Secret;

/// GitHub.
#[derive(Debug)]
pub struct GitHub(Declarative);

impl GitHub {
    /// Adds GitHub's revocation to its definition.
    pub fn new(plain: Declarative) -> Self {
        Self(plain)
    }

    /// `/applications/{client_id}/token` under the API's address. Its neighbour `/grant` would kill the tokens
    /// of every connection of this account, so it is never called.
    fn revocation(&self, credentials: &Credentials) -> Result<Option<Url>, Error> {
        let Some(base) = &self.0.definition().api_base_url else { return Ok(None) };
        let mut url = self.0.address(base, credentials)?;
        url.path_segments_mut()
            .map_err(|()| Error::Definition("`api_base_url` has no path".to_owned()))?
            .pop_if_empty()
            .extend(["applications", &credentials.client_id, "token"]);
        Ok(Some(url))
    }

    async fn delete(
        &self,
        url: &Url,
        credentials: &Credentials,
        secret: Option<&Secret>,
        token: &Secret,
        timeout: Duration,
    ) -> Result<(), Error> {
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        headers.extend([basic(&credentials.client_id, secret.map_or("", open))?]);
        let body = serde_json::json!({ "access_token": open(token) }).to_string().into_bytes();
        let response = self.0.call(Method::DELETE, url.clone(), headers, body, timeout).await?;
        let retry_after = answer::retry_after(&response.headers);
        match response.status {
            // 404 and 422: GitHub knows no such token (any more).
            200..=299 | 404 | 422 => Ok(()),
            401 => Err(Error::ClientRejected { code: "bad_credentials".to_owned() }),
            429 => Err(Error::RateLimited { retry_after }),
            status => {
                Err(Error::Ambiguous { detail: format!("status {status} when asked to revoke"), retry_after })
            }
        }
    }
}

#[async_trait]
impl Connector for GitHub {
    fn definition(&self) -> &Definition {
        self.0.definition()
    }

    fn authorize_url(&self, request: &Authorize<'_>) -> Result<Url, Error> {
        self.0.authorize_url(request)
    }

    async fn exchange(&self, request: &Exchange<'_>) -> Result<Grant, Error> {
        self.0.exchange(request).await
    }

    async fn refresh(&self, credentials: &Credentials, refresh_token: &Secret) -> Result<Grant, Error> {
        self.0.refresh(credentials, refresh_token).await
    }

    async fn revoke(&self, credentials: &Credentials, tokens: &Tokens<'_>) -> Result<Revocation, Error> {
        let (Some(url), Some(token)) = (self.revocation(credentials)?, tokens.access_token) else {
            return Ok(Revocation::Unsupported);
        };
        let (started, current) = (Instant::now(), credentials.client_secret.as_ref());
        let error = match self.delete(&url, credentials, current, token, self.0.timeout()).await {
            Ok(()) => return Ok(Revocation::Revoked),
            Err(error) => error,
        };
        match self.0.second_secret(credentials, &error, started) {
            Some((secret, left)) => {
                self.delete(&url, credentials, Some(secret), token, left).await.map(|()| Revocation::Revoked)
            }
            None => Err(error),
        }
    }

    async fn identify(
        &self,
        credentials: &Credentials,
        access_token: &Secret,
    ) -> Result<Option<Account>, Error> {
        self.0.identify(credentials, access_token).await
    }

    async fn probe(&self, credentials: &Credentials, access_token: &Secret) -> Result<Probe, Error> {
        self.0.probe(credentials, access_token).await
    }
}

#[cfg(test)]
mod tests;
