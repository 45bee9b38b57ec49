//! How is a secret read from a variable?

use async_trait::async_trait;

use super::error::{StoreError, StoreFault};
use super::reference::Reference;
use super::variables::Variables;
use super::{Expected, SecretStore, Stored, Version};
use crate::secret::Secret;

#[derive(Debug)]
pub(super) struct Store {
    reference: Reference,
    name: String,
    variables: Variables,
}

impl Store {
    pub(super) fn new(reference: &Reference, name: &str, variables: &Variables) -> Self {
        Self { reference: reference.clone(), name: name.to_owned(), variables: variables.clone() }
    }

    fn read_only<T>(&self) -> Result<T, StoreError> {
        Err(StoreFault::ReadOnly.at(&self.reference))
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn get(&self) -> Result<Option<Stored>, StoreError> {
        let value = self.variables.find(&self.name).map(Secret::new);
        Ok(value.map(|value| Stored { value, version: Version("1".to_owned()) }))
    }

    async fn put(&self, _value: &Secret, _expected: &Expected) -> Result<Version, StoreError> {
        self.read_only()
    }

    async fn read_back(&self, _version: &Version) -> Result<Option<Secret>, StoreError> {
        Ok(self.get().await?.map(|stored| stored.value))
    }

    async fn activate(&self, _version: &Version, _expected: &Expected) -> Result<(), StoreError> {
        self.read_only()
    }

    async fn delete(&self) -> Result<(), StoreError> {
        self.read_only()
    }

    fn reference(&self) -> &Reference {
        &self.reference
    }
}
