//! What is looked up when somebody reads the figures? States of connections, records that wait, the pool.
//!
//! One reading at a time: however many ask, the database counts for one of them.

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::warn;

use crate::audit::Audit;
use crate::figures::{Figures, Spooled};
use crate::keeper::SecretsKeeper;
use crate::model::connection::State;
use crate::model::connector::ConnectorId;
use crate::registry::{self, Registry};
use crate::store::Store;

/// Reads all figures of a broker.
pub struct Gauges {
    figures: Arc<Figures>,
    store: Store,
    audit: Arc<Audit>,
    registry: Arc<Registry>,
    keeper: Arc<SecretsKeeper>,
    turn: Mutex<()>,
}

impl Gauges {
    /// Over the parts it looks at.
    pub fn new(
        figures: Arc<Figures>,
        store: Store,
        audit: Arc<Audit>,
        registry: Arc<Registry>,
        keeper: Arc<SecretsKeeper>,
    ) -> Self {
        Self { figures, store, audit, registry, keeper, turn: Mutex::default() }
    }

    /// Everything, as Prometheus reads it; also while the database is away.
    pub async fn text(&self) -> String {
        let _turn = self.turn.lock().await;
        let counted = self.store.bounded(self.count()).await;
        if let Err(error) = &counted {
            warn!(%error, "connections could not be counted for the figures");
        }
        self.figures.set_connections(counted.ok().as_deref());
        let (records, lag) = self.audit.waiting();
        self.figures.set_audit(records, lag);
        for (kind, records) in
            [(Spooled::Answer, self.keeper.spooled()), (Spooled::Audit, self.audit.spooled())]
        {
            self.figures.set_spool(kind, u32::try_from(records).unwrap_or(u32::MAX));
        }
        let pool = self.store.pool();
        self.figures.set_pool(pool.open, pool.idle);
        self.figures.text()
    }

    /// Connections by connector and state as told. What belongs to no definition is left out: labels are bounded.
    async fn count(&self) -> Result<Vec<(ConnectorId, &'static str, u32)>, registry::Error> {
        let definitions = self.registry.list().await?;
        let refreshing = definitions.iter().filter(|definition| definition.policy().refreshes);
        let refreshing: Vec<_> = refreshing.map(|definition| definition.id.clone()).collect();
        let counted = self.store.conn().count_connections(&refreshing).await?;
        let known = |connector: &str| definitions.iter().find(|one| one.id.as_str() == connector);
        let told = |state: &str| State::NAMES.into_iter().find(|name| *name == state);
        let labelled = counted.into_iter().filter_map(|one| {
            let connector = known(&one.connector)?.id.clone();
            Some((connector, told(&one.state)?, u32::try_from(one.connections).unwrap_or(u32::MAX)))
        });
        Ok(labelled.collect())
    }
}
