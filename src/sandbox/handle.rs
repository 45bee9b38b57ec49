//! How does the rest of the process look in? State access without HTTP.

use std::sync::Arc;

use super::{faults::Faults, ledger::Ledger, state::State};

/// State access from the same process.
#[derive(Clone)]
pub struct Handle(Arc<State>);

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
