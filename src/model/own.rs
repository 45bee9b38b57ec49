//! Rows that say what somebody may do: believed only where this instance wrote them.

use std::sync::Arc;

use super::secret::KeyedHash;

/// A row that carries a keyed hash over all that matters in it; whoever can write rows but has no key can make none.
pub trait Own {
    /// The table.
    const TABLE: &'static str;

    /// What the hash covers, whose it is among it; no two rows that mean different things have the same parts.
    fn covered(&self) -> Vec<Vec<u8>>;
}

/// A row as it was read, not yet compared with its hash: only [`Vault::check`](crate::vault::Vault::check) gives it
/// out as what it says.
#[derive(Clone, Debug)]
pub struct Unchecked<T> {
    row: T,
    own_mac: Vec<u8>,
}

impl<T> Unchecked<T> {
    /// As it was read.
    pub fn new(row: T, own_mac: Vec<u8>) -> Self {
        Self { row, own_mac }
    }

    /// The row and its hash, for who compares them, or shows the row without acting on it.
    pub fn into_parts(self) -> (T, Vec<u8>) {
        (self.row, self.own_mac)
    }
}

/// Signs rows and knows its own again: the vault makes it, for the store.
#[derive(Clone)]
pub struct Notary(Arc<HashRow>);

type HashRow = dyn Fn(&'static str, &[Vec<u8>]) -> KeyedHash + Send + Sync;

impl Notary {
    /// By the keyed hash of a table's name and what a row of it covers.
    pub fn new(hash: impl Fn(&'static str, &[Vec<u8>]) -> KeyedHash + Send + Sync + 'static) -> Self {
        Self(Arc::new(hash))
    }

    /// The keyed hash that makes a row ours.
    pub fn sign<T: Own>(&self, row: &T) -> KeyedHash {
        (self.0)(T::TABLE, &row.covered())
    }

    /// Whether this instance wrote the row; in constant time.
    pub fn knows<T: Own>(&self, row: &T, own_mac: &[u8]) -> bool {
        self.sign(row).is(own_mac)
    }
}
