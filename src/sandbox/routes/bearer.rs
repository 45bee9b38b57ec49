//! Whose call is this? The bearer token of an API request.

use actix_web::{HttpRequest, http::header};

use crate::sandbox::{grants::Holder, state::State};

/// The live holder of the request's token; GitHub's `token` scheme is taken for `Bearer`.
pub(super) fn holder(state: &State, request: &HttpRequest) -> Option<Holder> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    known.then(|| state.call(token.trim()))?
}

/// The e-mail address of a user.
pub(super) fn email(user: &str) -> String {
    if user.contains('@') { user.to_owned() } else { format!("{user}@sandbox.example") }
}
