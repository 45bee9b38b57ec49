//! By which grant does a program get its tokens, at this or any other authorization server?
//!
//! A request for a token is repeated where the server asks for time, and where it cannot have been received; one that
//! spends a refresh token is repeated only then. A refused credential of a secret store is read once more: it may have
//! been replaced.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::assertion::AssertionKey;
use crate::broker;
use crate::error::{CredentialRefused, Error, IssuerUnreached};
use crate::patience::Patience;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::secret_store::{ServiceCredential, StoredCredential};
use crate::settings::check_scheme;
use crate::token_source::{Bearer, Mint, Ticks, TokenSource, ticks};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long all pauses of one request may last together.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a program proves who it is (RFC 6749 §2.3, RFC 7523).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientProof {
    /// `client_secret_basic`.
    Secret(Secret),
    /// `private_key_jwt`; the audience is the issuer.
    PrivateKey(Arc<AssertionKey>),
    /// It does not: a public client, which has a refresh token instead.
    None,
}

/// Where tokens come from.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The token endpoint: https, or http on loopback.
    pub token_endpoint: Url,
    /// Who asks.
    pub client_id: String,
    /// How it proves that.
    pub proof: ClientProof,
    /// What to ask for, separated by spaces.
    pub scope: Option<String>,
    /// For which resource server (RFC 8707).
    pub resource: Option<String>,
}

/// Is told each refresh token that replaces another, before the access token beside it is used.
pub type OnRotation = Arc<dyn Fn(&Secret) -> Result<(), Error> + Send + Sync>;

impl TokenSource {
    /// Tokens of a program for itself (`client_credentials`).
    ///
    /// # Errors
    /// When the endpoint is plain http to another machine, or TLS cannot be set up.
    pub fn client_credentials(grant: Grant) -> Result<Self, Error> {
        Self::client_credentials_by(grant, ticks())
    }

    /// The same by another clock.
    ///
    /// # Errors
    /// The same.
    pub fn client_credentials_by(grant: Grant, ticks: Ticks) -> Result<Self, Error> {
        Self::minted(Kind::Own(grant), ticks)
    }

    /// The same by what a secret store holds.
    ///
    /// # Errors
    /// The same.
    pub fn stored(credential: Arc<StoredCredential>) -> Result<Self, Error> {
        Self::minted(Kind::Stored { credential, resource: None }, ticks())
    }

    /// The same for another resource server than the one that the credential names.
    ///
    /// # Errors
    /// The same.
    pub fn stored_for(credential: Arc<StoredCredential>, resource: &str) -> Result<Self, Error> {
        Self::minted(Kind::Stored { credential, resource: Some(resource.to_owned()) }, ticks())
    }

    /// Tokens for a user who gave this client a refresh token. A server may replace it with each answer: `on_rotation`
    /// keeps the new one; without it, it lives as long as this process.
    ///
    /// # Errors
    /// The same.
    pub fn refresh_token(
        grant: Grant,
        token: Secret,
        on_rotation: Option<OnRotation>,
    ) -> Result<Self, Error> {
        let kind = Kind::User { grant, token: Mutex::new(token), on_rotation };
        Self::minted(kind, ticks())
    }

    fn minted(kind: Kind, ticks: Ticks) -> Result<Self, Error> {
        match &kind {
            Kind::Own(grant) | Kind::User { grant, .. } => check_scheme(&grant.token_endpoint, false)?,
            Kind::Stored { credential, .. } => check_scheme(&credential.current().token_endpoint, false)?,
        }
        let mint = Minter { http: broker::http_client(TIMEOUT)?, kind, ticks: Arc::clone(&ticks) };
        Ok(Self::of(Arc::new(mint), true, ticks))
    }
}

enum Kind {
    Own(Grant),
    Stored { credential: Arc<StoredCredential>, resource: Option<String> },
    User { grant: Grant, token: Mutex<Secret>, on_rotation: Option<OnRotation> },
}

struct Minter {
    http: reqwest::Client,
    kind: Kind,
    ticks: Ticks,
}

