//! The errors of the contract, and what every one of them looks like.

use reqwest::Response;
use serde_json::Value;

/// Code, status, action: the contract's table.
pub(crate) const CODES: &[(&str, u16, &str)] = &[
    ("invalid_request", 400, "change_request"),
    ("unauthenticated", 401, "request_access"),
    ("invalid_token", 401, "request_access"),
    ("client_disabled", 401, "request_access"),
    ("forbidden", 403, "request_access"),
    ("app_disabled", 403, "request_access"),
    ("app_not_found", 404, "fix_configuration"),
    ("connector_not_found", 404, "fix_configuration"),
    ("not_found", 404, "fix_configuration"),
    ("connection_not_found", 404, "reauthorize"),
    ("method_not_allowed", 405, "change_request"),
    ("too_large", 413, "change_request"),
    ("unsupported_media_type", 415, "change_request"),
    ("reauthorization_required", 409, "reauthorize"),
    ("ambiguous_connection", 409, "change_request"),
    ("already_exists", 409, "change_request"),
    ("already_spent", 409, "change_request"),
    ("duplicate_grant", 409, "change_request"),
    ("precondition_failed", 412, "change_request"),
    ("ttl_unsatisfiable", 422, "change_request"),
    ("credentials_missing", 422, "fix_configuration"),
    ("rate_limited", 429, "retry"),
    ("provider_misconfigured", 502, "fix_configuration"),
    ("provider_unavailable", 503, "retry"),
    ("refresh_in_progress", 503, "retry"),
    ("storage_unavailable", 503, "retry"),
    ("audit_unavailable", 503, "retry"),
    ("overloaded", 503, "retry"),
    ("secret_unreadable", 500, "fix_configuration"),
    ("internal", 500, "retry"),
];

/// The problem with this code that an answer is, seen from every side the contract names.
#[track_caller]
pub(crate) fn read(answer: Response, code: &str) -> impl Future<Output = Value> {
    let place = std::panic::Location::caller();
    let code = code.to_owned();
    async move {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let told = format!("{place}: {status} {text}");
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let problem: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{told}"));
        let (_, expected, action) = CODES.iter().find(|(one, ..)| *one == code).unwrap();
        assert_eq!((problem["code"].as_str(), status), (Some(code.as_str()), *expected), "{told}");
        assert_eq!((&problem["action"], &problem["status"]), (&(*action).into(), &status.into()), "{told}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{told}");
        assert_eq!(header("content-type").as_deref(), Some("application/problem+json"), "{told}");
        assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{told}");
        for sentence in ["title", "detail"] {
            assert!(problem[sentence].as_str().is_some_and(|text| !text.is_empty()), "{told}");
        }
        let trace_id = problem["trace_id"].as_str().and_then(|id| uuid::Uuid::try_parse(id).ok());
        assert!(trace_id.is_some_and(|id| !id.is_nil()), "{told}");
        let retry_after = header("retry-after").map(|text| text.parse::<u64>().unwrap());
        let wants_retry = *action == "retry" && code != "internal";
        assert_eq!(retry_after.is_some_and(|seconds| seconds >= 1), wants_retry, "{told}");
        assert_eq!(header("www-authenticate").is_some(), status == 401 || code == "forbidden", "{told}");
        problem
    }
}

/// What tells two problems apart: everything but the trace id, which tells one request from another.
pub(crate) fn without_trace_id(mut problem: Value) -> Value {
    problem.as_object_mut().unwrap().remove("trace_id").unwrap();
    problem
}

/// Whether a text is one that `error_description` may be (RFC 6749 §5.2).
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\')
}
