//! What tokens are cut down to, remembered for 5 s at most: rows of clients and people, ended grants, revoked tokens.

use std::hash::Hash;
use std::sync::Arc;

use moka::sync::Cache;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Error;
use crate::model::client::{Client, ClientId};
use crate::model::grant::GrantId;
use crate::model::person::User;
use crate::model::principal::UserId;
use crate::store::Store;
use crate::vault::Vault;

/// How old anything remembered may be.
const MAX_AGE: Duration = Duration::seconds(5);
const MAX_ROWS: u64 = 10_000;

/// What was read lately; a clone is another handle on the same. Who changes something forgets it here.
#[derive(Clone, Default)]
pub struct RecentRows {
    clients: Recent<ClientId, Option<Arc<Client>>>,
    users: Recent<UserId, Option<Arc<User>>>,
    grants: Recent<GrantId, bool>,
    revoked: Recent<Uuid, bool>,
}

impl RecentRows {
    /// Reads the client's row anew next time.
    pub fn forget(&self, client: &ClientId) {
        self.clients.0.invalidate(client);
    }

    /// Reads the person's row anew next time, and asks anew about every grant: the person's may have ended.
    pub fn forget_user(&self, user: UserId) {
        self.users.0.invalidate(&user);
        self.grants.0.invalidate_all();
    }

    /// Asks anew next time whether the grant has ended.
    pub fn forget_grant(&self, grant: GrantId) {
        self.grants.0.invalidate(&grant);
    }

    /// Asks anew next time whether the token was revoked.
    pub fn forget_token(&self, jti: Uuid) {
        self.revoked.0.invalidate(&jti);
    }
}

/// Reads through what is remembered.
pub(super) struct Reader<'r> {
    pub(super) recent: &'r RecentRows,
    pub(super) store: &'r Store,
    pub(super) vault: &'r Vault,
    pub(super) now: OffsetDateTime,
}

impl Reader<'_> {
    pub(super) async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, Error> {
        let read = async {
            let row = self.store.conn().find_client(id).await?;
            Ok(row.map(|row| self.vault.check(row)).transpose()?.map(Arc::new))
        };
        self.recent.clients.find(id, self.now, read).await
    }

    pub(super) async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, Error> {
        let read = async { Ok(self.store.conn().find_user(id).await?.map(Arc::new)) };
        self.recent.users.find(&id, self.now, read).await
    }

    pub(super) async fn is_granted(&self, id: GrantId) -> Result<bool, Error> {
        let read = async {
            let row = self.store.conn().find_grant(id).await?;
            Ok(row.map(|row| self.vault.check(row)).transpose()?.is_some())
        };
        self.recent.grants.find(&id, self.now, read).await
    }

    pub(super) async fn is_revoked(&self, jti: Uuid) -> Result<bool, Error> {
        let read = async { Ok(self.store.conn().is_token_revoked(jti).await?) };
        self.recent.revoked.find(&jti, self.now, read).await
    }
}

#[derive(Clone)]
struct Recent<K, V>(Cache<K, (V, OffsetDateTime)>);

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Cache::new(MAX_ROWS))
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Recent<K, V> {
    async fn find(
        &self,
        key: &K,
        now: OffsetDateTime,
        read: impl Future<Output = Result<V, Error>>,
    ) -> Result<V, Error> {
        if let Some((value, at)) = self.0.get(key)
            && (now - at).abs() < MAX_AGE
        {
            return Ok(value);
        }
        let value = read.await?;
        self.0.insert(key.clone(), (value.clone(), now));
        Ok(value)
    }
}
