//! What did the provider answer to a token request? Pure: status, headers and body in, a grant or an error out.
//!
//! Promises: never a grant without a clean access token, never a panic, no byte of the answer in an error but
//! a short OAuth error code. `error` is looked at before `access_token`, whatever the status (RFC 6749 §5.2
//! says 400; GitHub says 200).

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use serde_json::{Map, Value};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::Error;
use crate::model::connector::{Definition, Format, Grant, is_token_field};
use crate::model::secret::Secret;

/// Longest error code that is passed on; longer ones are prose or worse.
const CODE_LIMIT: usize = 48;
/// Longest JSON text of one extra field.
const EXTRA_LIMIT: usize = 4096;
/// Longest scope that is kept.
const SCOPE_LIMIT: usize = 16 * 1024;
const TEN_YEARS_S: f64 = 10.0 * 365.0 * 24.0 * 3600.0;

/// Which request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedFor {
    /// A code exchange.
    Code,
    /// A refresh.
    Refresh,
}

/// Reads an answer of a token endpoint.
///
/// # Errors
/// [`Error::Ambiguous`] for whatever is not understood for certain.
pub fn read(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    definition: &Definition,
    asked: AskedFor,
) -> Result<Grant, Error> {
    let fields = fields(headers, body, definition.response_format);
    let success = (200..300).contains(&status);
    if let Some(error) = read_error(status, headers, fields.as_ref(), definition, Some(asked)) {
        return Err(error);
    }
    match fields {
        Some(fields) if success => grant(&fields, definition),
        _ => Err(ambiguous(format!("the answer (status {status}) is unreadable"), headers)),
    }
}

/// Reads an answer that matters for its success only (RFC 7009 §2.2).
///
/// # Errors
/// As [`read`].
pub fn read_status(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    definition: &Definition,
) -> Result<(), Error> {
    let fields = fields(headers, body, definition.response_format);
    read_error(status, headers, fields.as_ref(), definition, None).map_or(Ok(()), Err)
}

/// The JSON object of a successful answer.
pub fn read_object(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    fields(headers, body, Format::Json)
}

/// `Retry-After` in seconds or as a date. A date is set against the `Date` of the same answer, so that no
/// clock of ours, right or wrong, has a say.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let wait = http_date(text)? - date(headers)?;
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// When the provider says it answered.
pub fn date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// A positive number of seconds under ten years, from a number or a string.
pub fn seconds(value: Option<&Value>) -> Option<i64> {
    let number = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let whole = number.trunc();
    if !(1.0..=TEN_YEARS_S).contains(&whole) {
        return None;
    }
    // The range is checked; text is the way from float to integer that hides no loss.
    format!("{whole:.0}").parse().ok()
}

/// The error an answer tells, if it tells one; an answer that is neither success nor readable error tells
/// that nothing is known.
fn read_error(
    status: u16,
    headers: &HeaderMap,
    fields: Option<&Map<String, Value>>,
    definition: &Definition,
    asked: Option<AskedFor>,
) -> Option<Error> {
    let success = (200..300).contains(&status);
    if status == 429 {
        return Some(Error::RateLimited { retry_after: retry_after(headers) });
    }
    if !success && !(400..500).contains(&status) {
        return Some(ambiguous(format!("status {status}"), headers));
    }
    let error = fields.and_then(|fields| fields.get("error")).filter(|error| !is_blank(error));
    let code = error.and_then(Value::as_str);
    match (code, error) {
        (Some(code), _) => Some(classify(status, code, headers, definition, asked)),
        (None, Some(_)) => Some(ambiguous(format!("an error (status {status}) of unknown form"), headers)),
        (None, None) if success => None,
        (None, None) => Some(ambiguous(format!("status {status} without an OAuth error"), headers)),
    }
}

