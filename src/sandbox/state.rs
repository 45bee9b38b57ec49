//! What does a running sandbox know? The clients, and everything that changes, behind one lock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use url::Url;

use super::{
    Client, Settings,
    faults::Faults,
    grants::{Book, Holder},
    id_token::Signer,
    ledger::{Counters, Ledger},
};
use crate::model::{entropy::Entropy, time::Clock};

/// A running sandbox.
pub(super) struct State {
    pub(super) base: Url,
    pub(super) users: Vec<String>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) signer: Signer,
    pub(super) started_at: OffsetDateTime,
    clients: BTreeMap<String, Client>,
    changing: Mutex<Changing>,
}

/// What changes. The guard is never held over an await.
pub(super) struct Changing {
    pub(super) book: Book,
    pub(super) faults: BTreeMap<String, Faults>,
    pub(super) counters: BTreeMap<String, Counters>,
    pub(super) windows: BTreeMap<String, Window>,
}

/// Requests of one company in the current minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) ends_at: i64,
    pub(super) used: u32,
}

impl State {
    pub(super) fn new(
        settings: Settings,
        base: Url,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let faults = settings.clients.iter().map(|c| (c.client_id.clone(), c.faults.clone())).collect();
        let counters = settings.clients.iter().map(|c| (c.client_id.clone(), Counters::default())).collect();
        Self {
            base,
            users: settings.users,
            started_at: clock.now(),
            clock,
            entropy,
            signer: Signer::generate(),
            clients: settings.clients.into_iter().map(|c| (c.client_id.clone(), c)).collect(),
            changing: Mutex::new(Changing {
                book: Book::default(),
                faults,
                counters,
                windows: BTreeMap::new(),
            }),
        }
    }

    /// A panic elsewhere leaves counters at worst one short: the state stays usable.
    pub(super) fn lock(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self, client_id: &str) -> Option<&Client> {
        self.clients.get(client_id)
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// The issuer: the base without its final slash.
    pub(super) fn issuer(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(super) fn faults(&self, client_id: &str) -> Faults {
        self.lock().faults.get(client_id).cloned().unwrap_or_default()
    }

    pub(super) fn ledger(&self) -> Ledger {
        let now = self.clock.now();
        let changing = self.lock();
        Ledger { refresh_tokens: changing.book.entries(now), clients: changing.counters.clone() }
    }

    /// The live holder of a bearer token; counts the call either way.
    pub(super) fn call(&self, token: &str) -> Option<Holder> {
        let now = self.clock.now();
        let mut changing = self.lock();
        let holder = changing.book.find_access(token, now)?;
        let counters = changing.counters.entry(holder.client_id.clone()).or_default();
        if !holder.live {
            counters.api_refusals += 1;
            return None;
        }
        counters.api_calls += 1;
        Some(holder)
    }
}

impl Changing {
    pub(super) fn counters(&mut self, client_id: &str) -> &mut Counters {
        self.counters.entry(client_id.to_owned()).or_default()
    }
}