impl Mint for Minter {
    fn token(self: Arc<Self>, _refused: Option<Secret>) -> BoxFuture<'static, Result<Arc<Bearer>, Error>> {
        async move {
            match &self.kind {
                Kind::Own(grant) => self.own(grant).await,
                Kind::Stored { credential, resource } => self.by_store(credential, resource.as_deref()).await,
                Kind::User { grant, token, on_rotation } => {
                    self.of_user(grant, token, on_rotation.as_ref()).await
                }
            }
        }
        .boxed()
    }
}

impl Minter {
    async fn own(&self, grant: &Grant) -> Result<Arc<Bearer>, Error> {
        let asked = Asked { http: &self.http, grant, grant_type: "client_credentials", more: vec![] };
        let mut patience = Patience::new(3, PATIENCE, Duration::from_millis(250));
        asked.send(&mut patience, &self.ticks, |_| true).await?.bearer()
    }

    async fn by_store(
        &self,
        credential: &StoredCredential,
        resource: Option<&str>,
    ) -> Result<Arc<Bearer>, Error> {
        let grant = |used: &ServiceCredential| {
            let grant = Grant::of(used);
            Grant { resource: resource.map(str::to_owned).or(grant.resource.clone()), ..grant }
        };
        let used = credential.current();
        let asked = self.own(&grant(&used)).await.map_err(unreached(credential, &used));
        if is_replaced(credential, &used, &asked).await? {
            let fresh = credential.current();
            let asked = self.own(&grant(&fresh)).await.map_err(unreached(credential, &fresh));
            return asked.map_err(refused(credential));
        }
        asked.map_err(refused(credential))
    }

    async fn of_user(
        &self,
        grant: &Grant,
        token: &Mutex<Secret>,
        on_rotation: Option<&OnRotation>,
    ) -> Result<Arc<Bearer>, Error> {
        let spent = token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let more = vec![("refresh_token", spent)];
        let asked = Asked { http: &self.http, grant, grant_type: "refresh_token", more };
        let mut patience = Patience::new(3, PATIENCE, Duration::from_millis(250));
        // What may have been received is not sent again: reuse would end the grant.
        let answer = asked.send(&mut patience, &self.ticks, reqwest::Error::is_connect).await?;
        // RFC 6749 §6: where none comes, the old one goes on.
        if let Some(fresh) = &answer.refresh_token {
            *token.lock().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
            on_rotation.map_or(Ok(()), |keep| keep(fresh))?;
        }
        answer.bearer()
    }
}

/// Names whom a stored credential leads to, where nobody is there.
pub(crate) fn unreached(
    credential: &StoredCredential,
    used: &ServiceCredential,
) -> impl FnOnce(Error) -> Error {
    let (reference, issuer) = (credential.reference().clone(), used.issuer.clone());
    move |error| match error {
        Error::Transport(source) => {
            Error::IssuerUnreached(Box::new(IssuerUnreached { reference, issuer, source }))
        }
        other => other,
    }
}

/// Names where a stored credential is that was not taken.
pub(crate) fn refused(credential: &StoredCredential) -> impl FnOnce(Error) -> Error {
    let reference = credential.reference().clone();
    move |error| match error {
        Error::Problem(problem) if problem.code == "invalid_client" => {
            Error::CredentialRefused(Box::new(CredentialRefused { reference, problem: *problem }))
        }
        other => other,
    }
}

/// Whether the credential that was used is refused and a newer one is there.
pub(crate) async fn is_replaced(
    credential: &StoredCredential,
    used: &ServiceCredential,
    asked: &Result<Arc<Bearer>, Error>,
) -> Result<bool, Error> {
    match asked {
        Err(Error::Problem(problem)) if problem.code == "invalid_client" => {
            Ok(credential.reload(used).await?)
        }
        _ => Ok(false),
    }
}

impl Grant {
    fn of(credential: &ServiceCredential) -> Self {
        Self {
            token_endpoint: credential.token_endpoint.clone(),
            client_id: credential.client_id.clone(),
            proof: ClientProof::Secret(credential.client_secret.clone()),
            scope: credential.scope.clone(),
            resource: credential.audience.clone(),
        }
    }
}

