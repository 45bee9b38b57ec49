//! `If-Match` and `ETag` of rows that count their changes (RFC 9110 §13.1.1).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName};
use actix_web::{FromRequest, HttpRequest};

use crate::http::problem::{Code, Problem};

/// The version a caller has seen; `None` where it does not say (no header, or `*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub Option<i64>);

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all(header::IF_MATCH);
        ready(match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => parse(value.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Err(Problem::invalid("If-Match", "is repeated")),
        })
    }
}

/// A tag we never gave matches nothing.
fn parse(value: &str) -> Result<IfMatch, Problem> {
    let value = value.trim();
    if value == "*" {
        return Ok(IfMatch(None));
    }
    let version =
        value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|text| text.parse().ok());
    version.map(|version| IfMatch(Some(version))).ok_or_else(|| Problem::new(Code::PreconditionFailed))
}

/// The `ETag` of a version.
pub fn etag(version: i64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}
