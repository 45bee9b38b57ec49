//! `GET /.well-known/jwks.json`: our public keys.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::issuer::Issuer;

/// How long a verifier may keep them, in seconds.
const MAX_AGE_S: u32 = 300;

/// Our public keys (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "authorization server", security(()),
    responses((status = 200, body = Object)))]
pub(in crate::http) async fn jwks(issuer: web::Data<Issuer>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={MAX_AGE_S}")))
        .content_type("application/json")
        .body(issuer.jwks().await)
}
