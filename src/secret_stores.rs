//! Into which secret stores may credentials of clients be delivered?
//!
//! How a store is spoken to is written once, in `jeton_client::secret_store`. Here is which of them the operator named:
//! nothing is sent to any other.

use std::sync::Arc;

use jeton_client::secret_store::{self, Reference, SecretStore, StoreError, StoreFault, Variables};

/// Why a store is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator did not name it.
    #[error(
        "`{reference}` is not among the places that `secret_stores.deliver_to` in the broker's configuration names ({}); \
         an operator adds it there and starts the broker again",
        list(places)
    )]
    NotConfigured {
        /// Where a credential was to go.
        reference: String,
        /// What is named.
        places: Vec<String>,
    },
    /// It, or the reference.
    #[error("{}{}", .0, whose(.0))]
    Store(StoreError),
    /// It gave back something else than it was given.
    #[error("`{0}`: what was written there is not what comes back: see who else writes there")]
    NotReadBack(Reference),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn list(places: &[String]) -> String {
    match places {
        [] => "none".to_owned(),
        places => places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(", "),
    }
}

/// Who reads this sits before another machine, perhaps, and would set the variables there.
fn whose(error: &StoreError) -> &'static str {
    match error.fault() {
        Some(
            StoreFault::Unauthenticated(_)
            | StoreFault::Unfit(_)
            | StoreFault::Denied(_)
            | StoreFault::Unreachable(_),
        ) => {
            " (the broker speaks to the store: its environment and its machine count, not those of a command)"
        }
        _ => "",
    }
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
            return Err(Error::NotConfigured { reference: text, places: places.clone() });
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
            matches!(opened, Err(Error::NotConfigured { .. }))
        };
        assert!(!is_refused("file:prod/x"));
        for other in ["file:production", "file:x", "aws-sm:eu-west-1/one2", "aws-sm:eu-west-2/one", "env:X"] {
            assert!(is_refused(other), "{other}");
        }
        let told = |stores: &SecretStores| stores.open(&"file:x".parse().unwrap()).err().unwrap().to_string();
        let named = "in the broker's configuration names (`file:prod/`, `aws-sm:eu-west-1/one`)";
        assert!(told(&stores).contains(named), "{}", told(&stores));
        assert!(told(&SecretStores::new(Settings::default())).contains("names (none)"));
    }

    #[test]
    fn a_credential_that_the_broker_lacks_is_said_to_be_the_brokers() {
        let reference: Reference = "aws-sm:eu-west-1/one".parse().unwrap();
        let fault =
            |fault| Error::from(StoreError::Fault { reference: reference.clone(), fault }).to_string();
        let told = fault(StoreFault::Unauthenticated("set AWS_ACCESS_KEY_ID"));
        assert!(
            told.contains("set AWS_ACCESS_KEY_ID (the broker speaks to the store: its environment"),
            "{told}"
        );
        assert!(!fault(StoreFault::Throttled).contains("environment"));
    }
}
