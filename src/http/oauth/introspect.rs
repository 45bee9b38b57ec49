//! `POST /o/introspect/` and `POST /o/revoke_token/`: what is a token worth (RFC 7662), and no more of it (RFC 7009).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::extract::RequestOrigin;
use crate::http::oauth_error::OAuthError;
use crate::http::problem::{Chain, Problem};
use crate::identity::bearer::{self, Bearers, GoodToken};
use crate::issuer::{Error, Issuer};
use crate::model::client::{Client, ClientKind};
use crate::model::event::Origin;
use crate::model::grant::{Grant, GrantedScope};
use crate::model::scope::Scope;
use crate::model::secret::Secret;

use super::form::{Parameters, presented};
use super::token::{authenticate, unkept};

/// The form of both; the client authenticates as at the token endpoint.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the shape alone is used: the form is read parameter by parameter")]
pub(in crate::http) struct AboutTokenRequest {
    /// An access or refresh token of ours.
    token: String,
    /// `access_token` or `refresh_token`; not needed.
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// What is said of a token that is not good, or not the caller's business (RFC 7662 §2.2).
#[derive(Serialize)]
struct Inactive {
    active: bool,
}

/// Whether a token is good now, and what it says: asked by the client it was issued to, or by one of whose resource
/// servers it speaks. Anything else is `{"active":false}`.
#[utoipa::path(post, path = "/o/introspect/", tag = "authorization server", security((), ("basic" = [])),
    request_body(content = AboutTokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Object), (status = "default", description = "RFC 6749 §5.2", body = Object)))]
pub(in crate::http) async fn introspect(
    request: HttpRequest,
    payload: web::Payload,
    origin: RequestOrigin,
    issuer: web::Data<Issuer>,
    bearers: web::Data<Bearers>,
) -> Result<HttpResponse, OAuthError> {
    let (client, token) = asked(&request, payload, &issuer, origin.0).await?;
    if client.kind == ClientKind::Programmatic {
        // Anybody can say this name (RFC 7662 §2.1).
        return Err(Error::UnauthorizedClient.into());
    }
    if let Some(grant) = issuer.introspect_refresh_token(&client, &token).await? {
        return Ok(unkept(refresh_token(issuer.url(), &grant)));
    }
    let good = inspect(&bearers, &token, &client).await?;
    Ok(match good.filter(|good| is_business_of(good, &client, issuer.url())) {
        Some(good) => unkept(access_token(&good, issuer.url())),
        None => unkept(Inactive { active: false }),
    })
}

/// Revokes a token of the client. 200 whether it was one or not (RFC 7009 §2.2).
#[utoipa::path(post, path = "/o/revoke_token/", tag = "authorization server", security((), ("basic" = [])),
    request_body(content = AboutTokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200), (status = "default", description = "RFC 6749 §5.2", body = Object)))]
pub(in crate::http) async fn revoke(
    request: HttpRequest,
    payload: web::Payload,
    origin: RequestOrigin,
    issuer: web::Data<Issuer>,
    bearers: web::Data<Bearers>,
) -> Result<HttpResponse, OAuthError> {
    let (client, token) = asked(&request, payload, &issuer, origin.0).await?;
    if !issuer.revoke_refresh_token(&client, &token, origin.0).await?
        && let Some(good) = inspect(&bearers, &token, &client).await?
    {
        issuer.revoke_access_token(&client, &good, origin.0).await?;
    }
    Ok(unkept(json!({})))
}

/// Who asks, and about which token.
async fn asked(
    request: &HttpRequest,
    payload: web::Payload,
    issuer: &Issuer,
    origin: Origin,
) -> Result<(Client, Secret), OAuthError> {
    let mut form = Parameters::read(request, payload).await?;
    let (token, _) = (form.require_secret("token")?, form.take("token_type_hint")?);
    let (client, in_header) = presented(request, &mut form)?;
    Ok((authenticate(issuer, &client, in_header, origin).await?, token))
}

/// A good access token for the broker or a resource server of this client.
#[expect(clippy::disallowed_methods, reason = "door: the token is verified")]
async fn inspect(
    bearers: &Bearers,
    token: &Secret,
    client: &Client,
) -> Result<Option<GoodToken>, OAuthError> {
    match bearers.inspect_for(token.expose_secret(), &client.resources).await {
        Ok(good) => Ok(Some(good)),
        Err(error @ (bearer::Error::Store(_) | bearer::Error::NotOurs(_))) => {
            tracing::warn!(cause = %Chain(&error), "a token could not be judged");
            Err(OAuthError::of_bearer(&Problem::from(error)))
        }
        Err(_) => Ok(None),
    }
}

/// Its own, or one that was made for a resource server of its own.
fn is_business_of(token: &GoodToken, client: &Client, issuer: &str) -> bool {
    let for_own = |audience: &String| audience != issuer;
    token.client.client_id == client.client_id || token.claims.audience.iter().any(for_own)
}

fn access_token(token: &GoodToken, issuer: &str) -> Value {
    let claims = &token.claims;
    let words: Vec<_> = claims.scope.iter().map(String::as_str).collect();
    let scope = GrantedScope::parse(&words.join(" ")).unwrap_or_default().narrowed_to(&token.client.scope());
    let mut answer = json!({
        "active": true,
        "token_type": "Bearer",
        "iss": claims.issuer,
        "sub": claims.subject,
        "aud": claims.audience.first(),
        "client_id": token.client.client_id,
        "exp": claims.expires_at.unix_timestamp(),
        "jti": token.jti.to_string(),
        "scope": scope.to_string(),
    });
    if let Some(fields) = answer.as_object_mut() {
        fields.extend(claims.issued_at.map(|at| ("iat".to_owned(), at.unix_timestamp().into())));
        let user = token.user.as_ref().filter(|_| scope.own.contains(Scope::Profile));
        fields.extend(user.map(|user| ("username".to_owned(), user.email.as_str().into())));
        // As the JWT has them (RFC 9396 §9.2), narrowed to the rows as they are now.
        let (role, allow) = token.role_and_locations(issuer);
        fields.extend(role.map(|role| ("role".to_owned(), role.as_str().into())));
        let details = allow.0.map(|locations| json!([{"type": "binb_token", "locations": locations}]));
        fields.extend(details.map(|details| ("authorization_details".to_owned(), details)));
    }
    answer
}

fn refresh_token(issuer: &str, grant: &Grant) -> Value {
    let sub = grant.user.map_or_else(|| grant.client_id.to_string(), |user| user.to_string());
    json!({
        "active": true,
        "iss": issuer,
        "sub": sub,
        "client_id": grant.client_id,
        "exp": grant.expires_at.unix_timestamp(),
        "iat": grant.created_at.unix_timestamp(),
        "scope": grant.scope.to_string(),
    })
}
