//! What is there? Metadata for programs, a front page for people.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::json;

use crate::sandbox::{
    page::{self, Front},
    state::State,
};

/// RFC 8414 and OpenID Connect Discovery in one document.
pub(super) async fn configuration(state: web::Data<State>) -> HttpResponse {
    let at = |path: &str| format!("{}{path}", state.issuer());
    let methods = json!(["client_secret_basic", "client_secret_post", "none"]);
    HttpResponse::Ok().json(json!({
        "issuer": state.issuer(),
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint": at("/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint": at("/introspect"),
        "introspection_endpoint_auth_methods_supported": methods,
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "email", "offline_access", "read", "write"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": ["sub", "email"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// The keys of the ID tokens.
pub(super) async fn jwks(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.signer.jwks())
}

/// `GET /`.
pub(super) async fn front(state: web::Data<State>) -> HttpResponse {
    let clients = state.clients().map(|client| (client.client_id.as_str(), client.profile.name())).collect();
    page::show(StatusCode::OK, &Front { base: state.issuer(), clients })
}
