//! Handing out a token: `GET /{app_id}/{connector}/binb-token` and its status, for superadmins.

use std::time::Duration;

use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::extract::{Caller, Query, Segments};
use crate::http::problem::{Answer, Outcome, Problem, rfc3339};
use crate::http::settings::WebSettings;
use crate::identity::MayReceive;
use crate::keeper::{HandedToken, Lifetime, SecretsKeeper, Status};
use crate::model::connection::{Degraded, Flow, Request};
use crate::model::connector::ConnectorId;
use crate::model::token_set::Generation;

/// What a job may ask for (api.md, "Handing out a token").
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BinbTokenParams {
    /// Which connection; without it the one named `default`, else the only one.
    #[param(value_type = Option<String>)]
    flow: Option<Flow>,
    /// The older name of `flow`.
    #[param(value_type = Option<String>)]
    auth_flow_id: Option<Flow>,
    /// Seconds, 1 to 86400, that must remain until `guaranteed_until`: met, or an error.
    #[param(minimum = 1, maximum = 86400)]
    min_ttl: Option<u32>,
    /// The API refused the token of this generation.
    rejected: Option<i64>,
    /// Seconds, 0 to 30, to wait for a refresh under way; 20 when not said.
    #[param(maximum = 30)]
    wait: Option<u8>,
}

/// Which connection's status.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatusParams {
    /// Which connection; without it the one named `default`, else the only one.
    #[param(value_type = Option<String>)]
    flow: Option<Flow>,
    /// The older name of `flow`.
    #[param(value_type = Option<String>)]
    auth_flow_id: Option<Flow>,
}

/// A token with what is known and guaranteed of it. The times are null when no expiry is known.
#[derive(Serialize, ToSchema)]
pub(super) struct BinbTokenResponse {
    access_token: String,
    token_type: &'static str,
    /// Seconds until `expires_at`.
    expires_in: Option<i64>,
    /// When the provider ends it.
    expires_at: Option<String>,
    /// No refresh of ours ends it before.
    guaranteed_until: Option<String>,
    /// As granted.
    scope: Option<String>,
    app_id: String,
    connector: String,
    flow: String,
    /// Counts the connection's token sets; for `rejected`.
    generation: i64,
    /// Whether it was refreshed while the caller waited.
    refreshed: bool,
    /// Fields of the provider's answer that its API needs.
    #[schema(value_type = Object)]
    extra: serde_json::Map<String, serde_json::Value>,
    degraded: Option<DegradedResponse>,
}

/// Why the token is not as good as it should be.
#[derive(Serialize, ToSchema)]
pub(super) struct DegradedResponse {
    code: &'static str,
    since: String,
    detail: &'static str,
}

/// A connection without its token.
#[derive(Serialize, ToSchema)]
pub(super) struct StatusResponse {
    app_id: String,
    connector: String,
    flow: String,
    state: &'static str,
    reason: Option<&'static str>,
    since: String,
    generation: i64,
    expires_at: Option<String>,
    account: Option<String>,
    connected_by: Option<String>,
    last_refresh_at: Option<String>,
    last_error: Option<LastErrorResponse>,
}

/// The last failure since the last success.
#[derive(Serialize, ToSchema)]
#[schema(as = StatusLastErrorResponse)]
pub(super) struct LastErrorResponse {
    code: String,
    at: String,
}

/// A valid token for this app's connection, refreshed when due.
#[utoipa::path(get, path = "/{app_id}/{connector}/binb-token", tag = "hand-out",
    params(("app_id" = String, Path), ("connector" = String, Path), BinbTokenParams),
    responses((status = 200, body = BinbTokenResponse)))]
pub(super) async fn binb_token(
    caller: Caller,
    request: HttpRequest,
    keeper: web::Data<SecretsKeeper>,
    web: web::Data<WebSettings>,
) -> Answer {
    let by = receiver(&caller, &request, &keeper).await?;
    let params = Query::<BinbTokenParams>::extract(&request).await?.0;
    let flow = one_flow(params.flow.as_ref(), params.auth_flow_id.as_ref())?;
    let lifetime = params.lifetime()?;
    let token = keeper
        .retrieve_token(&by, flow, lifetime)
        .await
        .map_err(|error| Problem::of_connection(error, by.app(), by.connector(), &web))?;
    let degraded = token.degraded.is_some();
    let mut response = answer(BinbTokenResponse::of(token, &by));
    if degraded {
        response.extensions_mut().insert(Outcome("degraded"));
    }
    Ok(response)
}

