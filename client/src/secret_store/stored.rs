//! Which credential of a store is in use, and is there a newer one?

use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use super::error::{StoreError, StoreFault};
use super::payload::ServiceCredential;
use super::{Reference, SecretStore, Variables, open};
use crate::settings::{SettingsError, base_url};

/// A credential as it was last read. Whoever is refused with it looks whether it was replaced.
#[derive(Debug)]
pub struct StoredCredential {
    store: Arc<dyn SecretStore>,
    /// Of a pair, which does not say it.
    url: Option<Url>,
    current: Mutex<ServiceCredential>,
}

impl StoredCredential {
    /// Reads what this reference names; a pair is for the broker at `JETON_URL`.
    ///
    /// # Errors
    /// Says what is wrong with the reference, the store, or what is kept there.
    pub async fn open(reference: &Reference, variables: &Variables) -> Result<Self, StoreError> {
        let unfit = |error: SettingsError| StoreFault::Unfit(error.to_string()).at(reference);
        let url = variables.find("JETON_URL").as_deref().map(base_url).transpose().map_err(unfit)?;
        Self::load(open(reference, variables)?, url).await
    }

    pub(crate) async fn load(store: Arc<dyn SecretStore>, url: Option<Url>) -> Result<Self, StoreError> {
        let current = Mutex::new(read(&*store, url.as_ref()).await?);
        Ok(Self { store, url, current })
    }

    /// Where it is.
    pub fn reference(&self) -> &Reference {
        self.store.reference()
    }

    /// As it was last read.
    pub fn current(&self) -> ServiceCredential {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads it again; says whether the secret is another one than `refused`.
    ///
    /// # Errors
    /// As at first.
    pub async fn reload(&self, refused: &ServiceCredential) -> Result<bool, StoreError> {
        let fresh = read(&*self.store, self.url.as_ref()).await?;
        let is_new = fresh.client_id != refused.client_id || !fresh.client_secret.is(&refused.client_secret);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(is_new)
    }
}

async fn read(store: &dyn SecretStore, url: Option<&Url>) -> Result<ServiceCredential, StoreError> {
    let fault = |fault: StoreFault| fault.at(store.reference());
    let stored = store.get().await?.ok_or_else(|| store.absent())?;
    ServiceCredential::read_at(&stored.value, url).map_err(fault)
}
