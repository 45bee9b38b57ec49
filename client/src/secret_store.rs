//! Where are credentials kept, and how are they read and replaced there?
//!
//! A [`Reference`] names one secret of one store; [`open`] is the way to it. Whoever writes says what must be there now
//! (nothing, or a version), so that two who write do not overwrite each other. Where a store can keep a version that
//! nobody reads yet (AWS), [`SecretStore::put`] writes such a one, and [`SecretStore::activate`] makes it the current
//! one by one comparing statement; elsewhere what is written is current at once.

mod aws;
mod azure;
mod env;
mod error;
mod file;
mod payload;
mod reference;
mod stored;
mod variables;
mod vault;
mod wire;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use error::{StoreError, StoreFault, StoreUnreached};
pub use payload::ServiceCredential;
pub use reference::{Reference, ReferenceError};
pub use stored::StoredCredential;
pub use variables::Variables;

use crate::secret::Secret;

/// One secret in its store.
#[async_trait]
pub trait SecretStore: fmt::Debug + Send + Sync {
    /// What is kept now; none where nothing is.
    async fn get(&self) -> Result<Option<Stored>, StoreError>;

    /// Writes `value` where what is there is as `expected`. It may be current at once, or with [`Self::activate`].
    async fn put(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreError>;

    /// What this version holds, current or not.
    async fn read_back(&self, version: &Version) -> Result<Option<Secret>, StoreError>;

    /// Makes the version of a [`Self::put`] the current one, in place of what was expected there.
    async fn activate(&self, version: &Version, expected: &Expected) -> Result<(), StoreError>;

    /// Takes the secret away, as far as the store lets go of it at once.
    async fn delete(&self) -> Result<(), StoreError>;

    /// Which secret this is.
    fn reference(&self) -> &Reference;

    /// That nothing is kept, and where that was looked for.
    fn absent(&self) -> StoreError {
        StoreFault::Absent.at(self.reference())
    }
}

/// The store's name of one value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub(crate) String);

/// A value and its version.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The value.
    pub value: Secret,
    /// Its version.
    pub version: Version,
}

/// What a writer takes to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// This.
    Version(Version),
}

/// The way to a secret; nothing is sent yet.
///
/// # Errors
/// Where the variables do not say how to reach its store.
pub fn open(reference: &Reference, variables: &Variables) -> Result<Arc<dyn SecretStore>, StoreError> {
    open_as(reference, variables, false)
}

/// The same for whoever may touch no secret of others: one of Vault that has fields, and not this one, counts as theirs
/// ([`StoreFault::Shared`]). Everywhere else a reference names a whole secret.
///
/// # Errors
/// The same.
pub fn open_own(reference: &Reference, variables: &Variables) -> Result<Arc<dyn SecretStore>, StoreError> {
    open_as(reference, variables, true)
}

fn open_as(
    reference: &Reference,
    variables: &Variables,
    own: bool,
) -> Result<Arc<dyn SecretStore>, StoreError> {
    fn shared<T: SecretStore + 'static>(store: T) -> Arc<dyn SecretStore> {
        Arc::new(store)
    }
    let opened = match reference {
        Reference::File { name } => file::Store::new(reference, name, variables).map(shared),
        Reference::Env { name } => Ok(shared(env::Store::new(reference, name, variables))),
        Reference::Aws { region, id } => aws::Store::new(reference, region, id, variables).map(shared),
        Reference::Azure { vault, name } => azure::Store::new(reference, vault, name, variables).map(shared),
        Reference::Vault { mount, path, field } => {
            vault::Store::new(reference, [mount, path, field], variables).map(|store| shared(store.own(own)))
        }
    };
    opened.map_err(|fault| fault.at(reference))
}
