//! Where does a request go? The table of all paths of the sandbox.

mod aircall;
mod authorize;
mod bearer;
mod client_auth;
mod control;
mod generic;
mod github;
mod install;
mod items;
mod metadata;
mod token;
mod token_answer;
mod vendors;

use actix_web::{HttpResponse, error::InternalError, http::header, web};
use serde_json::json;

/// Mounts everything on an application that carries the state.
pub(super) fn mount(app: &mut web::ServiceConfig) {
    app.app_data(json_errors())
        .route("/", web::get().to(metadata::front))
        .route("/.well-known/openid-configuration", web::get().to(metadata::configuration))
        .route("/.well-known/oauth-authorization-server", web::get().to(metadata::configuration))
        .route("/jwks", web::get().to(metadata::jwks))
        .route("/revoke", web::post().to(generic::revoke))
        .route("/introspect", web::post().to(generic::introspect))
        .route("/userinfo", web::get().to(generic::userinfo))
        .route("/userinfo", web::post().to(generic::userinfo))
        .route("/api/whoami", web::get().to(generic::whoami))
        .route("/api/items", web::get().to(items::items))
        .configure(authorize)
        .configure(token)
        .configure(github)
        .configure(aircall)
        .configure(vendors)
        .configure(control);
}

fn authorize(app: &mut web::ServiceConfig) {
    for path in [
        "/authorize",
        "/login/oauth/authorize",
        "/oauth/authorize",
        "/o/oauth2/v2/auth",
        "/services/oauth2/authorize",
    ] {
        app.route(path, web::get().to(authorize::ask));
        app.route(path, web::post().to(authorize::decide));
    }
    app.route("/integrations/{client_id}/install", web::get().to(install::page));
    app.route("/integrations/{client_id}/install", web::post().to(install::start));
}

fn token(app: &mut web::ServiceConfig) {
    for path in [
        "/token",
        "/login/oauth/access_token",
        "/v1/oauth/token",
        "/oauth/2026-03/token",
        "/services/oauth2/token",
    ] {
        app.route(path, web::post().to(token::token));
    }
}

fn github(app: &mut web::ServiceConfig) {
    app.route("/user", web::get().to(github::user))
        .route("/user/repos", web::get().to(github::repositories))
        .route("/applications/{client_id}/token", web::post().to(github::check))
        .route("/applications/{client_id}/token", web::delete().to(github::delete_token))
        .route("/applications/{client_id}/grant", web::delete().to(github::delete_grant));
}

fn aircall(app: &mut web::ServiceConfig) {
    app.route("/v1/integrations/me", web::get().to(aircall::integration))
        .route("/v1/ping", web::get().to(aircall::ping))
        .route("/v1/calls", web::get().to(aircall::calls));
}

fn vendors(app: &mut web::ServiceConfig) {
    for path in ["/oauth/2026-03/token/revoke", "/services/oauth2/revoke"] {
        app.route(path, web::post().to(generic::revoke));
    }
    for path in ["/oauth/2026-03/token/introspect", "/services/oauth2/introspect"] {
        app.route(path, web::post().to(generic::introspect));
    }
    app.route("/v1/userinfo", web::get().to(vendors::google_user))
        .route("/account-info/2026-03/details", web::get().to(vendors::hubspot_account))
        .route("/services/oauth2/userinfo", web::get().to(vendors::salesforce_user));
}

fn control(app: &mut web::ServiceConfig) {
    app.route("/_sandbox/faults", web::get().to(control::faults))
        .route("/_sandbox/faults", web::put().to(control::set_faults))
        .route("/_sandbox/ledger", web::get().to(control::ledger))
        .route("/_sandbox/revoke", web::post().to(control::withdraw))
        .route("/_sandbox/style.css", web::get().to(style));
}

async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(super::page::STYLE)
}

/// A body that does not fit is told why.
fn json_errors() -> web::JsonConfig {
    web::JsonConfig::default().error_handler(|error, _| {
        let answer = HttpResponse::BadRequest().json(json!({"error": error.to_string()}));
        InternalError::from_response(error, answer).into()
    })
}
