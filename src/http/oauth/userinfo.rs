//! `GET, POST /o/userinfo/`: who is the person of this token (OpenID Connect Core §5.3)?

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use jeton_guard::{BearerError, Challenge, HeaderError};

use crate::http::oauth_error::OAuthError;
use crate::http::problem::{Code, Problem};
use crate::identity::bearer::{Bearers, Error};
use crate::issuer::PersonClaims;
use crate::model::scope::{Scope, Scopes};

use super::form::invalid;
use super::token::{method_refused, unkept};

/// Claims about the person, as far as the token's scopes go. The token is sent in the `Authorization` header.
#[utoipa::path(get, path = "/o/userinfo/", tag = "authorization server",
    responses((status = 200, body = Object), (status = "default", description = "RFC 6750 §3", body = Object)))]
pub(in crate::http) async fn userinfo(
    request: HttpRequest,
    bearers: web::Data<Bearers>,
) -> Result<HttpResponse, OAuthError> {
    let headers = request.headers().get_all(actix_web::http::header::AUTHORIZATION);
    let token = bearers.inspect_header(headers.map(|value| value.as_bytes())).await;
    let token = token.map_err(refused)?;
    let granted: Scopes = token.claims.scope.iter().filter_map(|scope| Scope::parse(scope)).collect();
    let scopes = granted.narrowed_to(&token.client.scopes);
    match token.user.as_ref().filter(|_| scopes.contains(Scope::Openid)) {
        Some(user) => Ok(unkept(PersonClaims::of(user, &scopes))),
        None => {
            let challenge = Challenge::new("jeton").error(BearerError::InsufficientScope).scope("openid");
            let problem =
                Problem::of(Code::Forbidden, "the token has no scope `openid`, or speaks for no person");
            Err(OAuthError::of_bearer(&problem.challenge(challenge.to_string())))
        }
    }
}

/// The same by POST (OpenID Connect Core §5.3.1); a token in the body is not read.
// A handler of its own: an operation of the document has an id of its own.
#[utoipa::path(post, path = "/o/userinfo/", tag = "authorization server",
    responses((status = 200, body = Object), (status = "default", description = "RFC 6750 §3", body = Object)))]
pub(in crate::http) async fn userinfo_by_post(
    request: HttpRequest,
    bearers: web::Data<Bearers>,
) -> Result<HttpResponse, OAuthError> {
    userinfo(request, bearers).await
}

/// Two tokens at once make a bad request (RFC 6750 §3.1), whichever of them is good.
fn refused(error: Error) -> OAuthError {
    let Error::Header(cause @ HeaderError::Repeated) = error else {
        return OAuthError::of_bearer(&Problem::from(error));
    };
    let challenge = Challenge::new("jeton").error(BearerError::InvalidRequest);
    let problem = Problem::of(Code::InvalidRequest, cause.to_string());
    OAuthError::of_bearer(&problem.challenge(challenge.to_string()))
}

pub(super) async fn refuse_method() -> HttpResponse {
    method_refused(&invalid("use GET or POST").status(StatusCode::METHOD_NOT_ALLOWED), "GET, HEAD, POST")
}
