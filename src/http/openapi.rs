//! What the HTTP interface is, as an OpenAPI 3.1 document printed from the routes.
//!
//! Each handler carries its own annotation; a new route is one more line in `paths`. The committed copy is
//! `api-spec/openapi.json`; a test fails when it differs from what is printed.

use serde::Serialize;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, Response, path::Operation};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::http::admin::{
    apps, clients, connections, connectors, credentials, generations, invitations, keys, members, resources,
    users,
};
use crate::http::oauth::{device, introspect, jwks, metadata, token, userinfo};
use crate::http::{binb_token, drop_in, explain, health, metrics};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "jeton",
        version = "1",
        description = "A multi-tenant, per-connector OAuth token broker. Errors are RFC 9457 problems; `code` and `action` are stable."
    ),
    paths(
        binb_token::binb_token, binb_token::connection_status, drop_in::provider_token,
        token::token, introspect::introspect, introspect::revoke, device::device_authorization, userinfo::userinfo,
        jwks::jwks, metadata::metadata, metadata::openid_metadata,
        health::read_health, health::read_readiness, metrics::read_metrics, explain::explain_problem,
        apps::list_apps, apps::create_app, apps::read_app, apps::change_app, apps::delete_app,
        members::list_members, members::put_member, members::delete_member,
        invitations::list_invitations, invitations::create_invitation, invitations::delete_invitation,
        connectors::list_connectors, connectors::create_connector, connectors::read_connector,
        connectors::replace_connector, connectors::delete_connector,
        credentials::read_credentials, credentials::put_credentials, credentials::delete_credentials,
        credentials::read_app_credentials, credentials::put_app_credentials,
        credentials::delete_app_credentials,
        connections::list_connections, connections::list_app_connections, connections::read_connection,
        connections::change_connection, connections::delete_connection, connections::import_connection,
        generations::list_generations, generations::restore_generation, generations::refresh_connection,
        clients::list_clients, clients::create_client, clients::read_client, clients::change_client,
        clients::delete_client, clients::create_client_secret, clients::delete_client_secret,
        resources::list_resources, resources::create_resource, resources::replace_resource,
        resources::delete_resource,
        users::list_users, users::create_user, users::read_user, users::change_user, users::delete_user,
        users::create_password_link, users::list_user_sessions, users::delete_user_sessions,
        keys::list_signing_keys, keys::rotate_signing_key, keys::read_signing_key_rotation,
        keys::delete_signing_key,
    ),
    components(schemas(ProblemResponse, ProblemAction, ProblemError)),
    modifiers(&Shared)
)]
struct Interface;

/// The document as it is committed: indented JSON with a final line end.
#[expect(clippy::expect_used, reason = "the document is made of texts and maps with text keys")]
pub fn document() -> String {
    let mut text = serde_json::to_string_pretty(&Interface::openapi()).expect("a document is JSON");
    text.push('\n');
    text
}

/// An error (RFC 9457), with more fields where the code has them.
#[derive(Serialize, ToSchema)]
struct ProblemResponse {
    /// `/problems/{code}`: explains it.
    r#type: String,
    title: String,
    status: u16,
    /// What happened.
    detail: String,
    /// Stable.
    code: String,
    action: ProblemAction,
    /// In the log, too.
    trace_id: Option<String>,
    /// With `invalid_request`: each fault.
    #[schema(required = false, nullable = false)]
    errors: Option<Vec<ProblemError>>,
}

/// What the caller should do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "the shape alone is used")]
enum ProblemAction {
    Retry,
    Reauthorize,
    FixConfiguration,
    RequestAccess,
    ChangeRequest,
}

/// A fault of a request.
#[derive(Serialize, ToSchema)]
struct ProblemError {
    /// JSON pointer into the body, or the name of a parameter.
    pointer: String,
    detail: String,
}

/// What every route has: problems, and a bearer token unless its annotation says `security(())`.
struct Shared;

const BEARER: &str = "bearer";

impl Modify for Shared {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token of ours (RFC 9068), from /o/token/."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
        components.add_security_scheme("basic", SecurityScheme::Http(basic));
        for (name, schema) in &mut components.schemas {
            if name.contains("Response") {
                complete(schema);
            }
        }
        for item in document.paths.paths.values_mut() {
            let slots = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            for operation in slots.into_iter().flatten() {
                describe(operation);
                operation.responses.responses.entry("default".to_owned()).or_insert_with(problem);
                protect(operation);
            }
        }
    }
}

/// Keys of an answer are always there, null when empty.
fn complete(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            for (name, property) in &object.properties {
                if is_nullable(property) && !object.required.contains(name) {
                    object.required.push(name.clone());
                }
            }
        }
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(complete),
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

fn is_nullable(schema: &RefOr<Schema>) -> bool {
    let has_null = |kind: &SchemaType| match kind {
        SchemaType::Type(one) => *one == Type::Null,
        SchemaType::Array(several) => several.contains(&Type::Null),
        SchemaType::AnyValue => false,
    };
    match schema {
        RefOr::T(Schema::Object(object)) => has_null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => has_null(&array.schema_type),
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(is_nullable),
        RefOr::T(_) | RefOr::Ref(_) => false,
    }
}

/// OpenAPI 3.1 wants a description of every answer.
fn describe(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = match status.as_str() {
                "201" => "Created",
                "204" => "Done; nothing to tell",
                _ => "Done",
            }
            .to_owned();
        }
    }
}

fn protect(operation: &mut Operation) {
    let none: [&str; 0] = [];
    operation.security.get_or_insert_with(|| vec![SecurityRequirement::new(BEARER, none)]);
}

fn problem() -> RefOr<Response> {
    let mut response = Response::new("A problem");
    let schema = Ref::from_schema_name("ProblemResponse");
    response.content.insert("application/problem+json".to_owned(), RefOr::T(Content::new(Some(schema))));
    RefOr::T(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_the_printed_one() {
        let committed = include_str!("../../api-spec/openapi.json");
        assert!(
            committed == document(),
            "api-spec/openapi.json is out of date: cargo run -- openapi > api-spec/openapi.json"
        );
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_a_problem() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is used twice");
                let content = &operation["responses"]["default"]["content"];
                // Where tokens are given for a client's secret, errors have the form of RFC 6749 §5.2.
                let oauth = path.starts_with("/o/") || path.ends_with("/token");
                let kind = if oauth { "application/json" } else { "application/problem+json" };
                assert!(content[kind].is_object(), "{method} {path}");
                let open = operation["security"][0].as_object().unwrap().is_empty();
                assert!(!open || !path.starts_with("/admin/v1/"), "{method} {path}");
            }
        }
        assert!(ids.len() >= 40);
    }
}