/// Where the connection stands; no token, nothing spent.
#[utoipa::path(get, path = "/{app_id}/{connector}/status", tag = "hand-out",
    params(("app_id" = String, Path), ("connector" = String, Path), StatusParams),
    responses((status = 200, body = StatusResponse)))]
pub(super) async fn connection_status(
    caller: Caller,
    request: HttpRequest,
    keeper: web::Data<SecretsKeeper>,
    web: web::Data<WebSettings>,
) -> Answer {
    let by = receiver(&caller, &request, &keeper).await?;
    let params = Query::<StatusParams>::extract(&request).await?.0;
    let flow = one_flow(params.flow.as_ref(), params.auth_flow_id.as_ref())?;
    let status = keeper
        .status(&by, flow)
        .await
        .map_err(|error| Problem::of_connection(error, by.app(), by.connector(), &web))?;
    Ok(answer(StatusResponse::from(status)))
}

/// The right to this location, decided before any look-up of app or connection. A connector's alias means the
/// connector.
pub(super) async fn receiver(
    caller: &Caller,
    request: &HttpRequest,
    keeper: &SecretsKeeper,
) -> Answer<MayReceive> {
    let path = Segments::extract(request).await.unwrap_or_else(|never| match never {});
    let (Ok(app), Ok(name)) = (path.app(), path.connector()) else { return caller.may_receive(&path) };
    let connector: ConnectorId = keeper.canonical(&name).await;
    Ok(caller.0.may_receive(&app, &connector)?)
}

fn one_flow<'p>(flow: Option<&'p Flow>, older: Option<&'p Flow>) -> Answer<Option<&'p Flow>> {
    match (flow, older) {
        (Some(_), Some(_)) => {
            Err(Problem::invalid("auth_flow_id", "is another name of `flow`: send one of them"))
        }
        (flow, older) => Ok(flow.or(older)),
    }
}

fn answer(body: impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("Pragma", "no-cache"))
        .json(body)
}

impl BinbTokenParams {
    fn lifetime(&self) -> Answer<Lifetime> {
        let wait = self.wait.unwrap_or(20);
        if wait > 30 {
            return Err(Problem::invalid("wait", "must be 0 to 30 seconds"));
        }
        let request = Request {
            min_ttl: self.min_ttl.map(min_ttl).transpose()?,
            rejected: self.rejected.map(Generation),
        };
        Ok(Lifetime { request, wait: Duration::from_secs(wait.into()) })
    }
}

/// A `min_ttl` within its bounds.
pub(super) fn min_ttl(seconds: u32) -> Answer<time::Duration> {
    match seconds {
        1..=86_400 => Ok(time::Duration::seconds(seconds.into())),
        _ => Err(Problem::invalid("min_ttl", "must be 1 to 86400 seconds")),
    }
}

impl BinbTokenResponse {
    #[expect(clippy::disallowed_methods, reason = "door: the hand-out itself")]
    fn of(token: HandedToken, by: &MayReceive) -> Self {
        Self {
            access_token: token.access_token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: token.expires_in,
            expires_at: token.expires_at.map(rfc3339),
            guaranteed_until: token.guaranteed_until.map(rfc3339),
            scope: token.scope,
            app_id: by.app().to_string(),
            connector: by.connector().to_string(),
            flow: token.flow.to_string(),
            generation: token.generation.0,
            refreshed: token.refreshed,
            extra: token.extra,
            degraded: token.degraded.map(DegradedResponse::from),
        }
    }
}

impl From<Degraded> for DegradedResponse {
    fn from(degraded: Degraded) -> Self {
        Self { code: degraded.code.as_str(), since: rfc3339(degraded.since), detail: degraded.code.detail() }
    }
}

impl From<Status> for StatusResponse {
    fn from(status: Status) -> Self {
        let last_error =
            status.last_error.map(|error| LastErrorResponse { code: error.code, at: rfc3339(error.at) });
        Self {
            app_id: status.app.to_string(),
            connector: status.connector.to_string(),
            flow: status.flow.to_string(),
            state: status.state.as_str(),
            reason: status.state.reason().map(|reason| reason.as_str()),
            since: rfc3339(status.since),
            generation: status.generation.0,
            expires_at: status.expires_at.map(rfc3339),
            account: status.account,
            connected_by: status.connected_by,
            last_refresh_at: status.last_refresh_at.map(rfc3339),
            last_error,
        }
    }
}
