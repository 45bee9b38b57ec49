//! Signing in through another OpenID provider: the browser goes there and comes back with a code.
//!
//! Somebody is known by issuer and subject, byte for byte, and by nothing else: an address proves nothing, and nobody
//! is joined to an account by it. A new person comes in where claims give rights or an invitation is open; who has an
//! account links it from a signed-in session. The provider is first asked when somebody wants to sign in, so that one
//! that is down keeps neither the broker from starting nor anybody with a password out.

mod account;
mod claims;
mod code;
mod error;
mod forwarded;
mod provider;
mod state;

use std::sync::Arc;

use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;
use url::Url;

use self::account::Way;
use self::provider::Provider;
use self::state::Flow;
use super::people::People;
use super::session::{Opened, Sessions, SignedIn};
use super::tools::Tools;
use crate::model::entropy::token;
use crate::model::event::{Action, Event, Origin};
use crate::model::person::OpenedBy;
use crate::model::principal::Actor;
use crate::model::public_url::PublicUrl;
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;
use crate::outbound::Outbound;

pub use self::error::Error;
pub use self::forwarded::{AtProxy, Forwarded, Request};
pub use self::provider::Fault;

/// Browsers that are being answered after asking the provider, in this process.
const ASKING: usize = 100;
/// How far the provider's clock may be behind ours when it tells when somebody signed in.
const LEEWAY: Duration = Duration::seconds(30);
/// Our path, of which the redirect URI is made.
const CALLBACK: &str = "/login/oidc/callback";

/// The provider, and what its claims give.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its issuer, byte for byte.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Option<Secret>,
    /// The claim that names apps.
    pub apps_claim: Option<String>,
    /// Values of it that make a superadmin.
    pub superadmin_values: Vec<String>,
    /// What reverse proxies forward; `None`: nothing is read.
    pub forwarded: Option<Forwarded>,
}

/// The browser that goes to the provider, and must be the one that comes back.
#[derive(Clone, Copy)]
pub struct Visit<'v> {
    /// Who is signed in there: then it is about a link.
    pub person: Option<&'v SignedIn>,
    /// Its cookie from before any sign-in.
    pub cookie: Option<&'v Secret>,
}

/// A sign-in that must be a new one (OpenID Connect Core 1.0 §3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The person must be asked, whatever the provider remembers of them.
    pub prompt: bool,
    /// How long ago it may be at most.
    pub max_age: Option<Duration>,
    /// The same as a time; only `auth_time` of the ID token proves that it is kept.
    pub not_before: OffsetDateTime,
}

/// What the provider's redirect brought.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// `state`, where it can be one of ours.
    pub state: Option<Ticket>,
    /// `code`.
    pub code: Option<Secret>,
    /// `error`.
    pub error: Option<String>,
    /// `error_description`.
    pub error_description: Option<String>,
    /// `iss`.
    pub iss: Option<String>,
}

/// How it ended well.
pub enum Arrival {
    /// A session, and where its browser wanted to go.
    SignedIn(Box<Opened>, Option<String>),
    /// The person's identity is linked.
    Linked(Option<String>),
}

/// Signs people in through the provider, where one is configured.
pub struct Upstreams(Option<Upstream>);

impl Upstreams {
    /// None: only passwords.
    pub fn none() -> Self {
        Self(None)
    }

    /// With this provider.
    ///
    /// # Errors
    /// Where what proxies forward cannot be read as it is set up.
    pub fn new(settings: Settings, parts: Parts) -> Result<Self, jeton_guard::OidcProxyError> {
        Ok(Self(Some(Upstream::new(settings, parts)?)))
    }

    /// The provider, where there is one.
    pub fn find(&self) -> Option<&Upstream> {
        self.0.as_ref()
    }

    /// The provider.
    ///
    /// # Errors
    /// [`Error::NotConfigured`].
    pub fn require(&self) -> Result<&Upstream, Error> {
        self.find().ok_or(Error::NotConfigured)
    }
}

/// What it works with.
pub struct Parts {
    /// Database, keys, audit trail, time and chance.
    pub tools: Tools,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Invitations.
    pub people: Arc<People>,
    /// The one HTTP client.
    pub outbound: Outbound,
    /// Where we are.
    pub public_url: PublicUrl,
}

/// One provider.
pub struct Upstream {
    settings: Settings,
    tools: Tools,
    sessions: Arc<Sessions>,
    people: Arc<People>,
    provider: Provider,
    scheme: Option<jeton_guard::OidcProxyScheme>,
    redirect_uri: String,
    name: String,
    asking: Semaphore,
}

