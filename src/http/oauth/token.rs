//! `POST /o/token/`: a client asks for an access token.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use crate::http::extract::{Pairs, PairsError, RequestOrigin, decode_pair_text, read_body};
use crate::http::oauth_error::{OAuthCode, OAuthError};
use crate::issuer::Issuer;
use crate::issuer::authentication::Presented;
use crate::issuer::client_credentials::{IssuedToken, Request};
use crate::model::secret::Secret;

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
    refuse_secrets_in_query(&request)?;
    let body = read_body(&request, payload.into_inner(), "application/x-www-form-urlencoded").await?;
    let mut form = Parameters(Pairs::parse(&body).map_err(malformed)?);
    match form.take("grant_type")?.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(OAuthError::new(OAuthCode::UnsupportedGrantType, "no grant of this server")),
        None => return Err(invalid("grant_type is missing")),
    }
    let (scope, resource) = (form.take("scope")?, form.take("resource")?);
    let (client, in_header) = presented(&request, &mut form)?;
    let request = Request { client, scope, resource };
    match issuer.client_credentials(&request, origin.0).await {
        Ok(token) => Ok(answer(&token)),
        Err(error) => Err(OAuthError::from(error).challenging(in_header)),
    }
}

pub(super) async fn refuse_method() -> HttpResponse {
    use actix_web::ResponseError;
    let error = invalid("use POST with a form body").status(StatusCode::METHOD_NOT_ALLOWED);
    let mut response = error.error_response();
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}

/// The parameters of a request; one without a value counts as left out (RFC 6749 §3.2).
struct Parameters(Pairs);

impl Parameters {
    fn take(&mut self, name: &str) -> Result<Option<String>, OAuthError> {
        Ok(self.0.take(name).map_err(malformed)?.filter(|value| !value.is_empty()))
    }
}

/// RFC 6749 §2.3.1: never in the URL, which is logged everywhere on the way.
fn refuse_secrets_in_query(request: &HttpRequest) -> Result<(), OAuthError> {
    let secret = |name: &str| matches!(name, "client_secret" | "client_assertion");
    let query = Pairs::parse(request.query_string().as_bytes());
    if query.is_ok_and(|pairs| pairs.names().any(secret)) {
        return Err(invalid("client credentials do not belong into the URL"));
    }
    Ok(())
}

/// What the client presents, by one method (RFC 6749 §2.3), and whether a challenge may answer it: libraries that
/// sent a body look for the error there.
fn presented(request: &HttpRequest, form: &mut Parameters) -> Result<(Presented, bool), OAuthError> {
    let (id, secret) = (form.take("client_id")?, form.take("client_secret")?);
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let failed =
        || OAuthError::new(OAuthCode::InvalidClient, "client authentication failed").challenging(true);
    match (headers.next(), headers.next(), id, secret) {
        (_, Some(_), _, _) => Err(invalid("the authorization header is repeated")),
        (Some(_), None, _, Some(_)) => Err(invalid("only one way of client authentication at a time")),
        (Some(value), None, id, None) => {
            let basic = basic(value.as_bytes()).ok_or_else(failed)?;
            if id.is_some_and(|id| id != basic.client_id) {
                return Err(invalid("client_id is not the one of the authorization header"));
            }
            Ok((basic, true))
        }
        (None, None, Some(client_id), Some(secret)) => {
            Ok((Presented { client_id, secret: Secret::new(secret) }, false))
        }
        (None, None, _, _) => Err(failed()),
    }
}

/// `Basic base64(id:secret)`, where both are form-urlencoded first (RFC 6749 §2.3.1).
fn basic(value: &[u8]) -> Option<Presented> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let encoded = rest.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (id, secret) = (decoded.get(..colon)?, decoded.get(colon.saturating_add(1)..)?);
    let secret = Secret::new(decode_pair_text(secret).ok()?);
    Some(Presented { client_id: decode_pair_text(id).ok()?, secret })
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

fn malformed(error: PairsError) -> OAuthError {
    match error {
        PairsError::Malformed => invalid("the body is not form-urlencoded UTF-8"),
        PairsError::Repeated(_) => invalid("a parameter is repeated"),
    }
}

fn invalid(description: &str) -> OAuthError {
    OAuthError::new(OAuthCode::InvalidRequest, description)
}
