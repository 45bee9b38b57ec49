//! The routes of the authorization server.

pub(super) mod authorize;
pub(super) mod device;
mod exchange;
pub(super) mod form;
pub(super) mod introspect;
pub(super) mod jwks;
pub(super) mod metadata;
pub(super) mod token;
pub(super) mod userinfo;
mod wishes;

pub(in crate::http) use self::wishes::{Wish, wishes};

use actix_web::{Route, web};

use super::layer::host;
use super::server::{only, read};

pub(super) use self::authorize::{form_target, renewal};

/// Registers them; needs `web::Data<Issuer>` and `web::Data<Bearers>`, for the pages all that pages need, and for token
/// exchange the keeper.
pub fn routes(config: &mut web::ServiceConfig) {
    machine(config, "/o/token", || web::post().to(token::token));
    machine(config, "/o/introspect", || web::post().to(introspect::introspect));
    machine(config, "/o/revoke_token", || web::post().to(introspect::revoke));
    machine(config, "/o/device_authorization", || web::post().to(device::device_authorization));
    for path in ["/o/userinfo/", "/o/userinfo"] {
        config.service(
            web::resource(path)
                .route(read().to(userinfo::userinfo))
                .route(web::post().to(userinfo::userinfo_by_post))
                .default_service(web::to(userinfo::refuse_method)),
        );
    }
    for path in ["/o/authorize/", "/o/authorize"] {
        config.service(
            host::resource(path, "GET, POST")
                .route(web::get().to(authorize::authorize))
                .route(web::post().to(authorize::decide_authorization)),
        );
    }
    for path in ["/o/device/", "/o/device"] {
        config.service(
            host::resource(path, "GET, HEAD, POST")
                .route(read().to(device::device_page))
                .route(web::post().to(device::decide_device)),
        );
    }
    let mut published = |path: &str, route: Route| {
        config.service(web::resource(path.to_owned()).route(route).default_service(only("GET, HEAD")));
    };
    published("/.well-known/jwks.json", read().to(jwks::jwks));
    published("/.well-known/oauth-authorization-server", read().to(metadata::metadata));
    published("/.well-known/openid-configuration", read().to(metadata::openid_metadata));
    for document in ["oauth-authorization-server", "openid-configuration"] {
        published(&format!("/.well-known/{document}/{{path:.*}}"), read().to(metadata::inserted));
    }
}

/// An endpoint for programs, with and without the final slash.
fn machine(config: &mut web::ServiceConfig, path: &str, route: impl Fn() -> Route) {
    for path in [format!("{path}/"), path.to_owned()] {
        let resource = web::resource(path).route(route());
        config.service(resource.default_service(web::to(token::refuse_method)));
    }
}

#[cfg(test)]
mod tests;
