//! What is told of connections: no token, nothing spent.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::identity::{MayReceive, Member, Superadmin};
use crate::model::app::AppId;
use crate::model::connection::{Connection, Flow, LastError, State};
use crate::model::connector::{ConnectorId, Policy};
use crate::model::event::{Action, Event};
use crate::model::token_set::Generation;
use crate::store::connections::{Filter, Held, Listed, StateFilter};

use super::{Error, Found, SecretsKeeper};

/// A connection as people and jobs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Row id: the cursor of lists.
    pub id: Uuid,
    /// Tenant.
    pub app: AppId,
    /// Kind of API.
    pub connector: ConnectorId,
    /// Which of several.
    pub flow: Flow,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: OffsetDateTime,
    /// Counts token sets.
    pub generation: Generation,
    /// When the access token dies.
    pub expires_at: Option<OffsetDateTime>,
    /// What people call the account.
    pub account: Option<String>,
    /// Who connected it.
    pub connected_by: Option<String>,
    /// When a refresh succeeded last.
    pub last_refresh_at: Option<OffsetDateTime>,
    /// The last failure since.
    pub last_error: Option<LastError>,
    /// Whether app members may exchange for it.
    pub shared: bool,
}

/// Which connections a list shows.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Of one app.
    pub app: Option<AppId>,
    /// Of one connector.
    pub connector: Option<ConnectorId>,
    /// In one state, as told.
    pub state: Option<String>,
    /// Whose access token dies before.
    pub expires_before: Option<OffsetDateTime>,
    /// After this one.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: u64,
}

impl SecretsKeeper {
    /// The status of what `retrieve_token` would hand out.
    pub async fn status(&self, by: &MayReceive, flow: Option<&Flow>) -> Result<Status, Error> {
        let definition = self.core.definition(by.connector()).await?;
        let found = self.core.find_for(by, flow).await?;
        super::note(&found.held.connection);
        Ok(told(&found.held.connection, &definition.policy(), found.now))
    }

    /// The status of a connection, deleted or not, for an admin.
    pub async fn connection(
        &self,
        _by: &Superadmin,
        app: &AppId,
        connector: &ConnectorId,
        flow: Option<&Flow>,
    ) -> Result<Status, Error> {
        let definition = self.core.definition(connector).await?;
        let found = self.find_any(app, connector, flow).await?;
        Ok(told(&found.held.connection, &definition.policy(), found.now))
    }

    /// Connections of all apps or of one.
    pub async fn list(&self, _by: &Superadmin, filter: &ListFilter) -> Result<Vec<Status>, Error> {
        let narrowed = Filter {
            connector: filter.connector.clone(),
            state: self.state_filter(filter.state.as_deref()).await?,
            expires_before: filter.expires_before,
            after: filter.after,
            limit: filter.limit,
        };
        let conn = self.core.parts.store.conn();
        let listed = match &filter.app {
            Some(app) => conn.app(app).list_connections(&narrowed).await?,
            None => conn.list_all_connections(&narrowed).await?,
        };
        self.all_told(listed).await
    }

    async fn state_filter(&self, state: Option<&str>) -> Result<Option<StateFilter>, Error> {
        let Some(state) = state else { return Ok(None) };
        let all = self.core.parts.registry.list().await?;
        let refreshing = all.iter().filter(|definition| definition.policy().refreshes);
        let refreshing = refreshing.map(|definition| definition.id.clone()).collect();
        Ok(Some(StateFilter { state: state.to_owned(), refreshing }))
    }

    /// The app's connections, for the connect page.
    pub async fn connections_of(&self, by: &Member) -> Result<Vec<Status>, Error> {
        let filter = Filter { limit: 1_000, ..Filter::default() };
        let listed = self.core.parts.store.conn().app(by.app()).list_connections(&filter).await?;
        self.all_told(listed).await
    }

    /// Sets whether app members may exchange for a connection.
    pub async fn share(
        &self,
        by: &Superadmin,
        app: &AppId,
        connector: &ConnectorId,
        flow: Option<&Flow>,
        shared: bool,
    ) -> Result<Status, Error> {
        let found = self.find_any(app, connector, flow).await?;
        let tx = self.core.parts.store.begin().await?;
        tx.conn().app(app).set_shared(found.held.connection.id, shared).await?;
        let event = Event {
            subject: Some(if shared { "shared" } else { "not shared" }.to_owned()),
            ..by.principal().event(Action::ConnectionChange).about(&found.held.connection)
        };
        self.core.parts.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        self.connection(by, app, connector, Some(&found.held.connection.flow)).await
    }

    /// Like a hand-out finds it, but also in a disabled app and when deleted.
    pub(super) async fn find_any(
        &self,
        app: &AppId,
        connector: &ConnectorId,
        flow: Option<&Flow>,
    ) -> Result<Found, Error> {
        let lookup = self.core.parts.store.conn().app(app).look_up(connector, flow).await?;
        if lookup.app_state.is_none() {
            return Err(Error::AppNotFound);
        }
        let revoked = |held: &Held| held.connection.state == State::Revoked;
        let only_revoked = lookup.rows.iter().all(revoked);
        if let (true, Some(held)) = (only_revoked, lookup.rows.first()) {
            return Ok(Found { held: held.clone(), now: lookup.now });
        }
        Ok(Found { held: super::choose(lookup.rows, flow)?, now: lookup.now })
    }

    async fn all_told(&self, Listed { now, rows }: Listed) -> Result<Vec<Status>, Error> {
        let mut told_all = Vec::with_capacity(rows.len());
        for connection in rows {
            let policy = self.core.policy(&connection.connector).await?;
            told_all.push(told(&connection, &policy, now));
        }
        Ok(told_all)
    }
}

pub(super) fn told(connection: &Connection, policy: &Policy, now: OffsetDateTime) -> Status {
    let state = connection.state_at(policy, now);
    let over = connection.expires_at().filter(|_| state != connection.state);
    Status {
        id: connection.id,
        app: connection.app.clone(),
        connector: connection.connector.clone(),
        flow: connection.flow.clone(),
        state,
        since: over.unwrap_or(connection.since),
        generation: connection.generation,
        expires_at: connection.expires_at(),
        account: connection.account_label.clone(),
        connected_by: connection.owner_label.clone().or_else(|| connection.owner.clone()),
        last_refresh_at: connection.last_refresh_at,
        last_error: connection.last_error.clone(),
        shared: connection.shared,
    }
}