/// What an OAuth error code means for the grant.
fn classify(
    status: u16,
    code: &str,
    headers: &HeaderMap,
    definition: &Definition,
    asked: Option<AskedFor>,
) -> Error {
    let is = |known: &str| code.eq_ignore_ascii_case(known);
    let known = definition.reauthorize_errors.iter().any(|known| is(known));
    if !known
        && (code.len() > CODE_LIMIT
            || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)))
    {
        return ambiguous(format!("an unreadable error code (status {status})"), headers);
    }
    let code = code.to_owned();
    if is("temporarily_unavailable") || is("server_error") {
        return ambiguous(format!("{code} (status {status})"), headers);
    }
    let refused = known
        || is("invalid_grant")
        || is("bad_refresh_token")
        || (asked == Some(AskedFor::Code) && is("bad_verification_code"));
    // Elsewhere (404, 422) a refusal may be a gateway's word: backing off is safe, parking is not.
    if refused && matches!(status, 200..=299 | 400 | 401 | 403) {
        return Error::Refused { code };
    }
    if is("invalid_client") || is("unauthorized_client") || is("incorrect_client_credentials") {
        return Error::ClientRejected { code };
    }
    Error::RequestRejected { status, code }
}

fn grant(fields: &Map<String, Value>, definition: &Definition) -> Result<Grant, Error> {
    let text =
        |name: &str| fields.get(name).filter(|value| !is_blank(value) && **value != Value::Bool(false));
    let unclean = |name: &str| Error::Ambiguous {
        detail: format!("the answer's `{name}` is missing or unclean"),
        retry_after: None,
    };
    let access_token = text("access_token").and_then(clean).ok_or_else(|| unclean("access_token"))?;
    let refresh_token = match text("refresh_token") {
        Some(value) => Some(clean(value).ok_or_else(|| unclean("refresh_token"))?),
        None => None,
    };
    let refresh_expires_in = ["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"]
        .iter()
        .find_map(|name| seconds(fields.get(*name)));
    Ok(Grant {
        access_token,
        refresh_token,
        expires_in: seconds(fields.get("expires_in")),
        refresh_expires_in,
        scope: fields.get("scope").and_then(|scope| scopes(scope, &definition.scope_separator)),
        extra: extra(fields, definition),
    })
}

/// A token that can stand in a header and a log-safe store: printable ASCII, no space at its ends.
fn clean(value: &Value) -> Option<Secret> {
    let text = value.as_str()?;
    let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    (printable && !text.is_empty() && text.trim() == text).then(|| Secret::new(text))
}

/// Scopes with one space between them, from a text or a list. Commas separate too: GitHub is asked with
/// spaces and answers with commas.
fn scopes(value: &Value, separator: &str) -> Option<String> {
    let told = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => return None,
    };
    let scopes: Vec<&str> = told
        .split(|c: char| c.is_ascii_whitespace() || c == ',' || separator.contains(c))
        .filter(|scope| !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic()))
        .collect();
    let joined = scopes.join(" ");
    (!joined.is_empty() && joined.len() <= SCOPE_LIMIT).then_some(joined)
}

fn extra(fields: &Map<String, Value>, definition: &Definition) -> BTreeMap<String, Value> {
    let kept = |name: &String| {
        let value =
            fields.get(name).filter(|value| !value.is_null() && value.to_string().len() <= EXTRA_LIMIT)?;
        Some((name.clone(), value.clone()))
    };
    definition.extra_fields.iter().filter(|name| !is_token_field(name)).filter_map(kept).collect()
}

/// The fields of a body. What the answer calls itself counts before what the definition expects, for some
/// providers answer errors in another form than grants.
fn fields(headers: &HeaderMap, body: &[u8], expected: Format) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = || match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    };
    match (named.as_str(), expected) {
        _ if text.starts_with('{') => json(),
        ("application/x-www-form-urlencoded", _) => form(text),
        // Form parsing accepts any text, so a page or a JSON array must not come near it.
        ("text/plain" | "", Format::Form) => form(text),
        _ => None,
    }
}

fn form(text: &str) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        // RFC 6749 §3.2: no parameter twice.
        if fields.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

fn ambiguous(detail: String, headers: &HeaderMap) -> Error {
    Error::Ambiguous { detail, retry_after: retry_after(headers) }
}

/// RFC 9110 §5.6.7, the form that must be sent.
fn http_date(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    PrimitiveDateTime::parse(text, format).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests;
