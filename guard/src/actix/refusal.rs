//! What does a caller get who may not pass? The only place of this crate that gives statuses.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::Refused;

/// After so many seconds an issuer that was never reached is asked again.
const RETRY_AFTER_S: u32 = 5;

/// A request that is not let through; as a response it is as the table of the [module](super) says.
#[derive(Clone, Debug)]
pub struct Refusal {
    realm: String,
    cause: Cause,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The request is to blame, or the issuer.
    Refused(Refused),
    /// The `App` was not given what judges, a value of this type.
    NotConfigured(&'static str),
}

impl Refusal {
    pub(super) fn new(realm: &str, refused: Refused) -> Self {
        Self { realm: realm.to_owned(), cause: Cause::Refused(refused) }
    }

    pub(super) fn not_configured(what: &'static str) -> Self {
        tracing::error!("the app data has no `{what}`, so every request that needs one is refused");
        Self { realm: String::new(), cause: Cause::NotConfigured(what) }
    }

    /// For an error handler of the service's own.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Status, `code` and `action`, by the words of the broker's own errors.
    fn told(&self) -> (StatusCode, &'static str, &'static str) {
        match &self.cause {
            Cause::NotConfigured(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "retry"),
            Cause::Refused(refused) if refused.is_temporary() => {
                (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable", "retry")
            }
            Cause::Refused(Refused::InsufficientScope(_)) => {
                (StatusCode::FORBIDDEN, "forbidden", "request_access")
            }
            Cause::Refused(Refused::Missing | Refused::UntrustedPeer) => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "request_access")
            }
            Cause::Refused(_) => (StatusCode::UNAUTHORIZED, "invalid_token", "request_access"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Refused(refused) => refused.fmt(f),
            Cause::NotConfigured(_) => f.write_str("the service is not set up to judge requests"),
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.told().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, action) = self.told();
        let mut response = HttpResponse::build(status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        if let Cause::Refused(refused) = &self.cause {
            if refused.is_temporary() {
                response.insert_header((RETRY_AFTER, RETRY_AFTER_S));
            }
            if let Some(challenge) = refused.challenge(&self.realm) {
                response.insert_header((WWW_AUTHENTICATE, challenge.to_string()));
            }
        }
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
            "code": code,
            "action": action,
        });
        response.content_type("application/problem+json").body(body.to_string())
    }
}
