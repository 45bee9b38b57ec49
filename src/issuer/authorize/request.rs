//! What a client asks through a browser, once it is known to be good.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use time::{Duration, OffsetDateTime};

use crate::identity::upstream::Renewal;
use crate::model::client::{Client, ClientId};
use crate::model::description::Description;
use crate::model::grant::{GrantType, GrantedScope};
use crate::model::principal::UserId;
use crate::model::query::query;
use crate::model::secret::Secret;
use crate::model::uri::RedirectUri;

use super::super::target::{Target, within};
use super::super::{Error, Issuer};

/// The longest `state` and `nonce`, in bytes.
const MAX_OPAQUE: usize = 2_000;
/// How long after a request a sign-in still counts as made for it.
const ANSWERED_WITHIN: Duration = Duration::hours(1);

/// The parameters we know, as they came; one without a value counts as left out.
#[derive(Clone, Debug, Default)]
pub struct AuthorizationParams {
    /// `client_id`
    pub client_id: Option<String>,
    /// `redirect_uri`
    pub redirect_uri: Option<String>,
    /// `response_type`
    pub response_type: Option<String>,
    /// `response_mode`
    pub response_mode: Option<String>,
    /// `scope`
    pub scope: Option<String>,
    /// `state`
    pub state: Option<String>,
    /// `code_challenge`
    pub code_challenge: Option<String>,
    /// `code_challenge_method`
    pub code_challenge_method: Option<String>,
    /// `nonce`
    pub nonce: Option<String>,
    /// `prompt`
    pub prompt: Option<String>,
    /// `max_age`
    pub max_age: Option<String>,
    /// `id_token_hint`, until it is read.
    pub id_token_hint: Option<Secret>,
    /// `expected`, of our own: whom the hint named.
    pub expected: Option<String>,
    /// `asked_at`, of our own: when the request came, in links that lead back to it after a sign-in.
    pub asked_at: Option<String>,
    /// `resource`
    pub resource: Option<String>,
    /// `request`
    pub request: Option<String>,
    /// `request_uri`
    pub request_uri: Option<String>,
    /// One of them came twice, and counts as left out.
    pub repeated: bool,
}

/// A request that may be answered.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    pub(in crate::issuer) client: Client,
    pub(in crate::issuer) redirect_uri: String,
    pub(in crate::issuer) target: Target,
    pub(in crate::issuer) scope: GrantedScope,
    pub(in crate::issuer) code_challenge: String,
    pub(in crate::issuer) nonce: Option<String>,
    issuer: String,
    state: Option<String>,
    prompt: Prompt,
    max_age: Option<Duration>,
    expected: Option<UserId>,
    asked_at: OffsetDateTime,
    is_back: bool,
}

