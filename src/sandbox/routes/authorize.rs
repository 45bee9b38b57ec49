//! May this client have that? The authorization endpoint: checks, the consent page, the way back.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use url::{Host, Url};

use crate::sandbox::{
    Client,
    faults::Iss,
    grants,
    page::{self, Refused},
    params::Params,
    profile::Profile,
    state::State,
};

/// An authorization request that may be asked.
struct Ask<'a> {
    client: &'a Client,
    redirect: Url,
    scope: Vec<String>,
    params: &'a Params,
}

/// Why it may not.
enum Refusal {
    /// Nobody can be told but the person.
    Here(&'static str),
    /// The client is told.
    There { redirect: Url, error: &'static str, why: &'static str },
}

/// `GET`: shows the consent page.
pub(super) async fn ask(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let params = match Params::parse(request.query_string().as_bytes()) {
        Ok(params) => params,
        Err(error) => return refused(&state, &error.to_string()),
    };
    match check(&state, &params) {
        Ok(ask) => consent_page(&state, &request, &ask, false),
        Err(refusal) => refuse(&state, &params, refusal),
    }
}

/// `POST`: the person has decided. The form carries the whole request, so that no cookie is needed.
pub(super) async fn decide(state: web::Data<State>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let params = match Params::parse(&body) {
        Ok(params) => params,
        Err(error) => return refused(&state, &error.to_string()),
    };
    let ask = match check(&state, &params) {
        Ok(ask) => ask,
        Err(refusal) => return refuse(&state, &params, refusal),
    };
    match params.text("decision") {
        Some("deny") => {
            let why = "the person said no";
            refuse(&state, &params, Refusal::There { redirect: ask.redirect, error: "access_denied", why })
        }
        Some("approve") => match params.text("user").filter(|user| is_name(user)) {
            Some(user) => approve(&state, &ask, user),
            None => consent_page(&state, &request, &ask, true),
        },
        _ => refused(&state, "the form says neither approve nor deny"),
    }
}

fn check<'a>(state: &'a State, params: &'a Params) -> Result<Ask<'a>, Refusal> {
    let client = params.text("client_id").and_then(|id| state.client(id));
    let client = client.ok_or(Refusal::Here("There is no such client"))?;
    let redirect = redirect_uri(client, params.text("redirect_uri"))
        .ok_or(Refusal::Here("The redirect URI is not registered for this client"))?;
    let refuse = |error, why| Err(Refusal::There { redirect: redirect.clone(), error, why });
    // GitHub and Aircall do without `response_type`.
    let lenient = !matches!(client.profile, Profile::Standard(_));
    match params.text("response_type") {
        Some("code") => {}
        None if lenient => {}
        Some(_) => return refuse("unsupported_response_type", "only code is supported"),
        None => return refuse("invalid_request", "response_type is missing"),
    }
    match (params.text("code_challenge"), params.text("code_challenge_method")) {
        (Some(_), Some("S256")) => {}
        (None, None) if !client.require_pkce => {}
        _ => return refuse("invalid_request", "PKCE with S256 is needed"),
    }
    let scope = client.profile.scopes(params.text("scope").unwrap_or_default());
    if matches!(client.profile, Profile::Aircall(_)) && scope != ["public_api"] {
        return refuse("invalid_scope", "the scope is public_api");
    }
    Ok(Ask { client, redirect, scope, params })
}

/// The redirect URI, exactly as registered; left out only where the client has a single one.
fn redirect_uri(client: &Client, asked: Option<&str>) -> Option<Url> {
    let registered = match (asked, client.redirect_uris.as_slice()) {
        (Some(asked), all) => all.iter().any(|uri| uri == asked).then_some(asked),
        (None, [single]) => Some(single.as_str()),
        (None, _) => None,
    };
    let loopback = asked.filter(|_| client.any_loopback_redirect).filter(|uri| is_loopback(uri));
    Url::parse(registered.or(loopback)?).ok().filter(|url| url.fragment().is_none())
}

/// Whether a URI is plain http on this machine.
pub(super) fn is_loopback(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    here && url.scheme() == "http"
}

fn is_name(user: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    user.len() <= 64 && user.bytes().all(plain)
}

fn consent_page(state: &State, request: &HttpRequest, ask: &Ask<'_>, bad_user: bool) -> HttpResponse {
    const KEPT: [&str; 10] = [
        "client_id",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "access_type",
        "prompt",
    ];
    let suggested = state.users.first().map_or("", String::as_str);
    let user = ask.params.text("user").or(ask.params.text("login_hint")).unwrap_or(suggested);
    let status = if bad_user { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = page::Consent {
        base: state.issuer(),
        client_id: &ask.client.client_id,
        profile: ask.client.profile.name(),
        scopes: &ask.scope,
        back_to: ask.redirect.host_str().unwrap_or_default(),
        action: request.path(),
        hidden: KEPT.iter().filter_map(|name| Some((*name, ask.params.text(name)?))).collect(),
        user,
        users: &state.users,
        bad_user,
    };
    page::show(status, &page)
}

fn approve(state: &State, ask: &Ask<'_>, user: &str) -> HttpResponse {
    let consent = grants::Consent {
        client_id: ask.client.client_id.clone(),
        user: user.to_owned(),
        scope: ask.scope.clone(),
        redirect_uri: ask.params.text("redirect_uri").map(String::from),
        challenge: ask.params.text("code_challenge").map(String::from),
        nonce: ask.params.text("nonce").map(String::from),
        offline: is_offline(state, ask, user),
    };
    let code = state.lock().book.consent(consent, state.clock.now(), state.entropy.as_ref());
    back(state, ask.client, ask.redirect.clone(), ask.params, &[("code", &code)])
}

/// Google gives a refresh token to whoever asks for offline access, and after the first consent only to whoever asks
/// for consent again; others give what their rules say.
fn is_offline(state: &State, ask: &Ask<'_>, user: &str) -> bool {
    if !matches!(ask.client.profile, Profile::Google(_)) {
        return true;
    }
    let consents =
        ask.params.text("prompt").is_some_and(|prompt| prompt.split(' ').any(|one| one == "consent"));
    let had = || state.lock().book.is_refreshable(&ask.client.client_id, user, state.clock.now());
    ask.params.text("access_type") == Some("offline") && (consents || !had())
}

fn refuse(state: &State, params: &Params, refusal: Refusal) -> HttpResponse {
    let client = params.text("client_id").and_then(|id| state.client(id));
    match (refusal, client) {
        (Refusal::There { redirect, error, why }, Some(client)) => {
            back(state, client, redirect, params, &[("error", error), ("error_description", why)])
        }
        (Refusal::There { why, .. } | Refusal::Here(why), _) => refused(state, why),
    }
}

fn refused(state: &State, why: &str) -> HttpResponse {
    page::show(StatusCode::BAD_REQUEST, &Refused { base: state.issuer(), why })
}

/// Sends the browser back with what it carries, the echoed `state`, and `iss` where it is due.
fn back(
    state: &State,
    client: &Client,
    mut to: Url,
    params: &Params,
    carried: &[(&str, &str)],
) -> HttpResponse {
    to.query_pairs_mut().extend_pairs(carried);
    if let Some(echoed) = params.text("state") {
        to.query_pairs_mut().append_pair("state", echoed);
    }
    match state.faults(&client.client_id).iss {
        Some(Iss::Missing) => {}
        Some(Iss::Wrong) => {
            to.query_pairs_mut().append_pair("iss", "https://somebody-else.example");
        }
        None if !client.profile.sends_iss() => {}
        Some(Iss::Right) | None => {
            to.query_pairs_mut().append_pair("iss", state.issuer());
        }
    }
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}
