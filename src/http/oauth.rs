//! The routes of the authorization server.

pub(super) mod form;
pub(super) mod jwks;
pub(super) mod metadata;
pub(super) mod token;

use actix_web::web;

/// Registers them; needs `web::Data<Issuer>`.
pub fn routes(config: &mut web::ServiceConfig) {
    for path in ["/o/token/", "/o/token"] {
        config.service(
            web::resource(path)
                .route(web::post().to(token::token))
                .default_service(web::to(token::refuse_method)),
        );
    }
    config.route("/.well-known/jwks.json", web::get().to(jwks::jwks));
    config.route("/.well-known/oauth-authorization-server", web::get().to(metadata::metadata));
    config.route("/.well-known/openid-configuration", web::get().to(metadata::openid_metadata));
    for document in ["oauth-authorization-server", "openid-configuration"] {
        config.route(&format!("/.well-known/{document}/{{path:.*}}"), web::get().to(metadata::inserted));
    }
}

#[cfg(test)]
mod tests;
