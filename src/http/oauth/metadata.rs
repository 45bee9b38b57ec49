//! The metadata documents (RFC 8414, OpenID Connect Discovery 1.0): just what exists here.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use url::Url;

use crate::http::problem::{Answer, Code, Problem};
use crate::issuer::Issuer;
use crate::issuer::authentication::algorithm_names;
use crate::model::grant::GrantType;
use crate::model::scope::Scope;

/// What this authorization server offers (RFC 8414).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "authorization server", security(()),
    responses((status = 200, body = Object)))]
pub(in crate::http) async fn metadata(issuer: web::Data<Issuer>) -> HttpResponse {
    let document = document(issuer.url(), &issuer.signing_algorithms().await);
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(document)
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

fn document(issuer: &str, signed_with: &[&str]) -> Value {
    let base = issuer.trim_end_matches('/');
    let algorithms = algorithm_names();
    let secret_or_key = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/o/authorize/"),
        "token_endpoint": format!("{base}/o/token/"),
        "introspection_endpoint": format!("{base}/o/introspect/"),
        "revocation_endpoint": format!("{base}/o/revoke_token/"),
        "device_authorization_endpoint": format!("{base}/o/device_authorization/"),
        "userinfo_endpoint": format!("{base}/o/userinfo/"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "service_documentation": format!("{base}/docs"),
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": secret_or_key,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "scopes_supported": Scope::ALL.map(Scope::as_str),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": signed_with,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "jti", "auth_time", "nonce", "at_hash", "name",
            "preferred_username", "email", "email_verified"],
    })
}
