//! What comes to the authorization endpoint, as the interface's document tells it.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// An authorization request. Unknown parameters are ignored, known ones that are repeated are refused, and one without
/// a value counts as left out (RFC 6749 §3.1).
#[derive(Serialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct AuthorizeRequest {
    /// Who asks (RFC 6749 §4.1.1).
    client_id: String,
    /// Where the browser goes in the end: one of the client's, as it is registered. A loopback address may have any port
    /// (RFC 8252 §7.3).
    redirect_uri: String,
    /// `code`, nothing else (RFC 6749 §3.1.1).
    #[param(example = "code")]
    #[schema(example = "code")]
    response_type: String,
    /// Of the verifier that is sent with the code (RFC 7636 §4.2).
    #[param(pattern = "^[A-Za-z0-9_-]{43}$")]
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    code_challenge: String,
    /// `S256`, nothing else: `plain`, which RFC 7636 §4.3 takes where it is missing, is refused.
    #[param(example = "S256")]
    #[schema(example = "S256")]
    code_challenge_method: String,
    /// Space-separated (RFC 6749 §3.3); without it all of the client's for the resource meant. `openid` makes it a sign-in
    /// with an ID token (OpenID Connect Core §3.1.2.1).
    scope: Option<String>,
    /// Comes back as it is (RFC 6749 §4.1.1): what ties the answer to the browser that was sent.
    #[param(max_length = 2000)]
    #[schema(max_length = 2000)]
    state: Option<String>,
    /// The resource server that the tokens are for (RFC 8707 §2); without it the client's only one, else the broker.
    resource: Option<String>,
    /// Comes back in the ID token (OpenID Connect Core §3.1.2.1).
    #[param(max_length = 2000)]
    #[schema(max_length = 2000)]
    nonce: Option<String>,
    /// Space-separated (OpenID Connect Core §3.1.2.1): `none`, alone, shows no page; `login` and `select_account` want a new
    /// sign-in; `consent` asks the person again.
    prompt: Option<String>,
    /// How many seconds ago the person may have signed in at most (OpenID Connect Core §3.1.2.1).
    max_age: Option<u32>,
    /// An ID token of ours for this client, which may have expired: only the person it names is taken (OpenID Connect Core
    /// §3.1.2.1). It goes no further: links that lead back have `expected` in its place.
    id_token_hint: Option<String>,
    /// `query`, the only one and the default (OAuth 2.0 Multiple Response Type Encoding Practices §2.1).
    response_mode: Option<String>,
    /// The broker's own, in links that lead back here after a sign-in: the person whom `id_token_hint` named.
    expected: Option<Uuid>,
    /// The broker's own, in links that lead back here after a sign-in: when the request came, in seconds since 1970, so that
    /// one new sign-in is enough for `prompt` and `max_age`. Counts for an hour.
    asked_at: Option<i64>,
    /// Refused with `request_not_supported` (OpenID Connect Core §6.1).
    request: Option<String>,
    /// Refused with `request_uri_not_supported` (OpenID Connect Core §6.2).
    request_uri: Option<String>,
}

/// The person's answer on the page that asked.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AuthorizeAnswerRequest {
    /// Of the page.
    csrf_token: String,
    /// `accept`; anything else is no, and the client is told `access_denied`.
    decision: Option<String>,
    /// The authorization request, of the page; it is judged again.
    query: String,
    /// The scopes that the page showed; where others would be granted now, the person is asked again.
    shown: String,
}

/// A client's request as a form (OpenID Connect Core §3.1.2.1), or with `csrf_token` the person's answer.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the shape alone is used: the form is read field by field")]
pub(in crate::http) enum AuthorizeFormRequest {
    Asked(Box<AuthorizeRequest>),
    Answered(AuthorizeAnswerRequest),
}
