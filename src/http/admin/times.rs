//! Times of answers, as the contract writes them: for `#[serde(serialize_with)]`.

use serde::Serializer;
use time::OffsetDateTime;

use crate::http::problem::rfc3339;

/// A time.
pub(super) fn time<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

/// A time, or null.
#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
pub(super) fn optional<S: Serializer>(at: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}
