//! Clients' rows, remembered for 5 s at most.

use std::sync::Arc;

use moka::sync::Cache;
use time::{Duration, OffsetDateTime};

use crate::model::client::{Client, ClientId};
use crate::store::{Error, Store};

/// How old a row may be.
const MAX_AGE: Duration = Duration::seconds(5);
const MAX_CLIENTS: u64 = 10_000;

/// Rows of clients read lately; a clone is another handle on the same rows. Who changes a client forgets it here.
#[derive(Clone)]
pub struct RecentClients(Cache<ClientId, Seen>);

#[derive(Clone)]
struct Seen {
    /// `None`: there was no such client.
    client: Option<Arc<Client>>,
    at: OffsetDateTime,
}

impl Default for RecentClients {
    fn default() -> Self {
        Self(Cache::new(MAX_CLIENTS))
    }
}

impl RecentClients {
    /// Reads the row anew next time.
    pub fn forget(&self, id: &ClientId) {
        self.0.invalidate(id);
    }

    pub(super) async fn find(
        &self,
        store: &Store,
        id: &ClientId,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<Client>>, Error> {
        if let Some(seen) = self.0.get(id)
            && (now - seen.at).abs() < MAX_AGE
        {
            return Ok(seen.client);
        }
        let client = store.conn().find_client(id).await?.map(Arc::new);
        self.0.insert(id.clone(), Seen { client: client.clone(), at: now });
        Ok(client)
    }
}
