//! `POST /o/token/`: a client asks for an access token.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::http::extract::RequestOrigin;
use crate::http::oauth_error::OAuthError;
use crate::issuer::Issuer;
use crate::issuer::client_credentials::{IssuedToken, Request};

use super::form::{Parameters, invalid, presented};

/// RFC 6749 §5.1.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

/// The form of a token request (RFC 6749 §4.4.2); the client authenticates in the header or here, not both.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the shape alone is used: the form is read parameter by parameter")]
pub(in crate::http) struct TokenRequest {
    /// `client_credentials`.
    grant_type: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    /// Space-separated; without it all of the client's.
    scope: Option<String>,
    /// RFC 8707: the issuer.
    resource: Option<String>,
}

/// An access token of ours for a client. Errors are RFC 6749 §5.2 JSON.
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
    form.demand_client_credentials()?;
    let (scope, resource) = (form.take("scope")?, form.take("resource")?);
    let (client, in_header) = presented(&request, &mut form)?;
    let request = Request { client, scope, resource };
    match issuer.client_credentials(&request, origin.0).await {
        Ok(token) => Ok(answer(&token)),
        Err(error) => Err(OAuthError::from(error).challenging(in_header)),
    }
}

pub(super) async fn refuse_method() -> HttpResponse {
    method_refused(&wrong_method())
}

pub(in crate::http) fn wrong_method() -> OAuthError {
    invalid("use POST with a form body").status(StatusCode::METHOD_NOT_ALLOWED)
}

pub(in crate::http) fn method_refused(error: &OAuthError) -> HttpResponse {
    use actix_web::ResponseError;
    let mut response = error.error_response();
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}

#[expect(clippy::disallowed_methods, reason = "door: the token goes to the client it was issued to")]
fn answer(token: &IssuedToken) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(TokenResponse {
            access_token: token.access_token.expose_secret(),
            token_type: "Bearer",
            expires_in: token.expires_in_s,
            scope: token.scopes.to_string(),
        })
}
