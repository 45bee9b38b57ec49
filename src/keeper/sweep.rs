//! What is refreshed although nobody asks: connections that are due, of all apps, a few at a time.
//!
//! Each refresh is the flight that callers would join, and its claim decides as always. The sweep only chooses
//! what to begin: it never holds more rows than turns need, and a provider that hangs leaves room for the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use time::OffsetDateTime;
use tracing::warn;
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Connection;
use crate::model::connector::{ConnectorId, Definition};
use crate::registry;
use crate::store::connections::Listed;

use super::flight::Trouble;
use super::{Error, SecretsKeeper, refresh};

/// How long no other replica takes on what this one has.
const TAKEN: time::Duration = time::Duration::minutes(1);
/// How long what somebody has to mend is left alone.
const BROKEN: time::Duration = time::Duration::hours(1);
/// How long what was passed over is left alone while its provider is: taken on is more than one trial needs.
const BARRED: time::Duration = time::Duration::seconds(10);
/// Told as the last error where the connector has no client id here.
const CREDENTIALS_MISSING: &str = "credentials_missing";
/// A round ends when nothing has landed for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refreshes what is due, round by round.
pub struct Sweep {
    keeper: Arc<SecretsKeeper>,
    /// They wait and hold nothing: they are not polled while a round waits for something else.
    under_way: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// By the token endpoint's origin.
    at: HashMap<String, Busy>,
    /// Connectors of which nothing is begun until the next round.
    resting: HashSet<ConnectorId>,
}

/// What is under way at one origin.
#[derive(Default)]
struct Busy {
    refreshes: usize,
    connectors: HashSet<ConnectorId>,
}

/// A refresh that has ended.
struct Landed {
    origin: String,
    id: Uuid,
    app: AppId,
    trouble: Option<Trouble>,
}

impl Sweep {
    /// Nothing is begun yet.
    pub fn new(keeper: Arc<SecretsKeeper>) -> Self {
        Self { keeper, under_way: FuturesUnordered::new(), at: HashMap::new(), resting: HashSet::new() }
    }

    /// Begins a refresh of everything that is due, as places get free; says how many. Returns when nothing more
    /// can be begun for now; what was begun goes on. Dropping it loses nothing.
    pub async fn round(&mut self) -> Result<usize, Error> {
        self.resting.clear();
        let (mut begun, mut dry) = (0, false);
        loop {
            while let Some(Some(landed)) = self.under_way.next().now_or_never() {
                dry &= !self.landed(landed).await;
            }
            if !dry && self.has_room() {
                let Listed { now, rows } = self.take().await?;
                dry = rows.len() < self.share();
                for connection in rows {
                    begun += usize::from(self.begin(connection, now).await?);
                }
                continue;
            }
            if dry && !self.is_any_full() {
                return Ok(begun);
            }
            match tokio::time::timeout(PATIENCE, self.under_way.next()).await {
                Ok(Some(landed)) => dry &= !self.landed(landed).await,
                Ok(None) | Err(_) => return Ok(begun),
            }
        }
    }

    /// Waits for what was begun.
    pub async fn land(&mut self) {
        while let Some(landed) = self.under_way.next().await {
            self.landed(landed).await;
        }
    }

    /// Exclusive, since what is under way is not to be shared between threads.
    async fn take(&mut self) -> Result<Listed, Error> {
        let share = self.share();
        let full = self.at.values().filter(|busy| busy.refreshes > share);
        let except: Vec<&ConnectorId> = full.flat_map(|busy| &busy.connectors).chain(&self.resting).collect();
        let parts = &self.keeper.core.parts;
        let taken = async {
            let tx = parts.store.begin().await?;
            let taken = tx.conn().take_due(u64::try_from(share).unwrap_or(u64::MAX), &except, TAKEN).await?;
            tx.commit().await?;
            Ok(taken)
        };
        Ok(self.keeper.core.settling.noted(&*parts.clock, parts.store.bounded(taken).await)?)
    }

    /// Says whether a refresh was begun. What is not stays marked for a while.
    async fn begin(&mut self, connection: Connection, now: OffsetDateTime) -> Result<bool, Error> {
        let definition = match self.keeper.core.parts.registry.find(connection.connector.as_str()).await {
            Ok(Some(definition)) => definition,
            Ok(None) | Err(registry::Error::Unreadable(_)) => {
                self.resting.insert(connection.connector);
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        if !connection.may_refresh_unasked(&definition.policy(), now) {
            return Ok(false);
        }
        let origin = definition.token_origin();
        let called = definition.called_origin(&connection.variables);
        if called.as_ref().is_some_and(|called| self.keeper.core.breakers.bars(called)) {
            self.put_off(connection.id, &connection.app, BARRED, None).await;
            // Where each connection has a host of its own, the others may go on.
            if !origin.contains('{') {
                self.resting.insert(connection.connector);
            }
            return Ok(false);
        }
        let busy = self.at.entry(origin.clone()).or_default();
        busy.refreshes += 1;
        busy.connectors.insert(connection.connector.clone());
        self.under_way.push(fly(Arc::clone(&self.keeper), definition, connection, now, origin).boxed());
        Ok(true)
    }

    /// Counts one that has landed; says whether its origin takes more again.
    async fn landed(&mut self, landed: Landed) -> bool {
        let Landed { origin, id, app, trouble } = landed;
        match trouble {
            Some(Trouble::CredentialsMissing) => {
                self.put_off(id, &app, BROKEN, Some(CREDENTIALS_MISSING)).await;
            }
            Some(Trouble::Unreadable | Trouble::NotOurs { .. }) => self.put_off(id, &app, BROKEN, None).await,
            Some(Trouble::Barred { .. }) => self.put_off(id, &app, BARRED, None).await,
            Some(Trouble::Storage | Trouble::Unsettled | Trouble::Full) | None => {}
        }
        let share = self.share();
        let Some(busy) = self.at.get_mut(&origin) else { return false };
        busy.refreshes -= 1;
        let left = busy.refreshes;
        if left == 0 {
            self.at.remove(&origin);
        }
        left == share
    }

    async fn put_off(&mut self, id: Uuid, app: &AppId, by: time::Duration, code: Option<&str>) {
        let put_off = async {
            let tx = self.keeper.core.parts.store.begin().await?;
            tx.conn().app(app).put_off(id, by, code).await?;
            tx.commit().await
        };
        if let Err(error) = put_off.await {
            warn!(app.id = %app, %error, "what cannot be refreshed now could not be put off");
        }
    }

    /// Refreshes that one origin has turns for; as many again may wait, so that no turn is left unused.
    fn share(&self) -> usize {
        self.keeper.core.turns.share()
    }

    fn is_any_full(&self) -> bool {
        self.at.values().any(|busy| busy.refreshes > self.share())
    }

    fn has_room(&self) -> bool {
        self.under_way.len() <= self.share() * 7
    }
}

/// One refresh, as a caller would wait for it; gives the origin back.
async fn fly(
    keeper: Arc<SecretsKeeper>,
    definition: Arc<Definition>,
    connection: Connection,
    now: OffsetDateTime,
    origin: String,
) -> Landed {
    let (id, app) = (connection.id, connection.app.clone());
    let target = refresh::Target::new(&definition, connection, false, now);
    // Longer than any flight that has a turn, but for the storing of an answer, which goes on alone.
    let patience = keeper.core.settings.lease * 2;
    let verdict = keeper.flights.board(&keeper.core, target, patience).await;
    Landed { origin, id, app, trouble: verdict.trouble() }
}
