//! Routes of other resource servers and their scopes. A resource server is named by its URI, which does not fit into a
//! path: it stands in the body, and where there is none in the query.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::{ClientsRead, ClientsWrite, Collection, CollectionParams, May, times};
use crate::admin::resources::Resources;
use crate::http::extract::Json;
use crate::http::problem::Answer;
use crate::model::name::DisplayName;
use crate::model::resource::{Resource, ResourceScope};
use crate::model::uri::ResourceUri;

/// A resource server.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct ResourceResponse {
    /// `resource` of a token request, `aud` of the token.
    uri: String,
    name: String,
    scopes: Vec<String>,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
}

/// A resource server as it shall be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ResourceRequest {
    /// An absolute URI without a fragment; not the broker's own.
    #[schema(value_type = String, max_length = 2000)]
    uri: ResourceUri,
    #[schema(value_type = String)]
    name: DisplayName,
    /// Scope tokens (RFC 6749 §3.3), none of the broker's; at most 200.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<ResourceScope>,
}

/// Which resource server.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ResourceParams {
    /// Its URI.
    #[param(value_type = String)]
    uri: ResourceUri,
}

/// Lists the resource servers by URI.
#[utoipa::path(get, path = "/admin/v1/resources", tag = "resources", params(CollectionParams),
    responses((status = 200, body = Collection<ResourceResponse>)))]
pub(in crate::http) async fn list_resources(
    may: May<ClientsRead, (), CollectionParams>,
    resources: web::Data<Resources>,
) -> Answer {
    let part = resources.list(&may.by, &may.query.page()?).await?;
    Ok(HttpResponse::Ok().json(Collection::<ResourceResponse>::of(part)))
}

/// Registers a resource server.
#[utoipa::path(post, path = "/admin/v1/resources", tag = "resources", request_body = ResourceRequest,
    responses((status = 201, body = ResourceResponse)))]
pub(in crate::http) async fn create_resource(
    may: May<ClientsWrite, Json<ResourceRequest>>,
    resources: web::Data<Resources>,
) -> Answer {
    let Json(ResourceRequest { uri, name, scopes }) = may.body;
    let made = resources.create(&may.by, uri, &name, scopes.into_iter().collect()).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(ResourceResponse::from(made)))
}

/// Gives a resource server another name and other scopes.
#[utoipa::path(put, path = "/admin/v1/resources", tag = "resources", request_body = ResourceRequest,
    responses((status = 200, body = ResourceResponse)))]
pub(in crate::http) async fn replace_resource(
    may: May<ClientsWrite, Json<ResourceRequest>>,
    resources: web::Data<Resources>,
) -> Answer {
    let Json(ResourceRequest { uri, name, scopes }) = may.body;
    let changed = resources.replace(&may.by, &uri, &name, scopes.into_iter().collect()).await?;
    Ok(HttpResponse::Ok().json(ResourceResponse::from(changed)))
}

/// Deletes a resource server; clients get no more tokens for it.
#[utoipa::path(delete, path = "/admin/v1/resources", tag = "resources", params(ResourceParams),
    responses((status = 204)))]
pub(in crate::http) async fn delete_resource(
    may: May<ClientsWrite, (), ResourceParams>,
    resources: web::Data<Resources>,
) -> Answer {
    resources.delete(&may.by, &may.query.uri).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl From<Resource> for ResourceResponse {
    fn from(resource: Resource) -> Self {
        Self {
            uri: resource.uri.into(),
            name: resource.name,
            scopes: resource.scopes.into_iter().map(String::from).collect(),
            created_at: resource.created_at,
        }
    }
}
