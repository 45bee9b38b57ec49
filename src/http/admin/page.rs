//! How a collection is asked for and answered, a part at a time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::{Page, Part};
use crate::http::problem::Problem;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Which part of a collection.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct CollectionParams {
    /// At most so many items (1 to 200; 50 by default).
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// A part of a collection.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Collection<T> {
    /// In the order of their keys.
    items: Vec<T>,
    /// For `cursor`, to get the next part; null at the end.
    next_cursor: Option<String>,
}

impl CollectionParams {
    /// Reads the parameters.
    pub(in crate::http) fn page(&self) -> Result<Page, Problem> {
        page(self.limit, self.cursor.as_deref())
    }

    /// How many items at most.
    pub(in crate::http) fn limit(&self) -> Result<u32, Problem> {
        read_limit(self.limit)
    }

    /// The cursor as it was sent.
    pub(in crate::http) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}

/// Reads `limit` and `cursor`.
pub(super) fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<Page, Problem> {
    Ok(Page { after: cursor.map(read_cursor).transpose()?, limit: read_limit(limit)? })
}

fn read_limit(given: Option<u32>) -> Result<u32, Problem> {
    let limit = given.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::invalid("limit", "must be 1 to 200"))
    }
}

fn read_cursor(text: &str) -> Result<String, Problem> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|key| !key.contains('\0') && !key.is_empty())
        .ok_or_else(|| Problem::invalid("cursor", "is no cursor of ours"))
}

impl<T> Collection<T> {
    /// The answer to a part.
    pub(in crate::http) fn of<U>(part: Part<U>) -> Self
    where
        T: From<U>,
    {
        let next_cursor = part.next.map(|key| URL_SAFE_NO_PAD.encode(key));
        Self { items: part.items.into_iter().map(T::from).collect(), next_cursor }
    }

    /// The answer to a part whose cursor is opaque already.
    pub(in crate::http) fn opaque<U>(items: Vec<U>, next_cursor: Option<String>) -> Self
    where
        T: From<U>,
    {
        Self { items: items.into_iter().map(T::from).collect(), next_cursor }
    }
}
