//! Which client sends this? Client authentication in the header or in the body (RFC 6749 §2.3.1).

use actix_web::{HttpRequest, http::header};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::sandbox::{Client, TokenAuth, grants::Denied, params::Params, state::State};

/// A client id and secret as they were shown.
struct Shown {
    client_id: String,
    secret: Option<String>,
    basic: bool,
}

/// The client a request names, shown or not that it is the one.
pub(super) fn named<'a>(state: &'a State, request: &HttpRequest, params: &Params) -> Option<&'a Client> {
    state.client(&shown(request, params)?.client_id)
}

/// The client, when it has shown its secret the way it must.
pub(super) fn authenticate<'a>(
    state: &'a State,
    request: &HttpRequest,
    params: &Params,
) -> Result<&'a Client, Denied> {
    if basic(request).is_some() && params.text("client_secret").is_some() {
        return Err(Denied::InvalidRequest);
    }
    let shown = shown(request, params).ok_or(Denied::InvalidClient)?;
    let client = state.client(&shown.client_id).ok_or(Denied::InvalidClient)?;
    let right_way = match client.token_auth {
        TokenAuth::Any => true,
        TokenAuth::Basic => shown.basic,
        TokenAuth::Post => !shown.basic,
    };
    let right_secret = match (&client.client_secret, &shown.secret) {
        (Some(expected), Some(given)) => {
            verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
        }
        (None, None) => return Ok(client),
        _ => false,
    };
    if right_way && right_secret { Ok(client) } else { Err(Denied::InvalidClient) }
}

fn shown(request: &HttpRequest, params: &Params) -> Option<Shown> {
    if let Some((client_id, secret)) = basic(request) {
        return Some(Shown { client_id, secret: Some(secret), basic: true });
    }
    let client_id = params.text("client_id")?.to_owned();
    Some(Shown { client_id, secret: params.text("client_secret").map(String::from), basic: false })
}

fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (client_id, secret) = pair.split_once(':')?;
    Some((decoded(client_id)?, decoded(secret)?))
}

/// Both halves are form-encoded before they go into the header.
fn decoded(text: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("v={text}")).ok()?;
    match pairs.as_slice() {
        [(_, value)] => Some(value.clone()),
        _ => None,
    }
}
