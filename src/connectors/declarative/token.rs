//! How are the authorization request, the code exchange and the refresh written? By the `oauth2` crate, over
//! our own client.
//!
//! The crate builds the requests. It takes any status but 200, other content types and odd lifetimes for
//! errors, so it is handed either our typed error or an answer in the one form it knows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::{Authorize, Declarative, Error, Exchange, answer, open};
use crate::connectors::answer::AskedFor;
use crate::model::connector::{Credentials, Format, Grant, Pkce, TokenAuth};
use crate::model::secret::Secret;

/// What our grants have beyond the crate's answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Extra {
    refresh_expires_in: Option<i64>,
    extra: BTreeMap<String, Value>,
}

impl ExtraTokenFields for Extra {}

type Answer = StandardTokenResponse<Extra, BasicTokenType>;

type Client<Auth = EndpointNotSet, Token = EndpointNotSet> = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    Auth,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    Token,
>;

/// Our client, as the crate wants it.
struct Wire<'a> {
    connector: &'a Declarative,
    asked: AskedFor,
    timeout: Duration,
}

impl<'c> AsyncHttpClient<'c> for Wire<'_> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Wire<'_> {
    /// Sends what the crate built, in the definition's format, and reads what came.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let definition = &self.connector.definition;
        let (parts, form) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| Error::Definition(error.to_string()))?;
        let mut headers = parts.headers;
        for (name, value) in &mut headers {
            value.set_sensitive(name == AUTHORIZATION);
        }
        let body = match definition.token_format {
            Format::Form => form,
            Format::Json => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                as_json(&form)
            }
        };
        let sent = body.clone();
        let response = self.connector.call(Method::POST, url, headers, body, self.timeout).await?;
        let read = answer::read(response.status, &response.headers, &response.body, definition, self.asked);
        canonical(&read.map_err(|error| withhold_echo(error, &sent))?)
    }
}

/// The address to send the browser to.
pub(super) fn authorize_url(connector: &Declarative, request: &Authorize<'_>) -> Result<Url, Error> {
    let definition = &connector.definition;
    let credentials = request.credentials;
    let url = connector.address(&definition.authorization_url, credentials)?;
    let client: Client<EndpointSet> =
        Client::new(ClientId::new(credentials.client_id.clone())).set_auth_uri(AuthUrl::from_url(url));
    let state = open(request.state).to_owned();
    let mut flow = client
        .authorize_url(|| CsrfToken::new(state))
        .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(request.redirect_uri.clone())));
    if definition.pkce == Pkce::S256 {
        flow = flow
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier(request.verifier)?));
    }
    let scopes = credentials.scopes.as_ref().unwrap_or(&definition.scopes);
    if !scopes.is_empty() {
        // As one scope: the crate knows no separator but the space.
        flow = flow.add_scope(Scope::new(scopes.join(&definition.scope_separator)));
    }
    for (name, value) in &definition.authorize_params {
        flow = flow.add_extra_param(name, value);
    }
    Ok(flow.url().0)
}

/// Swaps a code for tokens.
pub(super) async fn exchange(connector: &Declarative, request: &Exchange<'_>) -> Result<Grant, Error> {
    let credentials = request.credentials;
    let client = client(connector, credentials, credentials.client_secret.as_ref())?;
    let mut exchange = client
        .exchange_code(AuthorizationCode::new(open(request.code).to_owned()))
        .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(request.redirect_uri.clone())));
    if connector.definition.pkce == Pkce::S256 {
        exchange = exchange.set_pkce_verifier(verifier(request.verifier)?);
    }
    for (name, value) in &connector.definition.token_params {
        exchange = exchange.add_extra_param(name, value);
    }
    let wire = Wire { connector, asked: AskedFor::Code, timeout: connector.timeout() };
    exchange.request_async(&wire).await.map(grant).map_err(error)
}

/// Spends a refresh token, in at most `timeout`.
pub(super) async fn refresh(
    connector: &Declarative,
    credentials: &Credentials,
    secret: Option<&Secret>,
    refresh_token: &Secret,
    timeout: Duration,
) -> Result<Grant, Error> {
    let client = client(connector, credentials, secret)?;
    let refresh_token = RefreshToken::new(open(refresh_token).to_owned());
    let mut refresh = client.exchange_refresh_token(&refresh_token);
    for (name, value) in &connector.definition.refresh.params {
        refresh = refresh.add_extra_param(name, value);
    }
    let wire = Wire { connector, asked: AskedFor::Refresh, timeout };
    refresh.request_async(&wire).await.map(grant).map_err(error)
}

