//! Which values may credentials have?

use std::collections::BTreeMap;

use super::Error;
use crate::model::connector::{Definition, TokenAuth, Violation};
use crate::model::secret::Secret;

/// Credentials to be stored.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Our client id at the provider.
    pub client_id: String,
    /// Our secret there; public clients have none.
    pub client_secret: Option<Secret>,
    /// Asked for instead of the definition's.
    pub scopes: Option<Vec<String>>,
    /// URL variables these credentials fix.
    pub params: BTreeMap<String, String>,
}

impl Draft {
    /// Checks every value and tells all that cannot be.
    pub(super) fn check(&self, definition: &Definition) -> Result<(), Error> {
        let mut found = Vec::new();
        let mut refuse = |pointer: &str, detail: &str| {
            found.push(Violation { pointer: pointer.to_owned(), detail: detail.to_owned() });
        };
        if !is_text(&self.client_id, 512) {
            refuse("/client_id", "must be 1 to 512 characters without control characters");
        }
        match &self.client_secret {
            None if definition.token_auth != TokenAuth::None => refuse("/client_secret", "is missing"),
            Some(secret) if !is_secret(secret) => {
                refuse("/client_secret", "must be 1 to 4096 characters without control characters");
            }
            Some(_) | None => {}
        }
        let scopes = self.scopes.as_deref().unwrap_or_default();
        let good = |scope: &String| is_text(scope, 256) && !scope.contains(' ');
        if scopes.len() > 100 || !scopes.iter().all(good) {
            refuse("/scopes", "must be at most 100 scopes without spaces and control characters");
        }
        if let Err(wrong) = definition.check_variables(&self.params) {
            found.extend(
                wrong.into_iter().map(|one| Violation { pointer: format!("/params{}", one.pointer), ..one }),
            );
        }
        if found.is_empty() { Ok(()) } else { Err(Error::Invalid(found)) }
    }
}

fn is_text(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control)
}

#[expect(clippy::disallowed_methods, reason = "door: the characters of a client secret are checked")]
fn is_secret(secret: &Secret) -> bool {
    is_text(secret.expose_secret(), 4096)
}
