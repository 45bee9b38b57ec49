//! What does a small API look like to a job? Numbered items, in pages that name the next one.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::{bearer::holder, generic};
use crate::sandbox::{params::Params, state::State};

/// How many items every user has.
const ALL: usize = 95;

/// `GET /api/items?limit&cursor`: `next_cursor` is null on the last page.
pub(super) async fn items(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let Some(holder) = holder(&state, &request) else { return generic::challenge() };
    let params = Params::parse(request.query_string().as_bytes()).unwrap_or_default();
    let limit = params.number("limit", 20, 1, 50);
    let skipped = params.number("cursor", 0, 0, ALL);
    let end = (skipped + limit).min(ALL);
    let items: Vec<Value> = (skipped..end)
        .map(|n| json!({"id": n + 1, "name": format!("item {:03} of {}", n + 1, holder.user)}))
        .collect();
    let next = (end < ALL).then(|| end.to_string());
    HttpResponse::Ok().json(json!({"items": items, "next_cursor": next}))
}
