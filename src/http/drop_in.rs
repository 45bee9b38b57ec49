//! The same token for tools that speak OAuth alone: `POST /{app_id}/{connector}/token` answers like a token endpoint.
//!
//! The three tests of binb-token hold (role, scope, location). Parameters of the form that nobody here knows are ignored, as
//! RFC 6749 §3.2 has it; the URL takes none: what is asked for there must not be answered as if it had not been. Errors have
//! the form of §5.2, with our `code` and `action` beside.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::binb_token::{min_ttl, receiver};
use super::extract::{Caller, RequestOrigin};
use super::oauth::form::{Parameters, invalid, presented};
use super::oauth::token::{method_refused, wrong_method};
use super::oauth_error::{OAuthCode, OAuthError};
use super::problem::{Answer, Outcome, Problem};
use super::settings::WebSettings;
use crate::issuer::Issuer;
use crate::keeper::{HandedToken, Lifetime, SecretsKeeper};
use crate::model::connection::{Flow, Request};
use crate::model::grant::GrantType;

/// How long a tool waits for a refresh under way.
const WAIT: Duration = Duration::from_secs(20);

/// RFC 6749 §5.1. `expires_in` counts to where the token is guaranteed, which may be a little before its end.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ProviderTokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

/// The form of the request; the client authenticates in the header or here, not both.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the shape alone is used: the form is read parameter by parameter")]
pub(super) struct ProviderTokenRequest {
    /// `client_credentials`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    /// Seconds, 1 to 86400, that must remain: met, or an error.
    min_ttl: Option<u32>,
    /// Which connection; without it the one named `default`, else the only one.
    flow: Option<String>,
}

/// The provider's token, as a token endpoint answers. Errors are RFC 6749 §5.2 JSON with `code` and `action`.
#[utoipa::path(post, path = "/{app_id}/{connector}/token", tag = "hand-out", security((), ("basic" = [])),
    params(("app_id" = String, Path), ("connector" = String, Path)),
    request_body(content = ProviderTokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = ProviderTokenResponse),
        (status = "default", description = "RFC 6749 §5.2 with `code` and `action`", body = Object)))]
pub(super) async fn provider_token(
    request: HttpRequest,
    payload: web::Payload,
    origin: RequestOrigin,
    issuer: web::Data<Issuer>,
    keeper: web::Data<SecretsKeeper>,
    web: web::Data<WebSettings>,
) -> Result<HttpResponse, OAuthError> {
    let answered = async {
        let mut form = Parameters::read(&request, payload).await?;
        if !request.query_string().is_empty() {
            return Err(invalid("parameters belong into the form body, none into the URL"));
        }
        if form.grant_type()? != GrantType::ClientCredentials {
            return Err(OAuthError::new(OAuthCode::UnsupportedGrantType, "only client_credentials here"));
        }
        let (flow, life) = (form.take("flow")?, form.take("min_ttl")?);
        let (client, in_header) = presented(&request, &mut form)?;
        let caller = issuer.authenticate_caller(&client, origin.0).await;
        let caller = Caller(caller.map_err(|error| OAuthError::from(error).challenging(in_header))?);
        let token = hand_out(&caller, &request, &keeper, &web, flow.as_deref(), life.as_deref());
        Ok(answer(&token.await.map_err(OAuthError::of_hand_out)?))
    };
    answered.await.map_err(OAuthError::coded)
}

pub(super) async fn refuse_method() -> HttpResponse {
    method_refused(&wrong_method().coded(), "POST")
}

async fn hand_out(
    caller: &Caller,
    request: &HttpRequest,
    keeper: &SecretsKeeper,
    web: &WebSettings,
    flow: Option<&str>,
    life: Option<&str>,
) -> Answer<HandedToken> {
    let by = receiver(caller, request, keeper).await?;
    let named = |name: &str| {
        Flow::parse(name).ok_or_else(|| Problem::invalid("flow", "must be 1 to 64 of A-Z a-z 0-9 . _ -"))
    };
    let flow = flow.map(named).transpose()?;
    let seconds =
        |text: &str| text.parse().map_err(|_| Problem::invalid("min_ttl", "must be 1 to 86400 seconds"));
    let min_ttl = life.map(seconds).transpose()?.map(min_ttl).transpose()?;
    let lifetime = Lifetime { request: Request { min_ttl, rejected: None }, wait: WAIT };
    keeper
        .retrieve_token(&by, flow.as_ref(), lifetime)
        .await
        .map_err(|error| Problem::of_connection(error, by.app(), by.connector(), web))
}

#[expect(clippy::disallowed_methods, reason = "door: the hand-out itself")]
fn answer(token: &HandedToken) -> HttpResponse {
    let mut response = HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(ProviderTokenResponse {
            access_token: token.access_token.expose_secret(),
            token_type: "Bearer",
            expires_in: token.guaranteed_in.or(token.expires_in),
            scope: token.scope.as_deref(),
        });
    if token.degraded.is_some() {
        response.extensions_mut().insert(Outcome("degraded"));
    }
    response
}
