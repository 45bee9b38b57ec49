//! Errors of the authorization server: RFC 6749 §5.2 JSON.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

use crate::http::problem::{Chain, Code, Outcome, Problem, TRACE_ID};
use crate::issuer;
use crate::model::description::Description;

/// The values of `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthCode {
    /// Malformed, repeated or missing parameter.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// No token comes of this request.
    InvalidGrant,
    /// No grant of ours.
    UnsupportedGrantType,
    /// Scope unknown or beyond the client's.
    InvalidScope,
    /// No resource of the client's (RFC 8707 §2).
    InvalidTarget,
    /// The person has not answered yet (RFC 8628 §3.5).
    AuthorizationPending,
    /// The device polls too fast (RFC 8628 §3.5).
    SlowDown,
    /// The person said no (RFC 8628 §3.5).
    AccessDenied,
    /// The device waited too long (RFC 8628 §3.5).
    ExpiredToken,
    /// The bearer token is missing or not good (RFC 6750 §3.1).
    InvalidToken,
    /// The bearer token does not reach (RFC 6750 §3.1).
    InsufficientScope,
    /// Later.
    TemporarilyUnavailable,
    /// We failed.
    ServerError,
}

impl OAuthCode {
    /// As text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

/// An error, ready to be answered.
#[derive(Clone, Debug)]
pub struct OAuthError {
    code: OAuthCode,
    status: StatusCode,
    description: Description,
    basic: bool,
    bearer: Option<String>,
    retry_after_s: Option<u64>,
    closes: bool,
    ours: Option<Code>,
    more: Map<String, Value>,
}

impl OAuthError {
    /// An error with the status the standard gives it. The description is ours, never what was sent.
    pub fn new(code: OAuthCode, description: &str) -> Self {
        let status = match code {
            OAuthCode::InvalidClient | OAuthCode::InvalidToken => StatusCode::UNAUTHORIZED,
            OAuthCode::InsufficientScope => StatusCode::FORBIDDEN,
            OAuthCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            OAuthCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            OAuthCode::InvalidRequest
            | OAuthCode::UnauthorizedClient
            | OAuthCode::InvalidGrant
            | OAuthCode::UnsupportedGrantType
            | OAuthCode::InvalidScope
            | OAuthCode::InvalidTarget
            | OAuthCode::AuthorizationPending
            | OAuthCode::SlowDown
            | OAuthCode::AccessDenied
            | OAuthCode::ExpiredToken => StatusCode::BAD_REQUEST,
        };
        let retry_after_s = (code == OAuthCode::TemporarilyUnavailable).then_some(1);
        let (description, more) = (Description::new(description), Map::new());
        Self {
            code,
            status,
            description,
            basic: false,
            bearer: None,
            retry_after_s,
            closes: false,
            ours: None,
            more,
        }
    }

    /// Says which way of client authentication is asked for, where it failed.
    #[must_use]
    pub fn challenging(self, basic: bool) -> Self {
        Self { basic: basic && self.code == OAuthCode::InvalidClient, ..self }
    }

    /// With our `code` and `action` beside, where they are not there yet.
    #[must_use]
    pub(super) fn coded(self) -> Self {
        if self.ours.is_some() {
            return self;
        }
        let code = match self.code {
            OAuthCode::InvalidClient => Code::Unauthenticated,
            OAuthCode::InvalidToken => Code::InvalidToken,
            OAuthCode::UnauthorizedClient | OAuthCode::InsufficientScope | OAuthCode::AccessDenied => {
                Code::Forbidden
            }
            OAuthCode::TemporarilyUnavailable if self.status == StatusCode::TOO_MANY_REQUESTS => {
                Code::RateLimited
            }
            OAuthCode::TemporarilyUnavailable => Code::StorageUnavailable,
            OAuthCode::ServerError => Code::Internal,
            OAuthCode::InvalidRequest if self.status == StatusCode::METHOD_NOT_ALLOWED => {
                Code::MethodNotAllowed
            }
            OAuthCode::InvalidRequest
            | OAuthCode::InvalidGrant
            | OAuthCode::UnsupportedGrantType
            | OAuthCode::InvalidScope
            | OAuthCode::InvalidTarget
            | OAuthCode::AuthorizationPending
            | OAuthCode::SlowDown
            | OAuthCode::ExpiredToken => Code::InvalidRequest,
        };
        let status = if code == Code::Forbidden { code.status() } else { self.status };
        Self { ours: Some(code), status, ..self }
    }

    /// A refusal of a provider's token: the status, the fields and the sentence are the problem's.
    pub(super) fn of_hand_out(problem: Problem) -> Self {
        let code = match problem.code().status() {
            StatusCode::UNAUTHORIZED => OAuthCode::InvalidClient,
            StatusCode::FORBIDDEN => OAuthCode::UnauthorizedClient,
            StatusCode::BAD_REQUEST => OAuthCode::InvalidRequest,
            StatusCode::SERVICE_UNAVAILABLE => OAuthCode::TemporarilyUnavailable,
            _ => OAuthCode::InvalidGrant,
        };
        Self {
            status: problem.code().status(),
            retry_after_s: problem.retry_after_s(),
            closes: problem.closes_connection(),
            ours: Some(problem.code()),
            more: problem.fields().clone(),
            ..Self::new(code, problem.detail())
        }
    }

    /// A refusal of a token exchange: the statuses of RFC 6749 §5.2, and our code, action and fields beside.
    pub(super) fn of_exchange(problem: Problem) -> Self {
        let error = Self::of_hand_out(problem);
        let code = match error.status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => OAuthCode::InvalidTarget,
            _ => error.code,
        };
        let later = error.status.is_server_error() && code == OAuthCode::TemporarilyUnavailable;
        let status = if later { error.status } else { StatusCode::BAD_REQUEST };
        Self { code, status, ..error }
    }

