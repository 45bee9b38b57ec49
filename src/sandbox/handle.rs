//! How does the rest of the process look in? State access without HTTP.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{faults::Faults, ledger::Ledger, state::State};

/// State access from the same process.
#[derive(Clone)]
pub struct Handle(Arc<State>);

/// What an access token is to the provider, alive or dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessEntry {
    /// Whose it is.
    pub user: String,
    /// When it dies of age; none: never.
    pub expires_at: Option<OffsetDateTime>,
}

/// The sandbox has no such client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox has no client `{0}`")]
pub struct UnknownClient(pub String);

impl Handle {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self(state)
    }

    /// Everything counted so far.
    pub fn ledger(&self) -> Ledger {
        self.0.ledger()
    }

    /// Whose access token this is; none where it was never issued. Nothing is counted.
    pub fn find_access(&self, token: &str) -> Option<AccessEntry> {
        let holder = self.0.lock().book.find_access(token, self.0.clock.now())?;
        Some(AccessEntry { user: holder.user, expires_at: holder.expires_at })
    }

    /// What the next token requests of a client meet.
    ///
    /// # Errors
    /// When there is no such client.
    pub fn set_faults(&self, client_id: &str, faults: Faults) -> Result<(), UnknownClient> {
        if self.0.client(client_id).is_none() {
            return Err(UnknownClient(client_id.to_owned()));
        }
        self.0.lock().faults.insert(client_id.to_owned(), faults);
        Ok(())
    }

    /// The person withdraws every grant, as on a provider's settings page; gives how many died.
    pub fn revoke_grants_of(&self, user: &str) -> usize {
        self.0.lock().book.withdraw(user, None)
    }
}
