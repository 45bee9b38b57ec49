//! Routes under `/connectors`: definitions, those of the catalog and custom ones.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Collection, CollectionParams, ConnectorsWrite, May};
use crate::admin::connectors::Connectors;
use crate::http::extract::{Json, Segments};
use crate::http::problem::Answer;
use crate::model::connector::Definition;

/// A connector definition: every key, so that it can be changed and put back.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub(in crate::http) struct ConnectorResponse(Definition);

impl From<Arc<Definition>> for ConnectorResponse {
    fn from(definition: Arc<Definition>) -> Self {
        Self(Arc::unwrap_or_clone(definition))
    }
}

/// Confirms where a connector's secrets go.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ReplaceConnectorParams {
    /// The new token endpoint's origin (`https://host[:port]`): lets the connections go on that a changed
    /// origin parked.
    confirm_origin: Option<String>,
}

/// Lists the definitions by id.
#[utoipa::path(get, path = "/admin/v1/connectors", tag = "connectors", params(CollectionParams),
    responses((status = 200, body = Collection<ConnectorResponse>)))]
pub(in crate::http) async fn list_connectors(
    may: May<ConnectorsWrite, (), CollectionParams>,
    connectors: web::Data<Connectors>,
) -> Answer {
    let page = may.query.page()?;
    let part = page.slice(connectors.list(&may.by).await?, |definition| definition.id.to_string());
    Ok(HttpResponse::Ok().json(Collection::<ConnectorResponse>::of(part)))
}

/// Defines a connector.
#[utoipa::path(post, path = "/admin/v1/connectors", tag = "connectors", request_body = Definition,
    responses((status = 201, body = ConnectorResponse)))]
pub(in crate::http) async fn create_connector(
    may: May<ConnectorsWrite, Json<Definition>>,
    connectors: web::Data<Connectors>,
) -> Answer {
    let Json(definition) = may.body;
    connectors.create(&may.by, &definition).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(ConnectorResponse(definition)))
}

/// Reads a definition, by id or alias.
#[utoipa::path(get, path = "/admin/v1/connectors/{connector}", tag = "connectors",
    params(("connector" = String, Path)), responses((status = 200, body = ConnectorResponse)))]
pub(in crate::http) async fn read_connector(
    may: May<ConnectorsWrite>,
    path: Segments,
    connectors: web::Data<Connectors>,
) -> Answer {
    let definition = connectors.require(&may.by, path.connector()?.as_str()).await?;
    Ok(HttpResponse::Ok().json(ConnectorResponse::from(definition)))
}

/// Replaces a custom definition. Another token origin removes the stored credentials and parks the connections.
#[utoipa::path(put, path = "/admin/v1/connectors/{connector}", tag = "connectors",
    params(("connector" = String, Path), ReplaceConnectorParams), request_body = Definition,
    responses((status = 200, body = ConnectorResponse)))]
pub(in crate::http) async fn replace_connector(
    may: May<ConnectorsWrite, Json<Definition>, ReplaceConnectorParams>,
    path: Segments,
    connectors: web::Data<Connectors>,
) -> Answer {
    let Json(definition) = may.body;
    let confirmed = may.query.confirm_origin.as_deref();
    connectors.replace(&may.by, &path.connector()?, &definition, confirmed).await?;
    Ok(HttpResponse::Ok().json(ConnectorResponse(definition)))
}

/// Deletes a custom definition that no connection uses, and its credentials.
#[utoipa::path(delete, path = "/admin/v1/connectors/{connector}", tag = "connectors",
    params(("connector" = String, Path)), responses((status = 204)))]
pub(in crate::http) async fn delete_connector(
    may: May<ConnectorsWrite>,
    path: Segments,
    connectors: web::Data<Connectors>,
) -> Answer {
    connectors.delete(&may.by, &path.connector()?).await?;
    Ok(HttpResponse::NoContent().finish())
}
