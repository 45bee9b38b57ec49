//! How are people named and sent one-time links?

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::times;
use crate::http::problem::Problem;
use crate::identity::people::Link;
use crate::model::person::Email;
use crate::model::secret::Secret;

/// A one-time link, shown once: whoever has it may use it.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::http) struct LinkResponse {
    id: Uuid,
    pub(super) url: String,
    #[serde(serialize_with = "times::time")]
    pub(super) expires_at: OffsetDateTime,
}

impl LinkResponse {
    #[expect(clippy::disallowed_methods, reason = "door: a one-time link is answered to who made it, once")]
    pub(super) fn new(id: Uuid, url: &Secret, expires_at: OffsetDateTime) -> Self {
        Self { id, url: url.expose_secret().to_owned(), expires_at }
    }
}

impl From<Link> for LinkResponse {
    fn from(link: Link) -> Self {
        Self::new(link.id, &link.url, link.expires_at)
    }
}

/// Reads a login name.
pub(in crate::http) fn read_email(text: &str) -> Result<Email, Problem> {
    Email::parse(text).ok_or_else(|| Problem::invalid("/email", "must be an address of at most 254 bytes"))
}
