//! What is told when a connection breaks or recovers? A line of the log and a figure, once over all replicas.
//!
//! The database writes the change beside the state (`store/outbox.rs`), so none is lost with the process that made it.

use tracing::{info, warn};

use crate::model::connection::State;
use crate::store;
use crate::store::outbox::Change;

use super::{Error, SecretsKeeper};

/// Changes told in one transaction.
const BATCH: u32 = 100;

/// What a change of state comes to for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// No refresh until somebody acts.
    Broken,
    /// Refreshed again.
    Recovered,
    /// Deleted by an admin.
    Deleted,
}

impl Event {
    fn of(state: State) -> Self {
        match state {
            State::Active => Self::Recovered,
            State::Misconfigured | State::ReauthorizationRequired(_) => Self::Broken,
            State::Revoked => Self::Deleted,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Recovered => "recovered",
            Self::Deleted => "deleted",
        }
    }
}

impl SecretsKeeper {
    /// Tells what has changed since it was told last; how many changes.
    pub async fn tell_changes(&self) -> Result<usize, Error> {
        let mut told = 0;
        loop {
            match self.core.parts.store.bounded(self.tell_some()).await? {
                0 => return Ok(told),
                some => told += some,
            }
        }
    }

    async fn tell_some(&self) -> Result<usize, store::Error> {
        let tx = self.core.parts.store.begin().await?;
        let taken = tx.conn().take_changes(BATCH).await?;
        for change in &taken.changes {
            self.tell(change);
        }
        tx.commit().await?;
        Ok(taken.rows)
    }

    fn tell(&self, change: &Change) {
        let Change { at, app, connector, flow, before, state } = change;
        let event = Event::of(*state);
        self.core.parts.figures.changed(connector, event.as_str());
        let (now, reason) = (state.as_str(), state.reason().map(|reason| reason.as_str()));
        if event == Event::Broken {
            warn!(event = event.as_str(), app.id = %app, %connector, %flow, before, state = now, reason, since = %at,
                "the connection of {connector} in {app} has broken: {now}");
        } else {
            info!(event = event.as_str(), app.id = %app, %connector, %flow, before, state = now, since = %at,
                "the connection of {connector} in {app} was {}", event.as_str());
        }
    }
}
