//! Errors as the outside sees them: RFC 9457 problems with a stable code and the action to take.
//!
//! This file and its children alone give statuses. A problem carries what the caller can act on and never a
//! cause; `internal` says nothing but its trace id.

mod admin;
mod clients;
mod identity;
mod issuer;
mod keeper;
mod people;
mod resources;
mod signup;
mod store;
mod upstream;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::client::ClientId;

tokio::task_local! {
    /// The trace id of the request being answered; set by the outermost layer.
    pub static TRACE_ID: Uuid;
}

/// How a request ended, where its status does not tell: for log and figures, beside the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome(pub &'static str);

/// Which client a request says it is of, proved or not: for the log, beside the request.
#[derive(Clone, Debug)]
pub struct SaidClient(pub ClientId);

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The same call again, later.
    Retry,
    /// A person must consent again.
    Reauthorize,
    /// An operator must change a setting.
    FixConfiguration,
    /// An admin must grant access.
    RequestAccess,
    /// The call itself is wrong.
    ChangeRequest,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Retry, Self::Reauthorize, Self::FixConfiguration, Self::RequestAccess, Self::ChangeRequest];

    /// The action as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reauthorize => "reauthorize",
            Self::FixConfiguration => "fix_configuration",
            Self::RequestAccess => "request_access",
            Self::ChangeRequest => "change_request",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $status:ident $act:ident $title:literal;)*) => {
        /// Every code there is; stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The code as text.
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
            /// HTTP status.
            pub fn status(self) -> StatusCode { match self { $(Self::$variant => StatusCode::$status,)* } }
            /// What the caller should do.
            pub fn action(self) -> Act { match self { $(Self::$variant => Act::$act,)* } }
            /// A few words.
            pub fn title(self) -> &'static str { match self { $(Self::$variant => $title,)* } }
        }
    };
}

codes! {
    InvalidRequest "invalid_request" BAD_REQUEST ChangeRequest "The request is malformed";
    Unauthenticated "unauthenticated" UNAUTHORIZED RequestAccess "A bearer token is needed";
    InvalidToken "invalid_token" UNAUTHORIZED RequestAccess "The access token is not valid";
    ClientDisabled "client_disabled" UNAUTHORIZED RequestAccess "The client is disabled";
    Forbidden "forbidden" FORBIDDEN RequestAccess "Not allowed";
    AppDisabled "app_disabled" FORBIDDEN RequestAccess "The app is disabled";
    AppNotFound "app_not_found" NOT_FOUND FixConfiguration "No such app";
    ConnectorNotFound "connector_not_found" NOT_FOUND FixConfiguration "No such connector";
    NotFound "not_found" NOT_FOUND FixConfiguration "Nothing is here";
    ConnectionNotFound "connection_not_found" NOT_FOUND Reauthorize "No account is connected";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED ChangeRequest "The method is not allowed here";
    TooLarge "too_large" PAYLOAD_TOO_LARGE ChangeRequest "The request is too large";
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE ChangeRequest "The content type is not understood";
    ReauthorizationRequired "reauthorization_required" CONFLICT Reauthorize "A new consent is needed";
    AmbiguousConnection "ambiguous_connection" CONFLICT ChangeRequest "Several connections match";
    AlreadyExists "already_exists" CONFLICT ChangeRequest "It exists already";
    AlreadySpent "already_spent" CONFLICT ChangeRequest "The refresh token was spent";
    DuplicateGrant "duplicate_grant" CONFLICT ChangeRequest "The refresh token is held elsewhere";
    PreconditionFailed "precondition_failed" PRECONDITION_FAILED ChangeRequest "It has changed meanwhile";
    TtlUnsatisfiable "ttl_unsatisfiable" UNPROCESSABLE_ENTITY ChangeRequest "No token lives that long";
    CredentialsMissing "credentials_missing" UNPROCESSABLE_ENTITY FixConfiguration "The connector has no client id here";
    RateLimited "rate_limited" TOO_MANY_REQUESTS Retry "Too many requests";
    ProviderMisconfigured "provider_misconfigured" BAD_GATEWAY FixConfiguration "The provider refuses our client";
    ProviderUnavailable "provider_unavailable" SERVICE_UNAVAILABLE Retry "The provider cannot be used now";
    RefreshInProgress "refresh_in_progress" SERVICE_UNAVAILABLE Retry "A refresh is under way";
    StorageUnavailable "storage_unavailable" SERVICE_UNAVAILABLE Retry "The database cannot be used now";
    AuditUnavailable "audit_unavailable" SERVICE_UNAVAILABLE Retry "The audit trail cannot be written";
    Overloaded "overloaded" SERVICE_UNAVAILABLE Retry "Too much is waiting";
    SecretUnreadable "secret_unreadable" INTERNAL_SERVER_ERROR FixConfiguration "A stored secret does not open";
    Internal "internal" INTERNAL_SERVER_ERROR Retry "Something went wrong here";
}