    /// A refusal of a bearer token (RFC 6750 §3).
    pub(super) fn of_bearer(problem: &Problem) -> Self {
        let code = match problem.code() {
            Code::Unauthenticated | Code::InvalidToken | Code::ClientDisabled => OAuthCode::InvalidToken,
            Code::Forbidden => OAuthCode::InsufficientScope,
            Code::InvalidRequest => OAuthCode::InvalidRequest,
            Code::StorageUnavailable => OAuthCode::TemporarilyUnavailable,
            _ => OAuthCode::ServerError,
        };
        Self { bearer: problem.challenge_text().map(str::to_owned), ..Self::new(code, problem.detail()) }
    }

    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::PRAGMA, "no-cache"));
        if self.basic {
            response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"jeton\", charset=\"UTF-8\""));
        }
        if let Some(challenge) = &self.bearer {
            response.insert_header((header::WWW_AUTHENTICATE, challenge.as_str()));
        }
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.closes {
            response.force_close();
        }
        let mut body = self.more.clone();
        body.insert("error".into(), self.code.as_str().into());
        body.insert("error_description".into(), self.description.as_str().into());
        // What we cannot tell is found in the log.
        let trace_id = TRACE_ID.try_with(|id| id.to_string()).ok();
        let trace_id = trace_id.filter(|_| self.code == OAuthCode::ServerError);
        body.extend(trace_id.map(|id| ("trace_id".to_owned(), id.into())));
        let outcome = self.ours.map_or(self.code.as_str(), Code::as_str);
        if let Some(ours) = self.ours {
            body.insert("code".into(), ours.as_str().into());
            body.insert("action".into(), json!(ours.action()));
        }
        let mut response = response.json(body);
        response.extensions_mut().insert(Outcome(outcome));
        response
    }
}

impl From<issuer::Error> for OAuthError {
    fn from(error: issuer::Error) -> Self {
        use issuer::Error;
        match error {
            Error::InvalidClient => Self::new(OAuthCode::InvalidClient, "client authentication failed"),
            Error::TooManyFailures { retry_after_s } => Self {
                retry_after_s: Some(retry_after_s),
                ..Self::new(OAuthCode::TemporarilyUnavailable, "client authentication failed too often")
                    .status(StatusCode::TOO_MANY_REQUESTS)
            },
            Error::TooManyDevices { retry_after_s } => Self {
                retry_after_s: Some(retry_after_s),
                ..Self::new(
                    OAuthCode::TemporarilyUnavailable,
                    "too many devices of this application wait in this network; try again later",
                )
                .status(StatusCode::TOO_MANY_REQUESTS)
            },
            Error::UnauthorizedClient => {
                Self::new(OAuthCode::UnauthorizedClient, "this client may not use this grant")
            }
            Error::InvalidScope => Self::new(
                OAuthCode::InvalidScope,
                "the scope is malformed, unknown or not granted to this client: leave it out to get what it has, or \
                 have an admin grant it (`jeton client update --scope`)",
            ),
            Error::InvalidTarget => Self::new(
                OAuthCode::InvalidTarget,
                "not a resource server of this client: have an admin add it (`jeton client update --resource`)",
            ),
            Error::InvalidGrant(why) => Self::new(OAuthCode::InvalidGrant, why),
            Error::AuthorizationPending => {
                Self::new(OAuthCode::AuthorizationPending, "the person has not answered yet; ask again")
            }
            Error::SlowDown => Self::new(
                OAuthCode::SlowDown,
                "asked too soon; wait 5 seconds more between requests from now on",
            ),
            Error::SignedOut => Self::new(OAuthCode::AccessDenied, "the person was signed out meanwhile"),
            Error::AccessDenied(why) => Self::new(OAuthCode::AccessDenied, why),
            Error::ExpiredToken => {
                Self::new(OAuthCode::ExpiredToken, "the person did not answer in time; begin again")
            }
            Error::Overloaded => {
                Self::new(OAuthCode::TemporarilyUnavailable, "too many devices wait; try again later")
            }
            Error::NotOurs(_) => {
                tracing::error!(cause = %Chain(&error), "a stored row is not used");
                Self::new(
                    OAuthCode::ServerError,
                    "a stored row was changed behind this service's back; tell an admin",
                )
            }
            Error::Store(_) | Error::Audit(_) => {
                tracing::warn!(cause = %Chain(&error), "no token was issued");
                Self::new(OAuthCode::TemporarilyUnavailable, "try again later")
            }
            Error::Keys(_) => {
                tracing::error!(cause = %Chain(&error), "no token can be signed");
                Self::new(OAuthCode::ServerError, "no token can be signed")
            }
        }
    }
}

/// A refusal that no route gives: RFC 6749 §5.2 under `/o/`, a problem elsewhere.
pub fn refusal(problem: Problem, under_o: bool) -> HttpResponse {
    if under_o { OAuthError::from(problem).error_response() } else { problem.error_response() }
}

/// What reading a request found, in the words of the standard.
impl From<Problem> for OAuthError {
    fn from(problem: Problem) -> Self {
        let error = Self {
            closes: problem.closes_connection(),
            ..Self::new(OAuthCode::InvalidRequest, problem.detail())
        };
        match problem.code() {
            Code::TooLarge => error.status(StatusCode::PAYLOAD_TOO_LARGE),
            Code::NotFound => error.status(StatusCode::NOT_FOUND),
            Code::Internal => Self::new(OAuthCode::ServerError, problem.detail()),
            _ => error,
        }
    }
}