/// A request for a token.
pub(crate) struct Asked<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) grant: &'a Grant,
    pub(crate) grant_type: &'static str,
    pub(crate) more: Vec<(&'static str, Secret)>,
}

/// An answer of a token endpoint, and when it was asked for.
pub(crate) struct Answered {
    access_token: Secret,
    refresh_token: Option<Secret>,
    lifetime: Duration,
    sent_at: Instant,
}

impl Answered {
    pub(crate) fn bearer(self) -> Result<Arc<Bearer>, Error> {
        Bearer::new(self.access_token, self.lifetime, self.sent_at)
    }
}

#[derive(Deserialize)]
struct Body {
    access_token: Secret,
    token_type: Option<String>,
    #[serde(default)]
    expires_in: u64,
    refresh_token: Option<Secret>,
}

impl Asked<'_> {
    /// `repeats` says whether a request that failed so may be sent again.
    pub(crate) async fn send(
        &self,
        patience: &mut Patience,
        ticks: &Ticks,
        repeats: impl Fn(&reqwest::Error) -> bool,
    ) -> Result<Answered, Error> {
        loop {
            let sent_at = ticks();
            let pause = match broker::exchange(self.request()?).await {
                Ok(answer) if answer.status == 200 => {
                    let body: Body = answer.parse("token")?;
                    return body.answered(sent_at);
                }
                Ok(answer) => {
                    let problem = Problem::read_oauth(answer.status, answer.retry_after, &answer.body);
                    let again = answer.asks_to_wait().then(|| patience.pause(answer.retry_after)).flatten();
                    again.ok_or_else(|| Error::from(problem))?
                }
                Err(Error::Transport(error)) if repeats(&error) => {
                    patience.pause(None).ok_or(Error::Transport(error))?
                }
                Err(error) => return Err(error),
            };
            tokio::time::sleep(pause).await;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "secrets go into the request to the token endpoint")]
    fn request(&self) -> Result<reqwest::RequestBuilder, Error> {
        let grant = self.grant;
        let mut form = vec![("grant_type", self.grant_type.to_owned())];
        form.extend(self.more.iter().map(|(name, value)| (*name, value.expose_secret().to_owned())));
        form.extend(grant.scope.clone().map(|scope| ("scope", scope)));
        form.extend(grant.resource.clone().map(|resource| ("resource", resource)));
        let request = self.http.post(grant.token_endpoint.clone());
        Ok(match &grant.proof {
            ClientProof::Secret(secret) => {
                // RFC 6749 §2.3.1: both parts are form-urlencoded before they are joined.
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                request.form(&form).basic_auth(encode(&grant.client_id), Some(encode(secret.expose_secret())))
            }
            ClientProof::PrivateKey(key) => {
                form.push(("client_assertion_type", crate::assertion::TYPE.to_owned()));
                form.push(("client_assertion", key.assertion(&grant.client_id)?.expose_secret().to_owned()));
                request.form(&form)
            }
            ClientProof::None => {
                form.push(("client_id", grant.client_id.clone()));
                request.form(&form)
            }
        })
    }
}

impl Body {
    #[expect(clippy::disallowed_methods, reason = "looks at characters: none may leave its header")]
    fn answered(self, sent_at: Instant) -> Result<Answered, Error> {
        let is_token = |token: &Secret| {
            !token.expose_secret().is_empty() && token.expose_secret().bytes().all(|b| b.is_ascii_graphic())
        };
        let is_bearer = self.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !is_bearer
            || ![Some(&self.access_token), self.refresh_token.as_ref()].into_iter().flatten().all(is_token)
        {
            return Err(Error::Garbled("token"));
        }
        // A server that says more than a year is taken to say one.
        let lifetime = Duration::from_secs(self.expires_in.min(365 * 86_400));
        Ok(Answered { access_token: self.access_token, refresh_token: self.refresh_token, lifetime, sent_at })
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
