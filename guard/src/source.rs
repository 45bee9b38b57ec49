//! Where do an issuer's keys come from?
//!
//! Either they are given, by whoever holds them, or fetched from the issuer. Each change of the set has a new
//! generation, which is what binds a remembered token to the keys that verified it.

use std::sync::{Arc, PoisonError, RwLock};

use time::OffsetDateTime;

use crate::{Error, KeySet};

mod remote;

pub use remote::{RemoteKeys, UrlError};

/// Where a guard takes its keys from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Handed over, and replaced by hand.
    Given(GivenKeys),
    /// Fetched from the issuer.
    Remote(RemoteKeys),
}

impl KeySource {
    /// The keys as known now, without waiting; may be none yet.
    pub(crate) fn peek(&self, now: OffsetDateTime) -> Arc<Snapshot> {
        match self {
            Self::Given(keys) => keys.slot.load(),
            Self::Remote(keys) => keys.peek(now),
        }
    }

    /// The keys, waiting for the first fetch where there has been none.
    pub(crate) async fn require(&self, now: OffsetDateTime) -> Result<Arc<Snapshot>, Error> {
        let snapshot = match self {
            Self::Given(keys) => keys.slot.load(),
            Self::Remote(keys) => keys.known(now).await,
        };
        if snapshot.set.is_empty() { Err(Error::KeysUnavailable) } else { Ok(snapshot) }
    }

    /// Keys other than the ones seen, if there are such: asks the issuer again, as often as it may.
    pub(crate) async fn find_newer(&self, seen: &Snapshot, now: OffsetDateTime) -> Option<Arc<Snapshot>> {
        let snapshot = match self {
            Self::Given(keys) => keys.slot.load(),
            Self::Remote(keys) => keys.renewed(seen, now).await,
        };
        (snapshot.generation != seen.generation).then_some(snapshot)
    }
}

impl From<GivenKeys> for KeySource {
    fn from(keys: GivenKeys) -> Self {
        Self::Given(keys)
    }
}

impl From<RemoteKeys> for KeySource {
    fn from(keys: RemoteKeys) -> Self {
        Self::Remote(keys)
    }
}

/// Keys handed over by the program itself; a clone is another handle on the same keys.
#[derive(Clone, Debug)]
pub struct GivenKeys {
    slot: Arc<Slot>,
}

impl GivenKeys {
    /// Starts with these keys; an empty set answers [`Error::KeysUnavailable`] until it is replaced.
    pub fn new(keys: KeySet) -> Self {
        Self { slot: Arc::new(Slot::new(keys)) }
    }

    /// Puts other keys in the place of these, for every guard that uses them, at once.
    ///
    /// Tokens verified before are verified anew, and refused if their key is gone. The same keys change nothing.
    pub fn replace(&self, keys: KeySet) {
        self.slot.replace(keys);
    }
}

/// A key set and its number.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) set: KeySet,
}

/// The place where the current key set lies.
#[derive(Debug)]
struct Slot {
    current: RwLock<Arc<Snapshot>>,
}

impl Slot {
    fn new(set: KeySet) -> Self {
        Self { current: RwLock::new(Arc::new(Snapshot { generation: 0, set })) }
    }

    fn load(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the set was another one.
    fn replace(&self, set: KeySet) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let differs = current.set != set;
        if differs {
            *current = Arc::new(Snapshot { generation: current.generation.wrapping_add(1), set });
        }
        differs
    }
}