/// What the client wants to be shown (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default)]
struct Prompt {
    none: bool,
    login: bool,
    consent: bool,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The client or its address cannot be trusted: told to the person, and nobody is sent anywhere.
    #[error("{0}")]
    Shown(&'static str),
    /// Told to the client, at its registered address (RFC 6749 §4.1.2.1).
    #[error("the client is told {code}")]
    Sent {
        /// The error.
        code: &'static str,
        /// Where the browser goes.
        location: String,
    },
    /// It could not be judged.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Issuer {
    /// Judges an authorization request: client and address first, which decide whether the client may be told the rest.
    pub async fn authorization_request(
        &self,
        params: &AuthorizationParams,
    ) -> Result<AuthorizationRequest, Refusal> {
        let id = params.client_id.as_deref().ok_or(Refusal::Shown("The link names no application."))?;
        let unknown = Refusal::Shown("The application that sent you here is not known, or was disabled.");
        let Some(id) = ClientId::parse(id) else { return Err(unknown) };
        let Some(client) = self.store.conn().find_client(&id).await.map_err(Error::from)? else {
            return Err(unknown);
        };
        let client = self.vault.check(client).map_err(Error::from)?;
        if client.disabled {
            return Err(unknown);
        }
        let redirect_uri = params.redirect_uri.as_deref().unwrap_or_default();
        if !client.redirect_uris.iter().any(|own: &RedirectUri| own.accepts(redirect_uri)) {
            return Err(Refusal::Shown(
                "The address this application wants you to be sent back to (`redirect_uri`) is not registered for it.",
            ));
        }
        let draft = Draft { params, issuer: self.url(), redirect_uri };
        draft.check_manner(&client)?;
        let target = match self.target(&client, params.resource.as_deref()).await {
            Ok(target) => target,
            Err(Error::InvalidTarget) => {
                return Err(draft.refuse("invalid_target", "no resource of this client"));
            }
            Err(other) => return Err(other.into()),
        };
        let scope = within(target.available(&client), params.scope.as_deref());
        let now = self.clock.now();
        let asked_at = draft.asked_at(now);
        let wrong = |_| draft.refuse("invalid_scope", "malformed, unknown or not granted to this client");
        Ok(AuthorizationRequest {
            redirect_uri: redirect_uri.to_owned(),
            scope: scope.map_err(wrong)?,
            code_challenge: draft.code_challenge()?,
            nonce: params.nonce.clone(),
            issuer: self.url().to_owned(),
            state: params.state.clone(),
            prompt: draft.prompt()?,
            max_age: draft.max_age()?,
            expected: draft.expected()?,
            asked_at: asked_at.unwrap_or(now),
            is_back: asked_at.is_some(),
            client,
            target,
        })
    }
}

impl AuthorizationRequest {
    /// Who asks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the browser goes in the end.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// For which other resource server.
    pub fn resource(&self) -> Option<&str> {
        self.target.uri().map(crate::model::uri::ResourceUri::as_str)
    }

    /// Whether a person who signed in then, as far as that is known, must do it again.
    pub(super) fn needs_sign_in(&self, signed_in_at: Option<OffsetDateTime>) -> bool {
        if self.prompt.login && !self.is_back {
            return true;
        }
        self.renewal().is_some_and(|renewal| signed_in_at.is_none_or(|at| at < renewal.not_before))
    }

    /// Whether this is the person whom the client expects; it need not expect anybody.
    pub(super) fn is_for(&self, user: UserId) -> bool {
        self.expected.is_none_or(|expected| expected == user)
    }

    /// Whether somebody else than the client expects came back from the sign-in.
    pub(super) fn is_back_without(&self, user: UserId) -> bool {
        self.is_back && !self.is_for(user)
    }

    /// The new sign-in that is asked for.
    pub fn renewal(&self) -> Option<Renewal> {
        let oldest = self.max_age.map(|age| self.asked_at - age);
        let not_before = if self.prompt.login { Some(self.asked_at) } else { oldest };
        not_before.map(|not_before| Renewal { prompt: self.prompt.login, max_age: self.max_age, not_before })
    }

    /// When it came, for a link that leads back to it.
    pub fn asked_at(&self) -> String {
        self.asked_at.unix_timestamp().to_string()
    }

    pub(super) fn may_ask(&self) -> bool {
        !self.prompt.none
    }

    pub(super) fn asks_for_consent(&self) -> bool {
        self.prompt.consent
    }

    /// It does not fit into the links that lead through a sign-in and back.
    pub fn too_long(&self) -> Refusal {
        self.refuse("invalid_request", "longer than a link may be: make state or nonce shorter")
    }

    /// Tells the client an error.
    pub(super) fn refuse(&self, code: &'static str, description: &str) -> Refusal {
        let location = answer(
            &self.redirect_uri,
            &self.issuer,
            self.state.as_deref(),
            &[("error", code), ("error_description", Description::new(description).as_str())],
        );
        Refusal::Sent { code, location }
    }

    #[expect(clippy::disallowed_methods, reason = "door: the code goes to the client through the browser")]
    pub(super) fn answer(&self, code: &Secret) -> String {
        let code = [("code", code.expose_secret())];
        answer(&self.redirect_uri, &self.issuer, self.state.as_deref(), &code)
    }
}

/// A request whose client and address are good.
struct Draft<'p> {
    params: &'p AuthorizationParams,
    issuer: &'p str,
    redirect_uri: &'p str,
}

