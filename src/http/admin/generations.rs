//! Routes of a connection's token sets: which are kept, undo, and a refresh now.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::connections::{ConnectionResponse, FlowParams};
use super::page::page;
use super::place::Place;
use super::{Collection, ConnectionsRead, ConnectionsWrite, times};
use crate::http::extract::{Json, Segments};
use crate::http::problem::{Answer, Code, Problem};
use crate::keeper::KeptGeneration;
use crate::model::connection::Flow;
use crate::model::token_set::Generation;

/// A token set that is kept, without its tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct GenerationResponse {
    /// Its number within the connection. Where a refresh came too late, a number between was never handed out.
    generation: i64,
    /// When it was stored.
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
    /// Since when it is no longer current, or when it came too late to be; null: it is current. Seven days later its
    /// tokens are forgotten and it is not listed any more.
    #[serde(serialize_with = "times::optional")]
    superseded_at: Option<OffsetDateTime>,
    /// When its access token dies; null: not known.
    #[serde(serialize_with = "times::optional")]
    expires_at: Option<OffsetDateTime>,
    /// Whether it is the one that is handed out.
    current: bool,
    /// Whether its refresh token was or may have been sent to the provider, or lives on in a restored copy.
    spent: bool,
    /// Whether it can be restored.
    restorable: bool,
    /// What people call its account.
    account: Option<String>,
    connected_by: Option<String>,
}

/// Which token set is to be refreshed.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RefreshRequest {
    /// The generation that the caller saw: where another one is current, nothing is refreshed.
    generation: i64,
}

/// Which connection, and which part of the collection.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListGenerationsParams {
    /// Without it: the one named `default`, else the only one.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,64}$")]
    flow: Option<Flow>,
    /// At most so many items (1 to 200; 50 by default).
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// Lists the token sets of a connection that are kept, the newest first.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/connections/{connector}/generations", tag = "connections",
    params(("app_id" = String, Path), ("connector" = String, Path), ListGenerationsParams),
    responses((status = 200, body = Collection<GenerationResponse>)))]
pub(in crate::http) async fn list_generations(
    at: Place<ConnectionsRead, (), ListGenerationsParams>,
) -> Answer {
    let (by, query) = (&at.may.by, &at.may.query);
    let page = page(query.limit, query.cursor.as_deref())?;
    let below = page.after.as_deref().map(str::parse).transpose();
    let below = below.map_err(|_| Problem::invalid("cursor", "is no cursor of ours"))?.map(Generation);
    let (place, flow) = ((&at.app, &at.connector), query.flow.as_ref());
    let kept = at.told(at.keeper.generations(by, place, flow, below, page.rows()).await)?;
    let part = page.cut(kept, |kept| kept.generation.to_string());
    Ok(HttpResponse::Ok().json(Collection::<GenerationResponse>::of(part)))
}

/// Undo: makes a copy of an earlier token set current, as the next generation.
///
/// Only a set whose refresh token was never sent comes back (one that a new consent or an import replaced, or a refresh
/// that came too late), and any set of a connector that does not rotate; else `already_spent`. With it come back
/// its account, owner, variables and credentials. The set it replaces stays kept. The provider is not called.
/// Restoring the current generation changes nothing. A generation that is not kept is `not_found`.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/connections/{connector}/generations/{generation}/restore",
    tag = "connections",
    params(("app_id" = String, Path), ("connector" = String, Path), ("generation" = i64, Path), FlowParams),
    responses((status = 200, body = ConnectionResponse)))]
pub(in crate::http) async fn restore_generation(at: Place<ConnectionsWrite>, path: Segments) -> Answer {
    let generation = path.text("generation").parse().map_err(|_| Problem::new(Code::NotFound))?;
    let (place, flow) = ((&at.app, &at.connector), at.may.query.flow.as_ref());
    at.answer(at.keeper.restore(&at.may.by, place, flow, Generation(generation)).await)
}

/// Refreshes a connection now, where the generation that is named is still current.
///
/// Where another generation is current, the connection is answered as it is and the provider is not called, so that a
/// repeated request refreshes once. The outcome is waited for, at most 20 s; then `refresh_in_progress`, and the
/// refresh goes on. It goes the way of every refresh and no further: a parked connection answers
/// `reauthorization_required` or `provider_misconfigured`; during a back-off or after a send whose outcome is unknown it
/// answers `provider_unavailable` or `refresh_in_progress` with `Retry-After`, and the provider is not called; where a
/// refresh kills the old access token it is `ttl_unsatisfiable` until the last 20 % of its life, since running
/// jobs were promised that token. A connection without a refresh token is `invalid_request`.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/connections/{connector}/refresh", tag = "connections",
    params(("app_id" = String, Path), ("connector" = String, Path), FlowParams),
    request_body = RefreshRequest, responses((status = 200, body = ConnectionResponse)))]
pub(in crate::http) async fn refresh_connection(at: Place<ConnectionsWrite, Json<RefreshRequest>>) -> Answer {
    let (may, generation) = (&at.may, Generation(at.may.body.0.generation));
    let (place, flow) = ((&at.app, &at.connector), may.query.flow.as_ref());
    at.answer(at.keeper.renew(&may.by, place, flow, generation).await)
}

impl From<KeptGeneration> for GenerationResponse {
    fn from(kept: KeptGeneration) -> Self {
        Self {
            generation: kept.generation.0,
            created_at: kept.created_at,
            superseded_at: kept.superseded_at,
            expires_at: kept.expires_at,
            current: kept.current,
            spent: kept.spent,
            restorable: kept.restorable,
            account: kept.account,
            connected_by: kept.connected_by,
        }
    }
}