fn client(
    connector: &Declarative,
    credentials: &Credentials,
    secret: Option<&Secret>,
) -> Result<Client<EndpointNotSet, EndpointSet>, Error> {
    let definition = &connector.definition;
    let url = connector.address(&definition.token_url, credentials)?;
    let client =
        Client::new(ClientId::new(credentials.client_id.clone())).set_token_uri(TokenUrl::from_url(url));
    Ok(match (definition.token_auth, secret) {
        (TokenAuth::None, _) | (_, None) => client.set_auth_type(AuthType::RequestBody),
        (TokenAuth::Post, Some(secret)) => client
            .set_auth_type(AuthType::RequestBody)
            .set_client_secret(ClientSecret::new(open(secret).to_owned())),
        (TokenAuth::Basic, Some(secret)) => client
            .set_auth_type(AuthType::BasicAuth)
            .set_client_secret(ClientSecret::new(open(secret).to_owned())),
    })
}

/// The crate panics on a verifier of another length (RFC 7636 §4.1).
fn verifier(verifier: &Secret) -> Result<PkceCodeVerifier, Error> {
    if !(43..=128).contains(&verifier.len()) {
        return Err(Error::Definition("the proof key must have 43 to 128 characters".to_owned()));
    }
    Ok(PkceCodeVerifier::new(open(verifier).to_owned()))
}

fn as_json(form: &[u8]) -> Vec<u8> {
    let fields: Map<String, Value> = form_urlencoded::parse(form)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    Value::Object(fields).to_string().into_bytes()
}

/// A provider may put what it was sent into its error code; that would carry a token into logs.
fn withhold_echo(error: Error, sent: &[u8]) -> Error {
    let echoed = |code: &String| sent.windows(code.len().max(1)).any(|window| window == code.as_bytes());
    let withheld = "withheld".to_owned();
    match error {
        Error::Refused { code } if echoed(&code) => Error::Refused { code: withheld },
        Error::ClientRejected { code } if echoed(&code) => Error::ClientRejected { code: withheld },
        Error::RequestRejected { status, code } if echoed(&code) => {
            Error::RequestRejected { status, code: withheld }
        }
        error => error,
    }
}

/// A grant as the crate reads it; [`grant`] is the way back.
fn canonical(grant: &Grant) -> Result<HttpResponse, Error> {
    let mut fields = serde_json::json!({
        "access_token": open(&grant.access_token),
        "token_type": "bearer",
        "refresh_expires_in": grant.refresh_expires_in,
        "extra": grant.extra,
    });
    let optional = [
        ("refresh_token", grant.refresh_token.as_ref().map(|token| Value::from(open(token)))),
        ("expires_in", grant.expires_in.map(Value::from)),
        ("scope", grant.scope.clone().map(Value::from)),
    ];
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    http::Response::builder()
        .status(200)
        .header(CONTENT_TYPE, "application/json")
        .body(fields.to_string().into_bytes())
        .map_err(|_| unreadable())
}

fn grant(answer: Answer) -> Grant {
    let scopes =
        answer.scopes().map(|scopes| scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" "));
    Grant {
        access_token: Secret::new(answer.access_token().secret().clone()),
        refresh_token: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
        expires_in: answer.expires_in().and_then(|life| i64::try_from(life.as_secs()).ok()),
        refresh_expires_in: answer.extra_fields().refresh_expires_in,
        scope: scopes,
        extra: answer.extra_fields().extra.clone(),
    }
}

/// Our own error comes back as it was; the crate's own are about building the request, for the answer it
/// reads is always ours.
fn error(error: RequestTokenError<Error, BasicErrorResponse>) -> Error {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::Other(_) => Error::Definition("the token request cannot be written".to_owned()),
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) => unreadable(),
    }
}

fn unreadable() -> Error {
    Error::Ambiguous { detail: "the answer is unreadable".to_owned(), retry_after: None }
}
