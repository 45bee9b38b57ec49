//! What a handler may ask of a request: who calls, strict bodies and queries, ids of the path.
//!
//! Everything from outside becomes a type here or is refused with a problem that points at the fault; a value
//! that was sent is never repeated in the answer.

mod body;
mod form;
mod if_match;
mod json;
mod pairs;
mod query;
mod reading;
mod segments;

use std::future::{Ready, ready};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use crate::http::problem::{Code, Problem};
use crate::identity::bearer::Bearers;
use crate::identity::{MayReceive, Principal, Superadmin};
use crate::model::event::Origin;
use crate::model::scope::Scope;

pub use self::body::{MAX_BODY_BYTES, read_body};
pub use self::form::Form;
pub use self::if_match::{IfMatch, etag};
pub use self::json::Json;
pub use self::pairs::{Pairs, PairsError, decode_pair_text};
pub use self::query::Query;
pub use self::segments::Segments;

/// Who calls, by the bearer token in the `Authorization` header and nothing else (RFC 6750 §2.1).
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

impl Caller {
    /// The caller as an unconfined superadmin with `scope`.
    pub fn superadmin(&self, scope: Scope) -> Result<Superadmin, Problem> {
        Ok(self.0.superadmin(scope)?)
    }

    /// The caller's right to tokens of the path's app and connector, decided before any look-up. An id that can
    /// name nothing is outside of every location; who is not confined learns that it does not exist.
    pub fn may_receive(&self, path: &Segments) -> Result<MayReceive, Problem> {
        match (path.app(), path.connector()) {
            (Ok(app), Ok(connector)) => Ok(self.0.may_receive(&app, &connector)?),
            (Err(unknown), _) | (_, Err(unknown)) => {
                self.0.superadmin(Scope::BinbRead)?;
                Err(unknown)
            }
        }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let bearers = service::<Bearers>(&request)?;
            let values = request.headers().get_all(header::AUTHORIZATION).map(|value| value.as_bytes());
            Ok(Self(bearers.authenticate(values, origin(&request)).await?))
        })
    }
}

/// Where the request came from, as the outermost layer found it.
#[derive(Clone, Copy, Debug)]
pub struct RequestOrigin(pub Origin);

impl FromRequest for RequestOrigin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(origin(request))))
    }
}

fn origin(request: &HttpRequest) -> Origin {
    request.extensions().get::<Origin>().copied().unwrap_or_default()
}

/// A service the composition root put into the application.
pub(in crate::http) fn service<T: 'static>(request: &HttpRequest) -> Result<web::Data<T>, Problem> {
    request.app_data::<web::Data<T>>().cloned().ok_or_else(|| {
        tracing::error!(service = std::any::type_name::<T>(), "a service is missing in the application");
        Problem::new(Code::Internal)
    })
}

#[cfg(test)]
mod tests;
