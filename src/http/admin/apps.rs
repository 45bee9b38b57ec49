//! Routes under `/apps`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::{AppsRead, AppsWrite, Collection, CollectionParams, May, times};
use crate::admin::apps::{Apps, Change};
use crate::http::extract::{Json, Segments};
use crate::http::problem::Answer;
use crate::model::app::{App, AppId, AppState};
use crate::model::name::DisplayName;

/// A tenant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct AppResponse {
    #[schema(value_type = String)]
    id: AppId,
    name: String,
    state: AppState,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
}

impl From<App> for AppResponse {
    fn from(app: App) -> Self {
        Self { id: app.id, name: app.name, state: app.state, created_at: app.created_at }
    }
}

/// A new tenant.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateAppRequest {
    /// A slug, never used before.
    #[schema(value_type = String, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    id: AppId,
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: DisplayName,
}

/// What to change of a tenant.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ChangeAppRequest {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Option<DisplayName>,
    state: Option<AppState>,
}

/// Repeats what is deleted for good.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DeleteAppParams {
    /// The app's id once more.
    #[serde(default)]
    #[param(required = true)]
    confirm: String,
}

/// What a deletion left alive.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct DeleteAppResponse {
    id: String,
    /// Connections whose tokens the provider did not take back: revoke them there.
    not_revoked: Vec<NotRevokedResponse>,
}

/// A connection whose tokens live on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct NotRevokedResponse {
    connector: String,
    flow: String,
}

/// Lists the apps by id.
#[utoipa::path(get, path = "/admin/v1/apps", tag = "apps", params(CollectionParams),
    responses((status = 200, body = Collection<AppResponse>)))]
pub(in crate::http) async fn list_apps(
    may: May<AppsRead, (), CollectionParams>,
    apps: web::Data<Apps>,
) -> Answer {
    let part = apps.list(&may.by, &may.query.page()?).await?;
    Ok(HttpResponse::Ok().json(Collection::<AppResponse>::of(part)))
}

/// Makes an app with a data key of its own.
#[utoipa::path(post, path = "/admin/v1/apps", tag = "apps", request_body = CreateAppRequest,
    responses((status = 201, body = AppResponse)))]
pub(in crate::http) async fn create_app(
    may: May<AppsWrite, Json<CreateAppRequest>>,
    apps: web::Data<Apps>,
) -> Answer {
    let Json(request) = may.body;
    let app = apps.create(&may.by, &request.id, &request.name).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(AppResponse::from(app)))
}

/// Reads an app.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}", tag = "apps", params(("app_id" = String, Path)),
    responses((status = 200, body = AppResponse)))]
pub(in crate::http) async fn read_app(may: May<AppsRead>, path: Segments, apps: web::Data<Apps>) -> Answer {
    let app = apps.require(&may.by, &path.app()?).await?;
    Ok(HttpResponse::Ok().json(AppResponse::from(app)))
}

/// Renames, disables or enables an app.
#[utoipa::path(patch, path = "/admin/v1/apps/{app_id}", tag = "apps", params(("app_id" = String, Path)),
    request_body = ChangeAppRequest, responses((status = 200, body = AppResponse)))]
pub(in crate::http) async fn change_app(
    may: May<AppsWrite, Json<ChangeAppRequest>>,
    path: Segments,
    apps: web::Data<Apps>,
) -> Answer {
    let Json(ChangeAppRequest { name, state }) = may.body;
    let app = apps.change(&may.by, &path.app()?, &Change { name, state }).await?;
    Ok(HttpResponse::Ok().json(AppResponse::from(app)))
}

/// Deletes an app for good: revokes its connections at their providers, then destroys its data key.
#[utoipa::path(delete, path = "/admin/v1/apps/{app_id}", tag = "apps",
    params(("app_id" = String, Path), DeleteAppParams), responses(
        (status = 204),
        (status = 200, body = DeleteAppResponse, description = "Deleted, but providers did not take everything back")))]
pub(in crate::http) async fn delete_app(
    may: May<AppsWrite, (), DeleteAppParams>,
    path: Segments,
    apps: web::Data<Apps>,
) -> Answer {
    let app = path.app()?;
    let left = apps.delete(&may.by, &app, &may.query.confirm).await?;
    if left.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let not_revoked = left
        .into_iter()
        .map(|left| NotRevokedResponse { connector: left.connector.into(), flow: left.flow.into() })
        .collect();
    Ok(HttpResponse::Ok().json(DeleteAppResponse { id: app.into(), not_revoked }))
}