impl Draft<'_> {
    fn check_manner(&self, client: &Client) -> Result<(), Refusal> {
        let params = self.params;
        let too_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > MAX_OPAQUE);
        if params.repeated {
            return Err(self.refuse("invalid_request", "a parameter is repeated, or not well formed"));
        }
        if params.request.is_some() {
            return Err(self.refuse("request_not_supported", "send the parameters themselves"));
        }
        if params.request_uri.is_some() {
            return Err(self.refuse("request_uri_not_supported", "send the parameters themselves"));
        }
        match params.response_type.as_deref() {
            Some("code") => {}
            Some(_) => return Err(self.refuse("unsupported_response_type", "only `code`")),
            None => return Err(self.refuse("invalid_request", "response_type is missing")),
        }
        if params.response_mode.as_deref().is_some_and(|mode| mode != "query") {
            return Err(self.refuse("invalid_request", "only response_mode `query`"));
        }
        if too_long(&params.state) || too_long(&params.nonce) {
            return Err(self.refuse("invalid_request", "state or nonce is longer than 2000 bytes"));
        }
        if !client.may_use(GrantType::AuthorizationCode) {
            return Err(self.refuse("unauthorized_client", "this client may not use this grant"));
        }
        Ok(())
    }

    fn code_challenge(&self) -> Result<String, Refusal> {
        if self.params.code_challenge_method.as_deref() != Some("S256") {
            return Err(self.refuse("invalid_request", "PKCE is required: code_challenge_method S256"));
        }
        // To the last bit, as the hash of a verifier is written: others are the hash of none.
        let good = |text: &&String| URL_SAFE_NO_PAD.decode(text).is_ok_and(|hash| hash.len() == 32);
        let challenge = self.params.code_challenge.as_ref().filter(good);
        challenge
            .cloned()
            .ok_or_else(|| self.refuse("invalid_request", "code_challenge is no S256 challenge"))
    }

    fn prompt(&self) -> Result<Prompt, Refusal> {
        let mut prompt = Prompt::default();
        for word in self.params.prompt.as_deref().unwrap_or_default().split(' ').filter(|w| !w.is_empty()) {
            match word {
                "none" => prompt.none = true,
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => return Err(self.refuse("invalid_request", "prompt holds an unknown value")),
            }
        }
        if prompt.none && (prompt.login || prompt.consent) {
            return Err(self.refuse("invalid_request", "prompt `none` stands alone"));
        }
        Ok(prompt)
    }

    fn max_age(&self) -> Result<Option<Duration>, Refusal> {
        let Some(text) = &self.params.max_age else { return Ok(None) };
        match text.parse::<u32>() {
            Ok(seconds) => Ok(Some(Duration::seconds(seconds.into()))),
            Err(_) => Err(self.refuse("invalid_request", "max_age is no number of seconds")),
        }
    }

    fn expected(&self) -> Result<Option<UserId>, Refusal> {
        let Some(text) = &self.params.expected else { return Ok(None) };
        match text.parse() {
            Ok(id) => Ok(Some(UserId(id))),
            Err(_) => {
                Err(self.refuse("invalid_request", "id_token_hint is no ID token of ours for this client"))
            }
        }
    }

    /// A request is answered within an hour, or it begins again.
    fn asked_at(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let seconds = self.params.asked_at.as_ref()?.parse().ok()?;
        let at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        (at <= now && now - at <= ANSWERED_WITHIN).then_some(at)
    }

    fn refuse(&self, code: &'static str, description: &str) -> Refusal {
        let state = self.params.state.as_deref().filter(|state| state.len() <= MAX_OPAQUE);
        let description = Description::new(description);
        let fields = [("error", code), ("error_description", description.as_str())];
        Refusal::Sent { code, location: answer(self.redirect_uri, self.issuer, state, &fields) }
    }
}

/// The registered address, as it is, with the answer behind (RFC 6749 §4.1.2, RFC 9207 §2).
fn answer(redirect_uri: &str, issuer: &str, state: Option<&str>, fields: &[(&str, &str)]) -> String {
    let state = state.map(|state| ("state", state));
    let query = query(fields.iter().copied().chain(state).chain([("iss", issuer)]));
    let separator = match redirect_uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{redirect_uri}{separator}{query}")
}
