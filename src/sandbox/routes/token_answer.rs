//! How is a token answer written? In the dialect of the profile, bent by the faults.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Bytes,
};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{bearer::email, vendors::Vendor};
use crate::sandbox::{
    faults::{ExpiresIn, Faults, Format},
    grants::{Denied, Issued},
    profile::{Github, Profile},
    state::State,
    trouble,
};

/// An answer before it is written.
pub(super) struct Answer {
    status: StatusCode,
    fields: Map<String, Value>,
    format: Format,
    challenge: bool,
}

/// How a provider speaks at its token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// RFC 6749; remembers whether the client came with `Authorization`.
    Standard { basic: bool },
    /// Errors with 200, commas, and a form unless JSON is asked for.
    Github { json: bool, app: bool },
    /// Only a token.
    Aircall,
    /// In the vendor's own words.
    Of(Vendor),
}

impl Dialect {
    pub(super) fn plain(request: &HttpRequest) -> Self {
        Self::Standard { basic: request.headers().contains_key(header::AUTHORIZATION) }
    }

    pub(super) fn of(profile: &Profile, request: &HttpRequest) -> Self {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let json = accept.is_some_and(|types| types.contains("json"));
        match (profile, Vendor::of(profile)) {
            (_, Some(vendor)) => Self::Of(vendor),
            (Profile::Github(Github { app, .. }), None) => Self::Github { json, app: *app },
            (Profile::Aircall(_), None) => Self::Aircall,
            (_, None) => Self::plain(request),
        }
    }

    fn format(self) -> Format {
        if matches!(self, Self::Github { json: false, .. }) { Format::Form } else { Format::Json }
    }
}

/// The answer that brings tokens.
pub(super) fn issued(
    state: &State,
    client_id: &str,
    issued: &Issued,
    faults: &Faults,
    dialect: Dialect,
    now: OffsetDateTime,
) -> Answer {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    put("access_token", Some(json!(issued.access_token)));
    put("expires_in", issued.lifetime_s.and_then(|s| expires_in(s, faults)));
    put("refresh_token", issued.refresh_token.as_ref().map(|token| json!(token)));
    match dialect {
        Dialect::Standard { .. } => {
            put("token_type", Some(json!("Bearer")));
            put("scope", Some(json!(issued.scope.join(" "))));
            put("id_token", id_token(state, client_id, issued, now));
        }
        Dialect::Github { app, .. } => {
            put("token_type", Some(json!("bearer")));
            put("scope", Some(json!(if app { String::new() } else { issued.scope.join(",") })));
            let lifetime = issued.refresh_token.as_ref().and(issued.refresh_lifetime_s);
            put("refresh_token_expires_in", lifetime.map(|s| json!(s)));
        }
        Dialect::Aircall => put("token_type", Some(json!("Bearer"))),
        Dialect::Of(vendor) => {
            if vendor == Vendor::Google {
                put("id_token", id_token(state, client_id, issued, now));
            }
            vendor.adorn(&mut fields, state, issued, now);
        }
    }
    let format = faults.format.unwrap_or(dialect.format());
    Answer { status: StatusCode::OK, fields, format, challenge: false }
}

/// The answer that brings none.
pub(super) fn denied(denied: Denied, dialect: Dialect) -> Answer {
    if let Dialect::Of(vendor) = dialect {
        let (status, fields) = vendor.denied(denied);
        return Answer { status, fields, format: dialect.format(), challenge: false };
    }
    let github = matches!(dialect, Dialect::Github { .. });
    let code = match denied {
        Denied::InvalidClient if github => "incorrect_client_credentials",
        Denied::InvalidClient => "invalid_client",
        Denied::InvalidRequest => "invalid_request",
        Denied::UnsupportedGrant => "unsupported_grant_type",
        Denied::RedirectMismatch if github => "redirect_uri_mismatch",
        Denied::BadCode | Denied::BadVerifier if github => "bad_verification_code",
        Denied::BadRefreshToken if github => "bad_refresh_token",
        Denied::BadCode | Denied::RedirectMismatch | Denied::BadVerifier | Denied::BadRefreshToken => {
            "invalid_grant"
        }
    };
    let status = match denied {
        _ if github => StatusCode::OK,
        Denied::InvalidClient => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut fields = Map::new();
    fields.insert("error".into(), json!(code));
    fields.insert("error_description".into(), json!(denied.to_string()));
    let challenge = denied == Denied::InvalidClient && dialect == Dialect::Standard { basic: true };
    Answer { status, fields, format: dialect.format(), challenge }
}

/// Puts an answer on the wire, trickling where a fault says so.
pub(super) fn write(answer: &Answer, slow: Option<Duration>) -> HttpResponse {
    let (content_type, body) = match answer.format {
        Format::Json => ("application/json", Value::Object(answer.fields.clone()).to_string()),
        Format::Form => ("application/x-www-form-urlencoded; charset=utf-8", form(&answer.fields)),
    };
    let mut response = HttpResponse::build(answer.status);
    response
        .content_type(content_type)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"));
    if answer.challenge {
        response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"sandbox\""));
    }
    match slow {
        Some(total) => trouble::trickle(response, Bytes::from(body), total),
        None => response.body(body),
    }
}

fn form(fields: &Map<String, Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let pairs: Vec<(&String, String)> = fields.iter().map(|(name, value)| (name, text(value))).collect();
    serde_urlencoded::to_string(pairs).unwrap_or_default()
}

fn expires_in(lifetime_s: u64, faults: &Faults) -> Option<Value> {
    match faults.expires_in {
        None => Some(json!(lifetime_s)),
        Some(ExpiresIn::Missing) => None,
        Some(ExpiresIn::String) => Some(json!(lifetime_s.to_string())),
        Some(ExpiresIn::Negative) => Some(json!(-1)),
        Some(ExpiresIn::Absurd) => Some(json!(1_000_000_000_000_u64)),
    }
}

/// Who signed in, when `openid` was asked for.
fn id_token(state: &State, client_id: &str, issued: &Issued, now: OffsetDateTime) -> Option<Value> {
    issued.scope.iter().find(|scope| *scope == "openid")?;
    let iat = now.unix_timestamp();
    let mut claims = json!({
        "iss": state.issuer(), "sub": issued.user, "aud": client_id, "iat": iat, "exp": iat + 3600,
        "email": email(&issued.user),
    });
    if let (Some(nonce), Some(claims)) = (&issued.nonce, claims.as_object_mut()) {
        claims.insert("nonce".into(), json!(nonce));
    }
    state.signer.sign(&claims).map(Value::from)
}
