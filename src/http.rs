//! The web: the URL table. Alone (with the sandbox) names actix_web.
//!
//! Paths that begin with a name of ours come first (but for the one that is asked most); what is left begins with the id of
//! an app, which can be none of those names.

pub mod account;
pub mod admin;
mod binb_token;
#[cfg(test)]
mod browser_tests;
pub mod connect;
pub mod docs;
mod drop_in;
pub mod explain;
pub mod extract;
pub mod form;
pub mod health;
pub mod invitations;
pub mod kept;
pub mod layer;
pub mod login;
pub mod metrics;
pub mod oauth;
pub mod oauth_error;
pub mod openapi;
pub mod page;
pub mod person;
pub mod problem;
pub mod server;
pub mod settings;
pub mod start;

use actix_web::guard::fn_guard;
use actix_web::web::{ServiceConfig, get, post, resource, to};

use self::server::{not_found, only, read};

/// Every route, by area.
pub fn routes(cfg: &mut ServiceConfig) {
    // /{app_id}/{connector}/binb-token is asked most, and finding a route tries one pattern after another. No path of ours
    // ends like it; under /o/ errors have another form.
    cfg.service(
        resource("/{app_id}/{connector}/binb-token")
            .guard(fn_guard(|request| !request.head().uri.path().starts_with("/o/")))
            .route(get().to(binb_token::binb_token))
            .default_service(only("GET")),
    );
    // /healthz /readyz /metrics /problems/{code} /docs /static/
    cfg.configure(health::routes)
        .configure(metrics::routes)
        .configure(explain::routes)
        .configure(docs::routes)
        .configure(page::routes);
    // /o/ /.well-known/
    cfg.configure(oauth::routes).service(resource("/o/{rest:.*}").default_service(to(not_found)));
    // /admin/v1/
    cfg.configure(admin::routes);
    // / /login /logout /invitations/ /account/
    cfg.configure(start::routes)
        .configure(login::routes)
        .configure(invitations::routes)
        .configure(account::routes);
    // /connect/ /{app_id}/connect /{app_id}/{connector}/signup
    cfg.configure(connect::routes);
    cfg.service(
        resource("/{app_id}/{connector}/token")
            .route(post().to(drop_in::provider_token))
            .default_service(to(drop_in::refuse_method)),
    );
    cfg.service(
        resource("/{app_id}/{connector}/status")
            .route(read().to(binb_token::connection_status))
            .default_service(only("GET, HEAD")),
    );
}
