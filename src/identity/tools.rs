//! What every service about people works with.

use std::sync::Arc;

use uuid::Uuid;

use crate::audit::Audit;
use crate::model::entropy::{self, Entropy};
use crate::model::ticket::Ticket;
use crate::model::time::Clock;
use crate::store::Store;
use crate::vault::Vault;

/// Database, keys, audit trail, time and chance.
#[derive(Clone)]
pub struct Tools {
    /// The database.
    pub store: Store,
    /// Keyed hashes.
    pub vault: Arc<Vault>,
    /// The audit trail.
    pub audit: Arc<Audit>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Tools {
    pub(in crate::identity) fn id(&self) -> Uuid {
        entropy::uuid(&*self.clock, &*self.entropy)
    }

    pub(in crate::identity) fn ticket(&self) -> Ticket {
        Ticket::new(self.id(), &*self.entropy)
    }

    /// Whether `stored` is the hash of this ticket in its row of `table`, which speaks for `subject`.
    pub fn fits(&self, table: &'static str, ticket: &Ticket, subject: &[u8], stored: &[u8]) -> bool {
        let row = Vault::row(&[ticket.id.as_bytes(), subject]);
        self.vault.hash_matches(table, "token_hash", &row, &ticket.secret, stored)
    }

    /// The hash to store for this ticket in its row of `table`, bound to what the row speaks for: a row turned
    /// to somebody else does not fit its ticket any more.
    pub fn hash(
        &self,
        table: &'static str,
        ticket: &Ticket,
        subject: &[u8],
    ) -> crate::model::secret::KeyedHash {
        let row = Vault::row(&[ticket.id.as_bytes(), subject]);
        self.vault.hash_secret(table, "token_hash", &row, &ticket.secret)
    }
}
