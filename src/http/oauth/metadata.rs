//! The metadata documents (RFC 8414, OpenID Connect Discovery 1.0): just what exists here.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use url::Url;

use crate::http::problem::{Answer, Code, Problem};
use crate::issuer::Issuer;
use crate::model::scope::Scope;

/// What this authorization server offers (RFC 8414).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "authorization server", security(()),
    responses((status = 200, body = Object)))]
pub(in crate::http) async fn metadata(issuer: web::Data<Issuer>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .json(document(issuer.url()))
}

/// The same under OpenID Connect's name (Discovery 1.0 §4).
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "authorization server", security(()),
    responses((status = 200, body = Object)))]
pub(in crate::http) async fn openid_metadata(issuer: web::Data<Issuer>) -> HttpResponse {
    metadata(issuer).await
}

/// The form of RFC 8414 §3.1 for an issuer with a path: the well-known part comes first.
pub(super) async fn inserted(issuer: web::Data<Issuer>, path: web::Path<String>) -> Answer {
    let own = Url::parse(issuer.url()).ok();
    let own = own.as_ref().map(|url| url.path().trim_matches('/')).unwrap_or_default();
    if own.is_empty() || path.trim_end_matches('/') != own {
        return Err(Problem::new(Code::NotFound));
    }
    Ok(metadata(issuer).await)
}

fn document(issuer: &str) -> Value {
    let base = issuer.trim_end_matches('/');
    let scopes: Vec<_> =
        Scope::ALL.into_iter().filter(|scope| is_of_the_broker(*scope)).map(Scope::as_str).collect();
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{base}/o/token/"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": scopes,
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [],
    })
}

/// Those of OpenID Connect come with the grants that use them.
fn is_of_the_broker(scope: Scope) -> bool {
    !matches!(scope, Scope::Openid | Scope::Profile | Scope::Email | Scope::OfflineAccess)
}
