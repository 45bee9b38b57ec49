//! What did the broker refuse, and what is to be done about it?
//!
//! Reads both shapes of api errors: `application/problem+json` of the broker's own routes and the RFC 6749
//! §5.2 form of `/o/`. An answer in neither shape (a proxy in between) is classified by its status.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// What the caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ask again later.
    Retry,
    /// A person must consent again, at `signup_url`.
    Reauthorize,
    /// An operator must mend the configuration.
    FixConfiguration,
    /// The client lacks a right.
    RequestAccess,
    /// The request itself must change.
    ChangeRequest,
}

impl Action {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reauthorize => "reauthorize",
            Self::FixConfiguration => "fix_configuration",
            Self::RequestAccess => "request_access",
            Self::ChangeRequest => "change_request",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Retry,
            Self::Reauthorize,
            Self::FixConfiguration,
            Self::RequestAccess,
            Self::ChangeRequest,
        ];
        all.into_iter().find(|action| action.as_str() == word)
    }

    fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::RequestAccess,
            // No route of the broker redirects a machine, and a missing one means a wrong base URL.
            300..=399 | 404 => Self::FixConfiguration,
            408 | 429 | 500.. => Self::Retry,
            _ => Self::ChangeRequest,
        }
    }
}

/// A refusal of the broker, with every field it gave. Absent ones are `None` or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable name of the failure, such as `reauthorization_required`.
    pub code: String,
    /// What to do.
    pub action: Action,
    /// One sentence for people.
    pub detail: String,
    /// Names the request in the broker's logs.
    pub trace_id: Option<String>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
    /// Why consent is needed again.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// Which account at the provider.
    pub account: Option<String>,
    /// Who connected it.
    pub connected_by: Option<String>,
    /// Where a person consents again.
    pub signup_url: Option<String>,
    /// The longest `min_ttl` that can be met, in seconds.
    pub max_ttl: Option<u64>,
    /// Seconds left of the token that the same call without `min_ttl` gets.
    pub current_expires_in: Option<u64>,
    /// The flows to choose from.
    pub flows: Vec<String>,
    /// The provider's error code.
    pub provider_error: Option<String>,
    /// What is wrong in the request, place by place.
    pub errors: Vec<FieldError>,
}

/// One place of a request that the broker refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer or parameter name.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl Problem {
    /// Reads a refusal of the broker's own routes.
    pub(crate) fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let fields = fields_of(body);
        let code = text(&fields, "code");
        let detail = text(&fields, "detail").or_else(|| text(&fields, "title"));
        let action = text(&fields, "action").and_then(|word| Action::parse(&word));
        Self {
            status,
            action: action.unwrap_or_else(|| Action::of_status(status)),
            detail: detail.unwrap_or_else(|| unexplained(status)),
            code: code.unwrap_or_else(|| format!("http_{status}")),
            trace_id: text(&fields, "trace_id"),
            retry_after,
            reason: text(&fields, "reason"),
            since: text(&fields, "since"),
            account: text(&fields, "account"),
            connected_by: text(&fields, "connected_by"),
            signup_url: text(&fields, "signup_url"),
            max_ttl: fields.get("max_ttl").and_then(Value::as_u64),
            current_expires_in: fields.get("current_expires_in").and_then(Value::as_u64),
            flows: texts(&fields, "flows"),
            provider_error: text(&fields, "provider_error"),
            errors: field_errors(&fields),
        }
    }

    /// Reads a refusal of the token endpoint.
    pub(crate) fn read_oauth(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let mut problem = Self::read(status, retry_after, body);
        let fields = fields_of(body);
        if fields.contains_key("code") {
            return problem;
        }
        if let Some(code) = text(&fields, "error") {
            problem.action = match code.as_str() {
                "invalid_client" | "unauthorized_client" | "access_denied" => Action::RequestAccess,
                "invalid_scope" | "invalid_target" => Action::FixConfiguration,
                "temporarily_unavailable" | "server_error" => Action::Retry,
                _ => Action::of_status(status),
            };
            problem.detail = text(&fields, "error_description")
                .unwrap_or_else(|| "the broker refused to sign this client in".to_owned());
            problem.code = code;
        }
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.trim_end_matches('.'))?;
        // The detail may repeat the first of them.
        let told = self.errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail));
        for error in told.filter(|error| !self.detail.contains(error)) {
            write!(f, ", {error}")?;
        }
        write!(f, " ({}", self.code)?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        f.write_str(")")
    }
}