/// A problem, ready to be answered.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    fields: Map<String, Value>,
    retry_after_s: Option<u64>,
    challenge: Option<String>,
    closes: bool,
}

/// What handlers answer.
pub type Answer<T = HttpResponse> = Result<T, Problem>;

impl Problem {
    /// A problem whose detail is the code's title.
    pub fn new(code: Code) -> Self {
        Self::of(code, code.title())
    }

    /// A problem with a sentence of its own: what happened, free of secrets and causes.
    pub fn of(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = (code.action() == Act::Retry && code != Code::Internal).then_some(1);
        let detail = detail.into();
        Self { code, detail, fields: Map::new(), retry_after_s, challenge: None, closes: false }
    }

    /// `invalid_request` that points at one field or parameter.
    pub fn invalid(pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let errors = json!([{ "pointer": pointer, "detail": detail }]);
        Self::of(Code::InvalidRequest, format!("{pointer}: {detail}")).with("errors", errors)
    }

    /// `internal`, with the cause in the log alone.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(cause = %Chain(cause), "a request failed inside");
        Self::new(Code::Internal)
    }

    /// The challenge that goes with it (RFC 6750 §3).
    pub fn challenge_text(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// Adds a field of the contract.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// Sets `WWW-Authenticate` (RFC 6750 §3).
    #[must_use]
    pub fn challenge(mut self, value: String) -> Self {
        self.challenge = Some(value);
        self
    }

    /// Ends the connection with the answer: the rest of the request is not waited for.
    #[must_use]
    pub fn close_connection(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Whether the connection ends with the answer.
    pub fn closes_connection(&self) -> bool {
        self.closes
    }

    /// The fields of the contract beside the standard's.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Seconds to wait before the same call again.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let trace_id = TRACE_ID.try_with(|id| id.to_string()).ok();
        let mut body = self.fields.clone();
        body.insert("type".into(), format!("/problems/{}", self.code.as_str()).into());
        body.insert("title".into(), self.code.title().into());
        body.insert("status".into(), self.code.status().as_u16().into());
        body.insert("detail".into(), self.detail.clone().into());
        body.insert("code".into(), self.code.as_str().into());
        body.insert("action".into(), json!(self.code.action()));
        body.insert("trace_id".into(), trace_id.into());
        let mut response = HttpResponseBuilder::new(self.code.status());
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(challenge) = &self.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge.clone()));
        }
        if self.closes {
            response.force_close();
        }
        response.extensions_mut().insert(Outcome(self.code.as_str()));
        response.content_type("application/problem+json").body(Value::Object(body).to_string())
    }
}

/// A time as the contract writes it: RFC 3339, UTC, whole seconds.
/// What it cannot write, before year 0 or after 9999, becomes its first or last second.
#[expect(clippy::expect_used, reason = "the seconds are within the years that have an RFC 3339 form")]
pub fn rfc3339(at: time::OffsetDateTime) -> String {
    let seconds = at.unix_timestamp().clamp(-62_167_219_200, 253_402_300_799);
    let whole = time::OffsetDateTime::from_unix_timestamp(seconds).expect("within years 0 to 9999");
    whole.format(&time::format_description::well_known::Rfc3339).expect("within years 0 to 9999")
}

/// An error with its sources, for logs.
pub struct Chain<'e>(pub &'e dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            // Where an error tells its cause itself, that is not said twice.
            let text = error.to_string();
            if !told.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            told = text;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_no_contract_can_write_is_written_as_the_nearest_that_it_can() {
        let read = |text: &str| {
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
        };
        let before = read("0000-01-01T00:00:00+23:59");
        let after = read("9999-12-31T23:59:59-23:59");
        assert_eq!(rfc3339(before), "0000-01-01T00:00:00Z");
        assert_eq!(rfc3339(after), "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339(read("2026-01-02T03:04:05.9+01:00")), "2026-01-02T02:04:05Z");
    }
}
