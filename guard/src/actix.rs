//! May this request to an actix-web service pass? (feature `actix`)
//!
//! A handler says in its signature what it needs, and is not called without it:
//!
//! ```
//! use actix_web::{App, HttpResponse, web};
//! use jeton_guard::actix::{Bearer, Scope};
//! use jeton_guard::{Guard, RemoteKeys};
//!
//! struct TermsWrite;
//! impl Scope for TermsWrite {
//!     const SCOPE: &'static str = "terms:write";
//! }
//!
//! async fn create_term(caller: Bearer<TermsWrite>) -> HttpResponse {
//!     HttpResponse::Created().body(format!("created by {}", caller.subject))
//! }
//!
//! let guard = Guard::builder("https://jeton.example.com")
//!     .audience("https://terms.example.com")
//!     .keys(RemoteKeys::discovery("https://jeton.example.com")?)
//!     .build()?;
//! let app = App::new()
//!     .app_data(web::Data::new(guard))
//!     .route("/api/create-term/", web::post().to(create_term));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! | what comes | the answer |
//! |---|---|
//! | no bearer token | 401, `Bearer realm="..."` |
//! | a token that is refused, or two | 401, `error="invalid_token"` and the cause |
//! | a good token without the scope | 403, `error="insufficient_scope"` and the scope |
//! | a token that nobody can judge yet: the issuer was never reached | 503, `Retry-After` |
//! | nothing to judge it by was given to the `App` | 500, and a line in the log |
//! | one was given in a `web::Data` and another as it is | the same: which is the inner one cannot be told |
//!
//! A scope or resource may have a [`Guard`](crate::Guard) of its own, which goes before the `App`'s; all of them in a `web::Data`,
//! or all as they are.
//!
//! The body is `application/problem+json` (RFC 9457) with `code` and `action`.

use std::fmt;
use std::sync::Arc;

use actix_web::{HttpRequest, web};
use time::OffsetDateTime;

mod bearer;
mod forwarded;
mod refusal;

pub use bearer::{Bearer, Scope};
pub use forwarded::MaybeForwarded;
pub use refusal::{Cause, Refusal};

/// What the extractors take for now, as app data; without one, the machine's clock.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> OffsetDateTime + Send + Sync>,
}

impl Clock {
    /// A clock that is asked at each request.
    pub fn new(now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now) }
    }

    #[expect(clippy::disallowed_methods, reason = "the edge: from here on time is an argument")]
    fn now(request: &HttpRequest) -> OffsetDateTime {
        find::<Self>(request).map_or_else(OffsetDateTime::now_utc, |clock| (clock.now)())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// What the `App` was given, whether as it is or in a `web::Data`; the innermost, as actix has it. Which of two is the
/// inner one cannot be told where both ways are used: then neither counts, so that no outer one lets in whom the inner
/// one would not.
fn find<T: Clone + 'static>(request: &HttpRequest) -> Option<T> {
    match (request.app_data::<web::Data<T>>(), request.app_data::<T>()) {
        (Some(_), Some(_)) => {
            let what = std::any::type_name::<T>();
            tracing::error!(
                "the app data has a `{what}` as it is and another in a `web::Data`: give it one way only"
            );
            None
        }
        (Some(shared), None) => Some(T::clone(shared)),
        (None, bare) => bare.cloned(),
    }
}

fn values<'r>(request: &'r HttpRequest, name: &str) -> Vec<&'r [u8]> {
    request.headers().get_all(name).map(|value| value.as_bytes()).collect()
}
