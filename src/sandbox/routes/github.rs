//! What does GitHub's API say? The user, the repositories page by page, and the deletion of tokens and grants.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    bearer::{email, holder},
    client_auth,
};
use crate::sandbox::{
    grants::Holder,
    opaque::number,
    params::Params,
    profile::{Github, Profile},
    state::State,
};

/// Body of the calls under `/applications/`.
#[derive(Deserialize)]
pub(super) struct TokenBody {
    access_token: String,
}

/// `GET /user`.
pub(super) async fn user(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let Some(holder) = holder(&state, &request) else { return bad_credentials() };
    HttpResponse::Ok().insert_header(("x-oauth-scopes", holder.scope.join(", "))).json(json!({
        "login": holder.user,
        "id": number(&holder.user),
        "type": "User",
        "name": holder.user,
        "email": email(&holder.user),
    }))
}

/// `GET /user/repos?per_page&page`, with the Link header.
pub(super) async fn repositories(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let Some(holder) = holder(&state, &request) else { return bad_credentials() };
    let params = Params::parse(request.query_string().as_bytes()).unwrap_or_default();
    let per_page = params.number("per_page", 30, 1, 100);
    let page = params.number("page", 1, 1, 1_000_000);
    let all = all_repositories(&state, &holder);
    let pages = all.len().div_ceil(per_page).max(1);
    let slice: Vec<Value> = all.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let mut response = HttpResponse::Ok();
    response.insert_header(("x-oauth-scopes", holder.scope.join(", ")));
    if let Some(links) = links(&format!("{}/user/repos?per_page={per_page}", state.issuer()), page, pages) {
        response.insert_header((header::LINK, links));
    }
    response.json(slice)
}

/// `POST /applications/{client_id}/token`: is it alive?
pub(super) async fn check(
    state: web::Data<State>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let token = match asked(&state, &request, &path, &body) {
        Ok(token) => token,
        Err(refusal) => return *refusal,
    };
    let found = state.lock().book.find_access(&token, state.clock.now());
    match found.filter(|holder| holder.live && holder.client_id == *path) {
        None => not_found(),
        Some(holder) => HttpResponse::Ok().json(json!({
            "app": {"client_id": holder.client_id},
            "scopes": holder.scope,
            "user": {"login": holder.user, "id": number(&holder.user)},
        })),
    }
}

/// `DELETE /applications/{client_id}/token`: this token and what it was refreshed from.
pub(super) async fn delete_token(
    state: web::Data<State>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    delete(&state, &request, &path, &body, false)
}

/// `DELETE /applications/{client_id}/grant`: every token the user has with the app.
pub(super) async fn delete_grant(
    state: web::Data<State>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    delete(&state, &request, &path, &body, true)
}

fn delete(state: &State, request: &HttpRequest, client_id: &str, body: &[u8], grant: bool) -> HttpResponse {
    let token = match asked(state, request, client_id, body) {
        Ok(token) => token,
        Err(refusal) => return *refusal,
    };
    let fault = state.faults(client_id).revocation_status;
    let mut changing = state.lock();
    changing.counters(client_id).revocations += 1;
    if let Some(status) = fault.and_then(|status| StatusCode::from_u16(status).ok()) {
        return HttpResponse::build(status).finish();
    }
    let Some(user) = changing.book.revoke_family(&token, client_id) else { return not_found() };
    if grant {
        changing.book.withdraw(&user, Some(client_id));
    }
    HttpResponse::NoContent().finish()
}

/// The token an app asks about, once it has shown by Basic that it is that app.
fn asked(
    state: &State,
    request: &HttpRequest,
    client_id: &str,
    body: &[u8],
) -> Result<String, Box<HttpResponse>> {
    let client = client_auth::authenticate(state, request, &Params::default());
    if !client.is_ok_and(|client| client.client_id == client_id) {
        return Err(Box::new(not_found()));
    }
    let body: Result<TokenBody, _> = serde_json::from_slice(body);
    let invalid = json!({"message": "Validation Failed", "errors": [{"field": "access_token"}]});
    body.map(|body| body.access_token)
        .map_err(|_| Box::new(HttpResponse::UnprocessableEntity().json(invalid)))
}

/// Every third repository is private, and seen only with the scope `repo` (a GitHub App sees all).
fn all_repositories(state: &State, holder: &Holder) -> Vec<Value> {
    let profile = state.client(&holder.client_id).map(|client| &client.profile);
    let (count, app) = match profile {
        Some(Profile::Github(Github { repositories, app, .. })) => (*repositories, *app),
        _ => (0, false),
    };
    let all = app || holder.scope.iter().any(|scope| scope == "repo");
    (1..=count)
        .filter(|n| all || n % 3 != 0)
        .map(|n| {
            let name = format!("repository-{n:03}");
            json!({
                "id": number(&format!("{}/{name}", holder.user)),
                "name": name,
                "full_name": format!("{}/{name}", holder.user),
                "private": n % 3 == 0,
                "owner": {"login": holder.user, "id": number(&holder.user)},
                "default_branch": "main",
                "stargazers_count": n * 7 % 40,
            })
        })
        .collect()
}

fn links(base: &str, page: usize, pages: usize) -> Option<String> {
    let link = |number: usize, rel: &str| format!("<{base}&page={number}>; rel=\"{rel}\"");
    let mut links = Vec::new();
    if page > 1 {
        links.push(link(page - 1, "prev"));
        links.push(link(1, "first"));
    }
    if page < pages {
        links.push(link(page + 1, "next"));
        links.push(link(pages, "last"));
    }
    (!links.is_empty()).then(|| links.join(", "))
}

fn bad_credentials() -> HttpResponse {
    HttpResponse::Unauthorized().json(json!({"message": "Bad credentials", "status": "401"}))
}

fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({"message": "Not Found", "status": "404"}))
}
