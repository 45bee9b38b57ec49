//! How does a flow start at the provider? The app's page, which sends the browser to its install URI, without a state.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};

use super::authorize::is_loopback;
use crate::sandbox::{
    page::{self, Install, Refused},
    params::Params,
    state::State,
};

/// `GET`: the app's page.
pub(super) async fn page(
    state: web::Data<State>,
    path: web::Path<String>,
    query: web::Query<Vec<(String, String)>>,
) -> HttpResponse {
    let Some(client) = state.client(&path) else { return refused(&state, "There is no such client") };
    let asked = query.iter().find(|(name, _)| name == "install_uri").map(|(_, value)| value.as_str());
    let install_uri = client.install_uri.as_deref().or(asked).unwrap_or_default();
    let page = Install {
        base: state.issuer(),
        client_id: &client.client_id,
        profile: client.profile.name(),
        install_uri,
        fixed: client.install_uri.is_some(),
    };
    page::show(StatusCode::OK, &page)
}

/// `POST`: off to the app. Clients that take any loopback redirect URI take any loopback install URI too.
pub(super) async fn start(
    state: web::Data<State>,
    path: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let Some(client) = state.client(&path) else { return refused(&state, "There is no such client") };
    let params = Params::parse(&body).unwrap_or_default();
    let typed = params.text("install_uri").filter(|uri| client.any_loopback_redirect && is_loopback(uri));
    match client.install_uri.as_deref().or(typed) {
        Some(uri) => HttpResponse::SeeOther().insert_header((header::LOCATION, uri)).finish(),
        None => refused(&state, "This client has no such install URI"),
    }
}

fn refused(state: &State, why: &str) -> HttpResponse {
    page::show(StatusCode::BAD_REQUEST, &Refused { base: state.issuer(), why })
}
