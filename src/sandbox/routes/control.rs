//! How is the sandbox steered over HTTP? Faults, the ledger, and a person's withdrawal.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use crate::sandbox::{faults::Faults, state::State};

/// Body of `PUT /_sandbox/faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultsRequest {
    client_id: String,
    faults: Faults,
}

/// Body of `POST /_sandbox/revoke`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WithdrawRequest {
    user: String,
    client_id: Option<String>,
}

/// Every client's faults.
pub(super) async fn faults(state: web::Data<State>) -> HttpResponse {
    let faults = state.lock().faults.clone();
    let items: Vec<_> =
        faults.iter().map(|(id, faults)| json!({"client_id": id, "faults": faults})).collect();
    HttpResponse::Ok().json(json!({"items": items}))
}

/// Replaces one client's faults.
pub(super) async fn set_faults(state: web::Data<State>, body: web::Json<FaultsRequest>) -> HttpResponse {
    let FaultsRequest { client_id, faults } = body.into_inner();
    if state.client(&client_id).is_none() {
        return unknown_client();
    }
    state.lock().faults.insert(client_id.clone(), faults.clone());
    HttpResponse::Ok().json(json!({"client_id": client_id, "faults": faults}))
}

/// Everything counted so far.
pub(super) async fn ledger(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.ledger())
}

/// The person withdraws what was granted, to one client or to all.
pub(super) async fn withdraw(state: web::Data<State>, body: web::Json<WithdrawRequest>) -> HttpResponse {
    let WithdrawRequest { user, client_id } = body.into_inner();
    if client_id.as_deref().is_some_and(|id| state.client(id).is_none()) {
        return unknown_client();
    }
    let revoked = state.lock().book.withdraw(&user, client_id.as_deref());
    HttpResponse::Ok().json(json!({"user": user, "revoked": revoked}))
}

fn unknown_client() -> HttpResponse {
    HttpResponse::NotFound().json(json!({"error": "there is no such client"}))
}
