//! Routes of connections: lists, status, sharing, import, deletion.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::page;
use super::place::Place;
use super::{Collection, CollectionParams, ConnectionsRead, ConnectionsWrite, May, times};
use crate::admin::Page;
use crate::admin::apps::Apps;
use crate::admin::connections::{Expiry, Import, Imports};
use crate::http::extract::{Json, Segments};
use crate::http::problem::{Answer, Problem};
use crate::identity::Superadmin;
use crate::keeper::{ListFilter, SecretsKeeper, Status};
use crate::model::app::AppId;
use crate::model::connection::{Flow, Reason};
use crate::model::connector::ConnectorId;
use crate::model::secret::Secret;

/// What a connection is, without its tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct ConnectionResponse {
    app_id: String,
    connector: String,
    flow: String,
    /// `active`, `misconfigured`, `reauthorization_required` or `revoked`.
    state: &'static str,
    /// Why a new consent is needed.
    reason: Option<&'static str>,
    /// Since when it is in this state.
    #[serde(serialize_with = "times::time")]
    since: OffsetDateTime,
    /// Counts token sets.
    generation: i64,
    /// When the access token dies; null: not known.
    #[serde(serialize_with = "times::optional")]
    expires_at: Option<OffsetDateTime>,
    /// What people call the account.
    account: Option<String>,
    connected_by: Option<String>,
    #[serde(serialize_with = "times::optional")]
    last_refresh_at: Option<OffsetDateTime>,
    last_error: Option<LastErrorResponse>,
    /// Whether members of the app may get its tokens.
    shared: bool,
}

/// What went wrong last.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct LastErrorResponse {
    code: String,
    #[serde(serialize_with = "times::time")]
    at: OffsetDateTime,
}

/// What became of the grant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct DeleteConnectionResponse {
    app_id: String,
    connector: String,
    flow: String,
    /// At the provider: `revoked`, `failed`, `skipped` or `unsupported`.
    revocation: &'static str,
}

/// Which of several connections.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FlowParams {
    /// Without it: the one named `default`, else the only one.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,64}$")]
    pub(super) flow: Option<Flow>,
}

/// Which connections of all apps.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListConnectionsParams {
    /// In this state.
    state: Option<StateParam>,
    /// Of this connector.
    #[param(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    /// Of this app.
    #[param(value_type = Option<String>)]
    app_id: Option<AppId>,
    /// Whose access token dies before.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_before: Option<OffsetDateTime>,
    /// At most so many items (1 to 200; 50 by default).
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// States of a connection.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum StateParam {
    Active,
    Misconfigured,
    ReauthorizationRequired,
    Revoked,
}

impl StateParam {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Misconfigured => "misconfigured",
            Self::ReauthorizationRequired => "reauthorization_required",
            Self::Revoked => "revoked",
        }
    }
}

/// Whether members of the app may get a connection's tokens.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ChangeConnectionRequest {
    shared: bool,
}

/// A token set made elsewhere; at most one of `expires_in` and `expires_at`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ImportRequest {
    #[schema(value_type = String, write_only)]
    access_token: Secret,
    #[schema(value_type = Option<String>, write_only)]
    refresh_token: Option<Secret>,
    /// Seconds of life left.
    #[schema(minimum = 1, maximum = 315360000)]
    expires_in: Option<i64>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// As granted, separated by spaces.
    scope: Option<String>,
    /// `default` when missing.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,64}$")]
    flow: Option<Flow>,
    /// Extra fields of the connector, handed out with the token.
    #[schema(value_type = Option<Object>)]
    extra: Option<BTreeMap<String, serde_json::Value>>,
    /// Whether an existing connection is replaced.
    replace: Option<bool>,
}

impl From<Status> for ConnectionResponse {
    fn from(status: Status) -> Self {
        Self {
            app_id: status.app.into(),
            connector: status.connector.into(),
            flow: status.flow.into(),
            state: status.state.as_str(),
            reason: status.state.reason().map(Reason::as_str),
            since: status.since,
            generation: status.generation.0,
            expires_at: status.expires_at,
            account: status.account,
            connected_by: status.connected_by,
            last_refresh_at: status.last_refresh_at,
            last_error: status.last_error.map(|last| LastErrorResponse { code: last.code, at: last.at }),
            shared: status.shared,
        }
    }
}

/// Lists connections of all apps, oldest first.
#[utoipa::path(get, path = "/admin/v1/connections", tag = "connections", params(ListConnectionsParams),
    responses((status = 200, body = Collection<ConnectionResponse>)))]
pub(in crate::http) async fn list_connections(
    may: May<ConnectionsRead, (), ListConnectionsParams>,
    keeper: web::Data<SecretsKeeper>,
) -> Answer {
    let query = may.query;
    let filter = ListFilter {
        app: query.app_id,
        connector: query.connector,
        state: query.state.map(|state| state.as_str().to_owned()),
        expires_before: query.expires_before,
        ..ListFilter::default()
    };
    list(&may.by, filter, &page(query.limit, query.cursor.as_deref())?, &keeper).await
}

