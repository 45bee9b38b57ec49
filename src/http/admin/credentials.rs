//! Routes of provider credentials, of the instance and of one app. The secret comes in and never goes out.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::{ConnectorsWrite, May, times};
use crate::admin::credentials::{Draft, Held, ProviderCredentials, Slot};
use crate::http::extract::{IfMatch, Json, Segments, etag};
use crate::http::problem::Answer;
use crate::model::app::AppId;
use crate::model::secret::Secret;

/// Credentials without their secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct CredentialsResponse {
    connector: String,
    /// Null: the instance's.
    app_id: Option<String>,
    client_id: String,
    /// Whether a secret is stored.
    has_secret: bool,
    /// Whether the secret before is live as well.
    has_previous_secret: bool,
    /// Asked for instead of the definition's.
    scopes: Option<Vec<String>>,
    /// URL variables they fix.
    params: BTreeMap<String, String>,
    /// To be registered at the provider, exactly.
    redirect_uri: String,
    /// Where flows that start at the provider come in.
    install_uri: Option<String>,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "times::time")]
    updated_at: OffsetDateTime,
}

/// Credentials to be stored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PutCredentialsRequest {
    #[schema(min_length = 1, max_length = 512)]
    client_id: String,
    /// May be missing only where the connector takes none (`token_auth` is `none`).
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4096, write_only)]
    client_secret: Option<Secret>,
    /// Instead of the definition's.
    scopes: Option<Vec<String>>,
    /// Values of URL variables.
    params: Option<BTreeMap<String, String>>,
}

/// What becomes of the secret before.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PutCredentialsParams {
    /// Keeps the old secret of the same client id live beside the new one.
    #[serde(default)]
    #[param(required = false)]
    keep_previous: bool,
}

type Put = May<ConnectorsWrite, (IfMatch, Json<PutCredentialsRequest>), PutCredentialsParams>;
type Delete = May<ConnectorsWrite, IfMatch>;
type Service = web::Data<ProviderCredentials>;

/// Reads the instance's credentials of a connector, without the secret.
#[utoipa::path(get, path = "/admin/v1/connectors/{connector}/credentials", tag = "credentials",
    params(("connector" = String, Path)), responses((status = 200, body = CredentialsResponse)))]
pub(in crate::http) async fn read_credentials(
    may: May<ConnectorsWrite>,
    path: Segments,
    service: Service,
) -> Answer {
    read(&may, None, &path, &service).await
}

/// Stores the instance's credentials of a connector.
#[utoipa::path(put, path = "/admin/v1/connectors/{connector}/credentials", tag = "credentials",
    params(("connector" = String, Path), PutCredentialsParams, ("If-Match" = Option<String>, Header)),
    request_body = PutCredentialsRequest, responses((status = 200, body = CredentialsResponse)))]
pub(in crate::http) async fn put_credentials(may: Put, path: Segments, service: Service) -> Answer {
    put(may, None, &path, &service).await
}

/// Removes the instance's credentials of a connector.
#[utoipa::path(delete, path = "/admin/v1/connectors/{connector}/credentials", tag = "credentials",
    params(("connector" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204)))]
pub(in crate::http) async fn delete_credentials(may: Delete, path: Segments, service: Service) -> Answer {
    delete(may, None, &path, &service).await
}

/// Reads an app's own credentials of a connector, without the secret.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/connectors/{connector}/credentials", tag = "credentials",
    params(("app_id" = String, Path), ("connector" = String, Path)),
    responses((status = 200, body = CredentialsResponse)))]
pub(in crate::http) async fn read_app_credentials(
    may: May<ConnectorsWrite>,
    path: Segments,
    service: Service,
) -> Answer {
    read(&may, Some(&path.app()?), &path, &service).await
}

/// Stores an app's own credentials of a connector.
#[utoipa::path(put, path = "/admin/v1/apps/{app_id}/connectors/{connector}/credentials", tag = "credentials",
    params(("app_id" = String, Path), ("connector" = String, Path), PutCredentialsParams,
        ("If-Match" = Option<String>, Header)),
    request_body = PutCredentialsRequest, responses((status = 200, body = CredentialsResponse)))]
pub(in crate::http) async fn put_app_credentials(may: Put, path: Segments, service: Service) -> Answer {
    put(may, Some(&path.app()?), &path, &service).await
}

/// Removes an app's own credentials of a connector.
#[utoipa::path(delete, path = "/admin/v1/apps/{app_id}/connectors/{connector}/credentials", tag = "credentials",
    params(("app_id" = String, Path), ("connector" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(in crate::http) async fn delete_app_credentials(may: Delete, path: Segments, service: Service) -> Answer {
    delete(may, Some(&path.app()?), &path, &service).await
}

async fn read(
    may: &May<ConnectorsWrite>,
    owner: Option<&AppId>,
    path: &Segments,
    service: &ProviderCredentials,
) -> Answer {
    let connector = path.connector()?;
    let held = service.require(&may.by, Slot { owner, connector: connector.as_str() }).await?;
    Ok(answer(held))
}

async fn put(may: Put, owner: Option<&AppId>, path: &Segments, service: &ProviderCredentials) -> Answer {
    let connector = path.connector()?;
    let (IfMatch(seen), Json(request)) = may.body;
    let draft = Draft {
        client_id: request.client_id,
        client_secret: request.client_secret,
        scopes: request.scopes,
        params: request.params.unwrap_or_default(),
    };
    let slot = Slot { owner, connector: connector.as_str() };
    Ok(answer(service.put(&may.by, slot, &draft, may.query.keep_previous, seen).await?))
}

async fn delete(
    may: Delete,
    owner: Option<&AppId>,
    path: &Segments,
    service: &ProviderCredentials,
) -> Answer {
    let connector = path.connector()?;
    let IfMatch(seen) = may.body;
    service.delete(&may.by, Slot { owner, connector: connector.as_str() }, seen).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn answer(held: Held) -> HttpResponse {
    let stored = held.credentials;
    HttpResponse::Ok().insert_header(etag(stored.version)).json(CredentialsResponse {
        connector: stored.connector.to_string(),
        app_id: stored.app.map(String::from),
        client_id: stored.client_id,
        has_secret: stored.sealed_secret.is_some(),
        has_previous_secret: stored.sealed_previous.is_some(),
        scopes: stored.scopes,
        params: stored.params,
        redirect_uri: held.redirect_uri,
        install_uri: held.install_uri,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
    })
}
