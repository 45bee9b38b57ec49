//! The administration's URL table, and what its routes share: permission first, strict queries, collections.
//!
//! Every route names its permission in its signature ([`May`]), which is decided before query and body are read
//! and before anything is looked up.

pub(in crate::http) mod apps;
pub(in crate::http) mod clients;
pub(in crate::http) mod connections;
pub(in crate::http) mod connectors;
pub(in crate::http) mod credentials;
pub(in crate::http) mod generations;
pub(in crate::http) mod invitations;
pub(in crate::http) mod keys;
mod link;
mod may;
pub(in crate::http) mod members;
mod page;
mod place;
pub(in crate::http) mod resources;
pub(in crate::http) mod signup_links;
#[cfg(test)]
mod tests;
mod times;
pub(in crate::http) mod users;

use actix_web::Resource;
use actix_web::web::{ServiceConfig, delete, patch, post, put, resource};

use crate::http::server::{only, read};

pub(in crate::http) use self::link::{LinkResponse, read_email};
pub(in crate::http) use self::may::{
    AppsRead, AppsWrite, ClientsRead, ClientsWrite, ConnectionsRead, ConnectionsWrite, ConnectorsWrite,
    KeysWrite, May,
};
pub(in crate::http) use self::page::{Collection, CollectionParams};

/// Every route of the administration.
pub fn routes(cfg: &mut ServiceConfig) {
    app_routes(cfg);
    connector_routes(cfg);
    identity_routes(cfg);
    key_routes(cfg);
}

fn app_routes(cfg: &mut ServiceConfig) {
    cfg.service(
        at("/apps", "GET, HEAD, POST").route(read().to(apps::list_apps)).route(post().to(apps::create_app)),
    )
    .service(
        at("/apps/{app_id}", "GET, HEAD, PATCH, DELETE")
            .route(read().to(apps::read_app))
            .route(patch().to(apps::change_app))
            .route(delete().to(apps::delete_app)),
    )
    .service(
        at("/apps/{app_id}/members", "GET, HEAD, POST")
            .route(read().to(members::list_members))
            .route(post().to(members::put_member)),
    )
    .service(at("/apps/{app_id}/members/{user_id}", "DELETE").route(delete().to(members::delete_member)))
    .service(
        at("/apps/{app_id}/invitations", "GET, HEAD, POST")
            .route(read().to(invitations::list_invitations))
            .route(post().to(invitations::create_invitation)),
    )
    .service(
        at("/apps/{app_id}/invitations/{invitation_id}", "DELETE")
            .route(delete().to(invitations::delete_invitation)),
    )
    .service(at("/apps/{app_id}/signup-links", "POST").route(post().to(signup_links::create_signup_link)))
    .service(
        at("/apps/{app_id}/signup-links/{link_id}/confirm", "POST")
            .route(post().to(signup_links::confirm_signup_link)),
    )
    .service(at("/connections", "GET, HEAD").route(read().to(connections::list_connections)))
    .service(
        at("/apps/{app_id}/connections", "GET, HEAD").route(read().to(connections::list_app_connections)),
    )
    .service(
        at("/apps/{app_id}/connections/{connector}", "GET, HEAD, PATCH, DELETE")
            .route(read().to(connections::read_connection))
            .route(patch().to(connections::change_connection))
            .route(delete().to(connections::delete_connection)),
    )
    .service(
        at("/apps/{app_id}/connections/{connector}/import", "POST")
            .route(post().to(connections::import_connection)),
    )
    .service(
        at("/apps/{app_id}/connections/{connector}/refresh", "POST")
            .route(post().to(generations::refresh_connection)),
    )
    .service(
        at("/apps/{app_id}/connections/{connector}/generations", "GET, HEAD")
            .route(read().to(generations::list_generations)),
    )
    .service(
        at("/apps/{app_id}/connections/{connector}/generations/{generation}/restore", "POST")
            .route(post().to(generations::restore_generation)),
    );
}

fn connector_routes(cfg: &mut ServiceConfig) {
    cfg.service(
        at("/connectors", "GET, HEAD, POST")
            .route(read().to(connectors::list_connectors))
            .route(post().to(connectors::create_connector)),
    )
    .service(
        at("/connectors/{connector}", "GET, HEAD, PUT, DELETE")
            .route(read().to(connectors::read_connector))
            .route(put().to(connectors::replace_connector))
            .route(delete().to(connectors::delete_connector)),
    )
    .service(
        at("/connectors/{connector}/credentials", "GET, HEAD, PUT, DELETE")
            .route(read().to(credentials::read_credentials))
            .route(put().to(credentials::put_credentials))
            .route(delete().to(credentials::delete_credentials)),
    )
    .service(
        at("/apps/{app_id}/connectors/{connector}/credentials", "GET, HEAD, PUT, DELETE")
            .route(read().to(credentials::read_app_credentials))
            .route(put().to(credentials::put_app_credentials))
            .route(delete().to(credentials::delete_app_credentials)),
    );
}

fn identity_routes(cfg: &mut ServiceConfig) {
    cfg.service(
        at("/clients", "GET, HEAD, POST")
            .route(read().to(clients::list_clients))
            .route(post().to(clients::create_client)),
    )
    .service(
        at("/clients/{client_id}", "GET, HEAD, PATCH, DELETE")
            .route(read().to(clients::read_client))
            .route(patch().to(clients::change_client))
            .route(delete().to(clients::delete_client)),
    )
    .service(at("/clients/{client_id}/secrets", "POST").route(post().to(clients::create_client_secret)))
    .service(
        at("/clients/{client_id}/secrets/{secret_id}", "DELETE")
            .route(delete().to(clients::delete_client_secret)),
    )
    .service(
        at("/clients/{client_id}/delivery", "GET, HEAD, POST")
            .route(read().to(clients::check_client_delivery))
            .route(post().to(clients::deliver_client_credential)),
    )
    .service(
        at("/resources", "GET, HEAD, POST, PUT, DELETE")
            .route(read().to(resources::list_resources))
            .route(post().to(resources::create_resource))
            .route(put().to(resources::replace_resource))
            .route(delete().to(resources::delete_resource)),
    )
    .service(
        at("/users", "GET, HEAD, POST")
            .route(read().to(users::list_users))
            .route(post().to(users::create_user)),
    )
    .service(
        at("/users/{user_id}", "GET, HEAD, PATCH, DELETE")
            .route(read().to(users::read_user))
            .route(patch().to(users::change_user))
            .route(delete().to(users::delete_user)),
    )
    .service(at("/users/{user_id}/password-link", "POST").route(post().to(users::create_password_link)))
    .service(
        at("/users/{user_id}/sessions", "GET, HEAD, DELETE")
            .route(read().to(users::list_user_sessions))
            .route(delete().to(users::delete_user_sessions)),
    );
}

fn key_routes(cfg: &mut ServiceConfig) {
    cfg.service(at("/keys/signing", "GET, HEAD").route(read().to(keys::list_signing_keys)))
        .service(
            at("/keys/signing/rotate", "GET, HEAD, POST")
                .route(read().to(keys::read_signing_key_rotation))
                .route(post().to(keys::rotate_signing_key)),
        )
        .service(at("/keys/signing/{kid}", "DELETE").route(delete().to(keys::delete_signing_key)));
}

/// A resource under `/admin/v1` that takes these methods; others are answered by a problem.
fn at(path: &str, methods: &'static str) -> Resource {
    resource(format!("/admin/v1{path}")).default_service(only(methods))
}