impl Upstream {
    fn new(settings: Settings, parts: Parts) -> Result<Self, jeton_guard::OidcProxyError> {
        let Parts { tools, sessions, people, outbound, public_url } = parts;
        let provider = Provider::new(settings.issuer.clone(), outbound, Arc::clone(&tools.clock));
        let name = Url::parse(&settings.issuer).ok().and_then(|url| {
            let host = url.host_str()?.to_owned();
            Some(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
        });
        let name = name.unwrap_or_else(|| settings.issuer.clone());
        let redirect_uri = public_url.join(CALLBACK);
        let asking = Semaphore::new(ASKING);
        let forwarded = settings.forwarded.as_ref();
        let scheme = forwarded
            .map(|forwarded| forwarded::scheme(forwarded, &settings.issuer, &provider))
            .transpose()?;
        Ok(Self { scheme, settings, tools, sessions, people, provider, redirect_uri, name, asking })
    }

    /// What people call it: its host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the reverse proxy signs people out.
    pub fn proxy_logout(&self) -> Option<&str> {
        self.settings.forwarded.as_ref().and_then(|forwarded| forwarded.logout_url.as_deref())
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Notes that a browser goes to the provider; where it has to go. A renewal signs in, also who is signed in already;
    /// without one such a person links an identity.
    pub async fn start(
        &self,
        visit: Visit<'_>,
        return_to: Option<String>,
        renewal: Option<Renewal>,
        origin: Origin,
    ) -> Result<Url, Error> {
        let _turn = self.asking.try_acquire().map_err(|_| Error::Overloaded)?;
        let metadata = self.provider.metadata().await?;
        let state = self.tools.ticket();
        let verifier = Secret::new(token::<32>(&*self.tools.entropy));
        let flow = Flow { verifier, return_to, not_before: renewal.map(|renewal| renewal.not_before) };
        let browser = self.browsers(visit).into_iter().next().ok_or(Error::State)?;
        self.insert(&state, &browser, &flow, origin).await?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &metadata.scope(self.settings.apps_claim.as_deref()))
            .append_pair("state", code::plain(&state.text()))
            .append_pair("nonce", &self.nonce(&state))
            .append_pair("code_challenge", &code::challenge(&flow.verifier))
            .append_pair("code_challenge_method", "S256");
        if let Some(renewal) = renewal {
            // Without a `max_age` a provider need not tell `auth_time`.
            let max_age = if renewal.prompt { Duration::ZERO } else { renewal.max_age.unwrap_or_default() };
            url.query_pairs_mut().append_pair("max_age", &max_age.whole_seconds().to_string());
            if renewal.prompt {
                url.query_pairs_mut().append_pair("prompt", "login");
            }
        }
        Ok(url)
    }

    /// The browser comes back. Its state is used up before anything is sent anywhere.
    pub async fn finish(&self, visit: Visit<'_>, answer: Answer, origin: Origin) -> Result<Arrival, Error> {
        let _turn = self.asking.try_acquire().map_err(|_| Error::Overloaded)?;
        let state = answer.state.as_ref().ok_or(Error::State)?;
        let (linking, flow) = self.take(state, visit).await?;
        let arrived = self.arrive(visit, linking, flow, &answer, origin).await;
        if let Err(error) = &arrived
            && !matches!(error, Error::Store(_) | Error::Audit(_) | Error::Disabled)
        {
            let action =
                if matches!(error, Error::Vault(_)) { Action::SecretUnreadable } else { Action::Login };
            let event = Event::new(Actor::System, action, origin);
            self.tools.audit.record(Event { result: "refused", ..event }).await?;
        }
        arrived
    }

    async fn arrive(
        &self,
        visit: Visit<'_>,
        linking: bool,
        flow: Flow,
        answer: &Answer,
        origin: Origin,
    ) -> Result<Arrival, Error> {
        let metadata = self.provider.metadata().await?;
        match answer.iss.as_deref() {
            Some(iss) if iss != self.settings.issuer => return Err(Error::Issuer),
            None if metadata.sends_iss => return Err(Error::Issuer),
            Some(_) | None => {}
        }
        if let Some(code) = &answer.error {
            let description = answer.error_description.clone();
            return Err(Error::Denied { code: code.clone(), description });
        }
        let code = answer.code.as_ref().ok_or(Error::NoCode)?;
        let state = answer.state.as_ref().ok_or(Error::State)?;
        let told = self.redeem(&metadata, code, &flow.verifier, &self.nonce(state)).await?;
        if let Some(not_before) = flow.not_before
            && told.signed_in_at.is_none_or(|at| at < not_before - LEEWAY)
        {
            return Err(Error::NotRenewed);
        }
        let said = claims::read(&told, &self.settings);
        match visit.person.filter(|_| linking) {
            Some(person) => {
                self.link(person, &told.subject, &said, origin).await?;
                Ok(Arrival::Linked(flow.return_to))
            }
            None => {
                let former = visit.person.map(|person| person.session_id);
                let opened = self
                    .sign_in(
                        (&told.subject, &said),
                        // The click at the invitation led to the provider and back.
                        flow.return_to.as_deref().and_then(|path| path.strip_prefix("/invitations/")),
                        // Where the provider's clock is behind, not earlier than what it has just proved.
                        Way::Back(OpenedBy::Upstream(told.signed_in_at.max(flow.not_before)), former),
                        origin,
                    )
                    .await?;
                Ok(Arrival::SignedIn(Box::new(opened), flow.return_to))
            }
        }
    }
}
