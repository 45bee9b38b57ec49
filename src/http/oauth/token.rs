//! `POST /o/token/`: a client asks for tokens, by one of the grants it may use.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::http::extract::RequestOrigin;
use crate::http::oauth_error::OAuthError;
use crate::issuer::client_credentials::Asked;
use crate::issuer::code::Redemption;
use crate::issuer::{Error, IssuedTokens, Issuer};
use crate::model::client::Client;
use crate::model::event::Origin;
use crate::model::grant::GrantType;
use crate::model::secret::Secret;

use super::exchange;
use super::form::{Parameters, invalid, presented};

/// RFC 6749 §5.1, with what OpenID Connect and RFC 8693 add.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    /// Only for those who may refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<&'a str>,
    /// Only with the scope `openid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id_token: Option<&'a str>,
}

/// The form of a token request; the client authenticates in the header or here, not both.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the shape alone is used: the form is read parameter by parameter")]
pub(in crate::http) struct TokenRequest {
    /// `client_credentials`, `authorization_code`, `refresh_token`, `urn:ietf:params:oauth:grant-type:device_code` or
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    client_assertion_type: Option<String>,
    /// private_key_jwt: signed by the client, `aud` the issuer, good for 5 minutes at most, used once.
    client_assertion: Option<String>,
    /// Space-separated; without it all of the client's, or all that was granted. Ignored at device_code, which named it
    /// when it began, and at token-exchange, where the connection has its own.
    scope: Option<String>,
    /// RFC 8707: a resource server of the client; without it its only one, else the issuer. Not at token-exchange.
    resource: Option<String>,
    /// authorization_code.
    code: Option<String>,
    /// authorization_code: as in the authorization request.
    redirect_uri: Option<String>,
    /// authorization_code: PKCE (RFC 7636).
    code_verifier: Option<String>,
    /// refresh_token.
    refresh_token: Option<String>,
    /// device_code.
    device_code: Option<String>,
    /// token-exchange: an access token of a person, issued to this very client.
    subject_token: Option<String>,
    /// token-exchange: `urn:ietf:params:oauth:token-type:access_token`.
    subject_token_type: Option<String>,
    /// token-exchange: `{app_id}/{connector}`.
    audience: Option<String>,
    /// token-exchange: which connection, as at binb-token.
    flow: Option<String>,
    /// token-exchange: seconds that must remain, as at binb-token.
    min_ttl: Option<u32>,
}

/// Tokens for a client. Errors are RFC 6749 §5.2 JSON.
#[utoipa::path(post, path = "/o/token/", tag = "authorization server", security((), ("basic" = [])),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenResponse), (status = "default", description = "RFC 6749 §5.2", body = Object)))]
pub(in crate::http) async fn token(
    request: HttpRequest,
    payload: web::Payload,
    origin: RequestOrigin,
    issuer: web::Data<Issuer>,
) -> Result<HttpResponse, OAuthError> {
    let mut form = Parameters::read(&request, payload).await?;
    let grant = form.grant_type()?;
    let (client, in_header) = presented(&request, &mut form)?;
    let asked = Asked { scope: form.take("scope")?, resource: form.take("resource")? };
    match grant {
        // The parameters first: they cost nothing.
        GrantType::ClientCredentials => {
            let client = authenticate(&issuer, &client, in_header, origin.0).await?;
            answered(issuer.client_credentials(&client, &asked, origin.0).await)
        }
        GrantType::AuthorizationCode => {
            let redemption = Redemption {
                code: form.require_secret("code")?,
                redirect_uri: form.take("redirect_uri")?,
                code_verifier: form.require_secret("code_verifier")?,
                resource: asked.resource,
            };
            let client = authenticate(&issuer, &client, in_header, origin.0).await?;
            answered(issuer.redeem_code(&client, &redemption, origin.0).await)
        }
        GrantType::RefreshToken => {
            let token = form.require_secret("refresh_token")?;
            let client = authenticate(&issuer, &client, in_header, origin.0).await?;
            answered(issuer.refresh(&client, &token, &asked, origin.0).await)
        }
        GrantType::DeviceCode => {
            let code = form.require_secret("device_code")?;
            let client = authenticate(&issuer, &client, in_header, origin.0).await?;
            answered(issuer.poll_device(&client, &code, asked.resource.as_deref(), origin.0).await)
        }
        GrantType::TokenExchange => {
            let exchange = exchange::Exchange::read(&mut form, asked.resource.as_deref())?;
            let client = authenticate(&issuer, &client, in_header, origin.0).await?;
            exchange.answer(&request, &client, origin.0).await
        }
    }
}

/// The client a request presents.
pub(super) async fn authenticate(
    issuer: &Issuer,
    presented: &crate::issuer::authentication::Presented,
    in_header: bool,
    origin: Origin,
) -> Result<Client, OAuthError> {
    let client = issuer.authenticate_client(presented, origin).await;
    client.map_err(|error| OAuthError::from(error).challenging(in_header))
}

pub(super) async fn refuse_method() -> HttpResponse {
    method_refused(&wrong_method(), "POST")
}

pub(in crate::http) fn wrong_method() -> OAuthError {
    invalid("use POST with a form body").status(StatusCode::METHOD_NOT_ALLOWED)
}

pub(in crate::http) fn method_refused(error: &OAuthError, allowed: &'static str) -> HttpResponse {
    use actix_web::ResponseError;
    let mut response = error.error_response();
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    response
}

/// 200 that nobody keeps.
pub(super) fn unkept(body: impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(body)
}

#[expect(clippy::disallowed_methods, reason = "door: the tokens go to the client they were issued to")]
fn answered(tokens: Result<IssuedTokens, Error>) -> Result<HttpResponse, OAuthError> {
    let tokens = tokens?;
    Ok(unkept(TokenResponse {
        access_token: tokens.access_token.expose_secret(),
        token_type: "Bearer",
        expires_in: tokens.expires_in_s,
        scope: tokens.scope.to_string(),
        refresh_token: tokens.refresh_token.as_ref().map(Secret::expose_secret),
        id_token: tokens.id_token.as_ref().map(Secret::expose_secret),
    }))
}
