//! What does Aircall do that data can't say? A token belongs to a company, which it names in a wrapper, and by
//! more than one key. It never expires, is never refreshed and can't be revoked: the definition says that.

use async_trait::async_trait;
use url::Url;

use super::declarative::Declarative;
use super::{Authorize, Connector, Error, Exchange, Probe, Revocation, Tokens};
use crate::model::connector::{Account, Credentials, Definition, Grant, Identity};
use crate::model::secret::Secret;

/// Where the company may stand in the answer, the likeliest first.
const COMPANY: [(&str, &str); 3] = [
    ("/integration/company_id", "/integration/company_name"),
    ("/integration/company_id", "/integration/name"),
    ("/company_id", "/name"),
];

/// Aircall.
#[derive(Debug)]
pub struct Aircall(Declarative);

impl Aircall {
    /// Adds Aircall's way of naming accounts to its definition.
    pub fn new(plain: Declarative) -> Self {
        Self(plain)
    }
}

#[async_trait]
impl Connector for Aircall {
    fn definition(&self) -> &Definition {
        self.0.definition()
    }

    fn authorize_url(&self, request: &Authorize<'_>) -> Result<Url, Error> {
        self.0.authorize_url(request)
    }

    async fn exchange(&self, request: &Exchange<'_>) -> Result<Grant, Error> {
        self.0.exchange(request).await
    }

    async fn refresh(&self, _: &Credentials, _: &Secret) -> Result<Grant, Error> {
        Err(Error::Definition("Aircall's tokens are permanent and have no refresh".to_owned()))
    }

    async fn revoke(&self, _: &Credentials, _: &Tokens<'_>) -> Result<Revocation, Error> {
        Ok(Revocation::Unsupported)
    }

    async fn identify(
        &self,
        credentials: &Credentials,
        access_token: &Secret,
    ) -> Result<Option<Account>, Error> {
        let Some(Identity { url, .. }) = &self.0.definition().identity else { return Ok(None) };
        self.0.account_of(credentials, access_token, url, &COMPANY).await.map(Some)
    }

    async fn probe(&self, credentials: &Credentials, access_token: &Secret) -> Result<Probe, Error> {
        self.0.probe(credentials, access_token).await
    }
}