fn unexplained(status: u16) -> String {
    match status {
        300..=399 => "the broker's address answered a redirect, which is not followed".to_owned(),
        404 => "nothing of a broker is at this address".to_owned(),
        _ => format!("status {status} without an explanation"),
    }
}

fn fields_of(body: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match fields.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn texts(fields: &Map<String, Value>, name: &str) -> Vec<String> {
    let items = fields.get(name).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn field_errors(fields: &Map<String, Value>) -> Vec<FieldError> {
    let items = fields.get("errors").and_then(Value::as_array);
    let read = |item: &Value| {
        let item = item.as_object()?;
        let detail = text(item, "detail").or_else(|| text(item, "message")).unwrap_or_default();
        Some(FieldError { pointer: text(item, "pointer").unwrap_or_default(), detail })
    };
    items.into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Problem {
        Problem::read(status, None, body.as_bytes())
    }

    #[test]
    fn each_action_is_read() {
        for (word, action) in [
            ("retry", Action::Retry),
            ("reauthorize", Action::Reauthorize),
            ("fix_configuration", Action::FixConfiguration),
            ("request_access", Action::RequestAccess),
            ("change_request", Action::ChangeRequest),
        ] {
            let body = format!(r#"{{"code":"x","action":"{word}","detail":"d","trace_id":"t"}}"#);
            assert_eq!(read(400, &body).action, action, "{word}");
        }
    }

    #[test]
    fn a_lost_grant_says_where_to_consent() {
        let body = r#"{"type":"/problems/reauthorization_required","title":"t","status":409,
            "detail":"The grant was revoked.","code":"reauthorization_required","action":"reauthorize",
            "trace_id":"ab12","reason":"revoked","since":"2026-11-24T10:00:00Z","account":"octocat",
            "connected_by":"kim@acme.example","signup_url":"https://b.example/acme/github/signup"}"#;
        let problem = read(409, body);
        assert_eq!(problem.signup_url.as_deref(), Some("https://b.example/acme/github/signup"));
        assert_eq!(problem.account.as_deref(), Some("octocat"));
        assert_eq!(problem.to_string(), "The grant was revoked (reauthorization_required: revoked)");
    }

    #[test]
    fn the_other_fields_are_read() {
        let flows =
            read(409, r#"{"code":"ambiguous_connection","action":"change_request","flows":["a","b"]}"#);
        assert_eq!(flows.flows, ["a", "b"]);
        assert_eq!(read(422, r#"{"code":"ttl_unsatisfiable","max_ttl":3000}"#).max_ttl, Some(3000));
        let busy = Problem::read(503, Some(Duration::from_secs(7)), br#"{"current_expires_in":40}"#);
        assert_eq!((busy.current_expires_in, busy.retry_after), (Some(40), Some(Duration::from_secs(7))));
        let bad =
            read(400, r#"{"detail":"bad","code":"c","errors":[{"pointer":"/id","detail":"too long"}]}"#);
        assert_eq!(bad.to_string(), "bad, /id: too long (c)");
        let told =
            r#"{"detail":"/id: too long","code":"c","errors":[{"pointer":"/id","detail":"too long"}]}"#;
        assert_eq!(read(400, told).to_string(), "/id: too long (c)");
    }

    #[test]
    fn a_stranger_in_between_is_classified_by_status() {
        for (status, action) in [
            (301, Action::FixConfiguration),
            (401, Action::RequestAccess),
            (404, Action::FixConfiguration),
            (413, Action::ChangeRequest),
            (502, Action::Retry),
        ] {
            assert_eq!(read(status, "<html>").action, action, "{status}");
        }
        assert_eq!(read(502, "<html>").code, "http_502");
    }

    #[test]
    fn the_token_endpoint_speaks_oauth() {
        let body = br#"{"error":"invalid_client","error_description":"unknown client or wrong secret"}"#;
        let problem = Problem::read_oauth(401, None, body);
        assert_eq!(problem.action, Action::RequestAccess);
        assert_eq!(problem.to_string(), "unknown client or wrong secret (invalid_client)");
        let busy = Problem::read_oauth(400, None, br#"{"error":"temporarily_unavailable"}"#);
        assert_eq!(busy.action, Action::Retry);
    }
}
