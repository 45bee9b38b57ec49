//! What may be done with a token anywhere? Revocation, introspection, user information, a small API.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde_json::json;

use super::{
    bearer::{email, holder},
    client_auth,
    token::pause,
};
use crate::sandbox::{Client, grants::Denied, params::Params, state::State};

/// RFC 7009: 200 for a token nobody knows, too.
pub(super) async fn revoke(state: web::Data<State>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let (client, params) = match asking(&state, &request, &body) {
        Ok(asking) => asking,
        Err(denied) => return refuse(denied),
    };
    let Some(token) = params.text("token") else { return refuse(Denied::InvalidRequest) };
    let fault = state.faults(&client.client_id).revocation_status;
    let mut changing = state.lock();
    changing.counters(&client.client_id).revocations += 1;
    if let Some(status) = fault.and_then(|status| StatusCode::from_u16(status).ok()) {
        return HttpResponse::build(status).finish();
    }
    changing.book.revoke(token, &client.client_id);
    HttpResponse::Ok().finish()
}

/// RFC 7662, for the client's own tokens.
pub(super) async fn introspect(
    state: web::Data<State>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let (client, params) = match asking(&state, &request, &body) {
        Ok(asking) => asking,
        Err(denied) => return refuse(denied),
    };
    let Some(token) = params.text("token") else { return refuse(Denied::InvalidRequest) };
    let found = state.lock().book.find(token, state.clock.now());
    match found.filter(|holder| holder.live && holder.client_id == client.client_id) {
        None => HttpResponse::Ok().json(json!({"active": false})),
        Some(holder) => HttpResponse::Ok().json(json!({
            "active": true,
            "client_id": holder.client_id,
            "sub": holder.user,
            "username": holder.user,
            "scope": holder.scope.join(" "),
            "iat": holder.issued_at.unix_timestamp(),
            "exp": holder.expires_at.map(|end| end.unix_timestamp()),
            "iss": state.issuer(),
        })),
    }
}

/// OpenID Connect Core §5.3.
pub(super) async fn userinfo(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let Some(holder) = holder(&state, &request) else { return challenge() };
    let faults = state.faults(&holder.client_id);
    pause(faults.userinfo_delay_ms).await;
    match faults.userinfo_status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) => HttpResponse::build(status).finish(),
        None => HttpResponse::Ok()
            .json(json!({"sub": holder.user, "email": email(&holder.user), "name": holder.user})),
    }
}

/// A small API: who am I, through which client, with which scopes.
pub(super) async fn whoami(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    match holder(&state, &request) {
        None => challenge(),
        Some(holder) => HttpResponse::Ok().json(json!({
            "user": holder.user,
            "client_id": holder.client_id,
            "scope": holder.scope.join(" "),
        })),
    }
}

fn asking<'a>(state: &'a State, request: &HttpRequest, body: &[u8]) -> Result<(&'a Client, Params), Denied> {
    let params = Params::parse(body).map_err(|_| Denied::InvalidRequest)?;
    client_auth::authenticate(state, request, &params).map(|client| (client, params))
}

fn refuse(denied: Denied) -> HttpResponse {
    match denied {
        Denied::InvalidClient => HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"sandbox\""))
            .json(json!({"error": "invalid_client"})),
        _ => HttpResponse::BadRequest().json(json!({"error": "invalid_request"})),
    }
}

fn challenge() -> HttpResponse {
    HttpResponse::Unauthorized()
        .insert_header((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
        .json(json!({"error": "invalid_token"}))
}