/// Lists an app's connections, oldest first.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/connections", tag = "connections",
    params(("app_id" = String, Path), CollectionParams),
    responses((status = 200, body = Collection<ConnectionResponse>)))]
pub(in crate::http) async fn list_app_connections(
    may: May<ConnectionsRead, (), CollectionParams>,
    path: Segments,
    apps: web::Data<Apps>,
    keeper: web::Data<SecretsKeeper>,
) -> Answer {
    let app = apps.require(&may.by, &path.app()?).await?;
    let filter = ListFilter { app: Some(app.id), ..ListFilter::default() };
    list(&may.by, filter, &may.query.page()?, &keeper).await
}

/// Reads a connection.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/connections/{connector}", tag = "connections",
    params(("app_id" = String, Path), ("connector" = String, Path), FlowParams),
    responses((status = 200, body = ConnectionResponse)))]
pub(in crate::http) async fn read_connection(at: Place<ConnectionsRead>) -> Answer {
    at.answer(at.keeper.connection(&at.may.by, &at.app, &at.connector, at.may.query.flow.as_ref()).await)
}

/// Shares a connection with the members of its app, or no longer.
#[utoipa::path(patch, path = "/admin/v1/apps/{app_id}/connections/{connector}", tag = "connections",
    params(("app_id" = String, Path), ("connector" = String, Path), FlowParams),
    request_body = ChangeConnectionRequest, responses((status = 200, body = ConnectionResponse)))]
pub(in crate::http) async fn change_connection(
    at: Place<ConnectionsWrite, Json<ChangeConnectionRequest>>,
) -> Answer {
    let (may, shared) = (&at.may, at.may.body.0.shared);
    at.answer(at.keeper.share(&may.by, &at.app, &at.connector, may.query.flow.as_ref(), shared).await)
}

/// Deletes a connection and revokes its grant at the provider; says what became of that.
#[utoipa::path(delete, path = "/admin/v1/apps/{app_id}/connections/{connector}", tag = "connections",
    params(("app_id" = String, Path), ("connector" = String, Path), FlowParams),
    responses((status = 200, body = DeleteConnectionResponse)))]
pub(in crate::http) async fn delete_connection(at: Place<ConnectionsWrite>) -> Answer {
    let flow = at.may.query.flow.as_ref();
    let deletion = at.told(at.keeper.delete(&at.may.by, &at.app, &at.connector, flow).await)?;
    Ok(HttpResponse::Ok().json(DeleteConnectionResponse {
        app_id: at.app.into(),
        connector: at.connector.into(),
        flow: deletion.flow.into(),
        revocation: deletion.revocation.as_str(),
    }))
}

/// Takes in a token set that was made elsewhere; never calls the provider.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/connections/{connector}/import", tag = "connections",
    params(("app_id" = String, Path), ("connector" = String, Path)), request_body = ImportRequest,
    responses((status = 201, body = ConnectionResponse)))]
pub(in crate::http) async fn import_connection(
    may: May<ConnectionsWrite, Json<ImportRequest>>,
    path: Segments,
    imports: web::Data<Imports>,
) -> Answer {
    let Json(request) = may.body;
    let (app, connector) = (path.app()?, path.connector()?);
    let status = imports.take(&may.by, &app, connector.as_str(), import(request)?).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(ConnectionResponse::from(status)))
}

fn import(request: ImportRequest) -> Result<Import, Problem> {
    let expiry = match (request.expires_in, request.expires_at) {
        (Some(_), Some(_)) => return Err(Problem::invalid("/expires_at", "cannot stand beside expires_in")),
        (Some(seconds), None) => Expiry::In(seconds),
        (None, Some(at)) => Expiry::At(at),
        (None, None) => Expiry::Unknown,
    };
    Ok(Import {
        access_token: request.access_token,
        refresh_token: request.refresh_token,
        expiry,
        scope: request.scope,
        flow: request.flow.unwrap_or_default(),
        extra: request.extra.unwrap_or_default(),
        replace: request.replace.unwrap_or_default(),
    })
}

async fn list(by: &Superadmin, mut filter: ListFilter, page: &Page, keeper: &SecretsKeeper) -> Answer {
    let after = page.after.as_deref().map(Uuid::try_parse).transpose();
    filter.after = after.map_err(|_| Problem::invalid("cursor", "is no cursor of ours"))?;
    filter.limit = page.rows();
    let part = page.cut(keeper.list(by, &filter).await?, |status| status.id.to_string());
    Ok(HttpResponse::Ok().json(Collection::<ConnectionResponse>::of(part)))
}
