//! Into which secret stores may credentials of clients be delivered?
//!
//! How a store is spoken to is written once, in `jeton_client::secret_store`. Here is which of them the operator named:
//! nothing is sent to any other.

use std::sync::Arc;

use jeton_client::secret_store::{self, Reference, SecretStore, StoreError, Variables};

/// Why a store is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator did not name it.
    #[error("`{0}` is not among the places that `secret_stores.deliver_to` names")]
    NotConfigured(String),
    /// It, or the reference.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It gave back something else than it was given.
    #[error("`{0}`: what was written there is not what comes back: see who else writes there")]
    NotReadBack(Reference),
}

/// Where credentials may go, and as whom this process speaks to those stores.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// References, or beginnings of such that end with `/` or `:`.
    pub deliver_to: Vec<String>,
    /// The variables that the stores' makers name.
    pub variables: Variables,
}

/// The stores that may be used.
#[derive(Clone, Debug)]
pub struct SecretStores {
    settings: Settings,
}

impl SecretStores {
    /// Nothing is sent yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The way to a secret.
    ///
    /// # Errors
    /// Where the operator did not name its place, or the process has no credential for it.
    pub fn open(&self, reference: &Reference) -> Result<Arc<dyn SecretStore>, Error> {
        let text = reference.to_string();
        let places = &self.settings.deliver_to;
        if places.contains(&text) {
            return Ok(secret_store::open(reference, &self.settings.variables)?);
        }
        // An ARN may name another account: only one that is named in full.
        let is_in = |place: &String| {
            place.ends_with(['/', ':']) && text.starts_with(place.as_str()) && !text.contains("/arn:")
        };
        if !places.iter().any(is_in) {
            return Err(Error::NotConfigured(text));
        }
        // Nor is a place leave to add a field to what others keep in it.
        Ok(secret_store::open_own(reference, &self.settings.variables)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_that_were_named_are_opened() {
        let deliver_to = ["file:prod/", "aws-sm:eu-west-1/one"].map(str::to_owned).to_vec();
        let variables = Variables::of([("JETON_SECRETS_DIR", "/nowhere")]);
        let stores = SecretStores::new(Settings { deliver_to, variables });
        let is_refused = |text: &str| {
            let opened = stores.open(&text.parse().unwrap());
            matches!(opened, Err(Error::NotConfigured(_)))
        };
        assert!(!is_refused("file:prod/x"));
        for other in ["file:production", "file:x", "aws-sm:eu-west-1/one2", "aws-sm:eu-west-2/one", "env:X"] {
            assert!(is_refused(other), "{other}");
        }
        assert!(SecretStores::new(Settings::default()).open(&"file:x".parse().unwrap()).is_err());
    }
}
