//! Which problem each failure about people and sessions is.

use super::{Chain, Code, Problem};
use crate::identity::session;

impl From<session::Error> for Problem {
    fn from(error: session::Error) -> Self {
        match error {
            session::Error::Store(cause) => {
                tracing::warn!(cause = %Chain(&cause), "sessions cannot be used");
                Self::new(Code::StorageUnavailable)
            }
        }
    }
}
