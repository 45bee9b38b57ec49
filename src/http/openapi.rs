//! What the HTTP interface is, as an OpenAPI 3.1 document printed from the routes.
//!
//! Each handler carries its own annotation; a new route is one more line in `paths`. The committed copy is
//! `api-spec/openapi.json`; a test fails when it differs from what is printed.

use serde::Serialize;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, Response, Server, path::Operation};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::http::admin::{
    apps, clients, connections, connectors, credentials, generations, invitations, keys, members, resources,
    signup_links, users,
};
use crate::http::oauth::{authorize, device, introspect, jwks, metadata, token, userinfo};
use crate::http::{binb_token, docs, drop_in, explain, health, metrics};
use crate::model::scope::Scope;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "jeton",
        version = "1",
        description = "A multi-tenant, per-connector OAuth token broker. Errors are RFC 9457 problems; `code` and `action` are stable."
    ),
    paths(
        binb_token::binb_token, binb_token::connection_status, drop_in::provider_token,
        token::token, introspect::introspect, introspect::revoke,
        authorize::authorize, authorize::decide_authorization,
        device::device_authorization, device::device_page, device::decide_device,
        userinfo::userinfo, userinfo::userinfo_by_post,
        jwks::jwks, metadata::metadata, metadata::openid_metadata,
        health::read_health, health::read_readiness, metrics::read_metrics, explain::explain_problem,
        docs::read_reference, docs::read_document,
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
        clients::check_client_delivery, clients::deliver_client_credential,
        resources::list_resources, resources::create_resource, resources::replace_resource,
        resources::delete_resource,
        signup_links::create_signup_link, signup_links::confirm_signup_link,
        users::list_users, users::create_user, users::read_user, users::change_user, users::delete_user,
        users::create_password_link, users::list_user_sessions, users::delete_user_sessions,
        keys::list_signing_keys, keys::rotate_signing_key, keys::read_signing_key_rotation,
        keys::delete_signing_key,
    ),
    tags(
        (name = "hand-out", description = "A job gets the token of a connected account. The client needs the role `superadmin` and the scope `binb:read`, and its `allow` must cover the app and connector."),
        (name = "authorization server", description = "Access tokens of ours, and what verifies them. Errors under `/o/` are RFC 6749 §5.2 JSON, and pages where a browser comes (`/o/authorize/`, `/o/device/`); unknown parameters are ignored there."),
        (name = "apps", description = "The tenants: each has members, connections and a data key of its own."),
        (name = "members", description = "Who may connect accounts for an app."),
        (name = "invitations", description = "How a person becomes a member. We send no mail: the link is yours to send."),
        (name = "connectors", description = "How to speak OAuth with a provider: the catalog's definitions, and your own."),
        (name = "credentials", description = "Our client id and secret at a provider, for the whole instance or for one app."),
        (name = "connections", description = "An account's grant to an app: states, imports, refreshes, undo, deletion."),
        (name = "clients", description = "Programs that call this interface, their rights and their secrets."),
        (name = "resources", description = "Other resource servers and their scopes: clients get tokens for them here."),
        (name = "users", description = "People who sign in here."),
        (name = "signup links", description = "A service provider sends its own people to connect an account, and takes them back."),
        (name = "keys", description = "Keys that sign our tokens: pending, active, retired."),
        (name = "operation", description = "Whether it is well, what is counted, and what all of this means."),
    ),
    components(schemas(ProblemResponse, ProblemAction, ProblemError, connections::StateParam)),
    modifiers(&Shared)
)]
struct Interface;

/// The document as it is committed: indented JSON with a final line end.
pub fn document() -> String {
    written(&Interface::openapi())
}

/// The document of a broker that is known under this URL.
pub fn document_at(public_url: &str) -> String {
    let mut document = Interface::openapi();
    document.servers = Some(vec![Server::new(public_url)]);
    written(&document)
}

#[expect(clippy::expect_used, reason = "the document is made of texts and maps with text keys")]
fn written(document: &Document) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("a document is JSON");
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
        let cookie = ApiKeyValue::with_description(
            "__Host-jeton",
            "The session of a signed-in browser. With plain http, on loopback, the cookie is called `jeton_PORT`.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        for (name, schema) in &mut components.schemas {
            if let Some(item) = name.strip_prefix("Collection_") {
                name_items(schema, item);
            }
            if name.contains("Response") {
                complete(schema);
            }
        }
        for item in document.paths.paths.values_mut() {
            let slots = [
                (true, &mut item.get),
                (false, &mut item.put),
                (false, &mut item.post),
                (false, &mut item.delete),
                (false, &mut item.patch),
            ];
            for (reads, slot) in slots {
                let Some(operation) = slot else { continue };
                describe(operation);
                operation.responses.responses.entry("default".to_owned()).or_insert_with(problem);
                protect(operation, reads);
            }
        }
    }
}

/// A collection names the schema of its items instead of repeating it.
fn name_items(schema: &mut RefOr<Schema>, item: &str) {
    if let RefOr::T(Schema::Object(object)) = schema
        && let Some(RefOr::T(Schema::Array(list))) = object.properties.get_mut("items")
    {
        list.items = Ref::from_schema_name(item).into();
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

fn protect(operation: &mut Operation, reads: bool) {
    let tag = operation.tags.iter().flatten().next().map_or("", String::as_str);
    let scopes = scope(tag, reads).map(Scope::as_str);
    operation.security.get_or_insert_with(|| vec![SecurityRequirement::new(BEARER, scopes)]);
}

/// The scope that the routes of a tag ask for, held against the routes by a test. OpenAPI 3.1 lets a requirement of any
/// scheme name what the caller must have.
fn scope(tag: &str, reads: bool) -> Option<Scope> {
    match (tag, reads) {
        ("hand-out", _) => Some(Scope::BinbRead),
        ("apps" | "members" | "invitations", true) => Some(Scope::AppsRead),
        ("apps" | "members" | "invitations", false) => Some(Scope::AppsWrite),
        ("connectors" | "credentials", _) => Some(Scope::ConnectorsWrite),
        ("connections", true) | ("operation", _) => Some(Scope::ConnectionsRead),
        ("connections", false) => Some(Scope::ConnectionsWrite),
        ("clients" | "resources" | "users", true) => Some(Scope::ClientsRead),
        ("clients" | "resources" | "users", false) => Some(Scope::ClientsWrite),
        ("signup links", _) => Some(Scope::SignupsWrite),
        ("keys", _) => Some(Scope::KeysWrite),
        _ => None,
    }
}

fn problem() -> RefOr<Response> {
    let mut response = Response::new("A problem");
    let schema = Ref::from_schema_name("ProblemResponse");
    response.content.insert("application/problem+json".to_owned(), RefOr::T(Content::new(Some(schema))));
    RefOr::T(response)
}

#[cfg(test)]
mod served_tests;
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
    fn every_reference_leads_to_something() {
        let text = document();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let references: Vec<&str> =
            text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(references.len() > 100);
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
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
                let kind = match path.as_str() {
                    "/o/authorize/" | "/o/device/" => "text/html",
                    _ if oauth => "application/json",
                    _ => "application/problem+json",
                };
                assert!(content[kind].is_object(), "{method} {path}");
                let open = operation["security"][0].as_object().unwrap().is_empty();
                assert!(!open || !path.starts_with("/admin/v1/"), "{method} {path}");
            }
        }
        assert!(ids.len() >= 40);
    }
}
