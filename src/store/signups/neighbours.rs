//! What would a new consent replace, and who lives on its account already?

use sea_orm::entity::prelude::*;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::time::from_micros;
use crate::store::entity::{connection, token_set};
use crate::store::{AppRows, Conn, Error};

/// The connection a new consent would replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Its row.
    pub id: Uuid,
    /// The set its last consent or import brought: refreshes leave it, another consent does not.
    pub adopted_set: Option<Uuid>,
    /// Who connected it, as actor text.
    pub owner: Option<String>,
    /// What people call them.
    pub owner_label: Option<String>,
    /// Keyed hash of its account.
    pub account_fingerprint: Option<Vec<u8>>,
    /// What people call the account.
    pub account_label: Option<String>,
}

/// A live connection of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUse {
    /// Its row.
    pub connection: Uuid,
    /// Tenant.
    pub app: AppId,
    /// Which connection of the tenant.
    pub flow: String,
    /// When its current set came.
    pub since: OffsetDateTime,
}

impl Conn<'_> {
    /// Live connections, of all tenants, made with these credentials for this account; the oldest set first.
    pub async fn list_uses_of_account(
        &self,
        connector: &ConnectorId,
        credentials: Uuid,
        account_fingerprint: &[u8],
    ) -> Result<Vec<AccountUse>, Error> {
        let live = connection::Entity::find()
            .filter(connection::Column::Connector.eq(connector.as_str()))
            .filter(connection::Column::CredentialsId.eq(credentials))
            .filter(connection::Column::AccountFingerprint.eq(account_fingerprint.to_vec()))
            .filter(connection::Column::State.is_in(["active", "misconfigured"]))
            .all(&self.db())
            .await?;
        let sets: Vec<Uuid> = live.iter().filter_map(|row| row.token_set_id).collect();
        let sets =
            token_set::Entity::find().filter(token_set::Column::Id.is_in(sets)).all(&self.db()).await?;
        let came =
            |set: Option<Uuid>| sets.iter().find(|row| Some(row.id) == set).map_or(0, |row| row.created_at);
        let mut uses = live
            .into_iter()
            .map(|row| read_use(came(row.token_set_id), row))
            .collect::<Result<Vec<_>, _>>()?;
        uses.sort_by_key(|one| one.since);
        Ok(uses)
    }
}

impl AppRows<'_> {
    /// The connection a new consent would replace; a deleted one is none.
    pub async fn find_predecessor(
        &self,
        connector: &ConnectorId,
        flow: &Flow,
    ) -> Result<Option<Predecessor>, Error> {
        let row = connection::Entity::find()
            .filter(connection::Column::App.eq(self.app.as_str()))
            .filter(connection::Column::Connector.eq(connector.as_str()))
            .filter(connection::Column::Flow.eq(flow.as_str()))
            .filter(connection::Column::State.ne("revoked"))
            .one(&self.conn.db())
            .await?;
        Ok(row.map(|row| Predecessor {
            id: row.id,
            adopted_set: row.adopted_set_id,
            owner: row.owner,
            owner_label: row.owner_label,
            account_fingerprint: row.account_fingerprint,
            account_label: row.account_label,
        }))
    }

    /// Whether the connector has connections of other flows that are not deleted.
    pub async fn has_other_flows(&self, connector: &ConnectorId, flow: &Flow) -> Result<bool, Error> {
        let others = connection::Entity::find()
            .filter(connection::Column::App.eq(self.app.as_str()))
            .filter(connection::Column::Connector.eq(connector.as_str()))
            .filter(connection::Column::Flow.ne(flow.as_str()))
            .filter(connection::Column::State.ne("revoked"));
        Ok(others.count(&self.conn.db()).await? > 0)
    }
}

fn read_use(since_us: i64, row: connection::Model) -> Result<AccountUse, Error> {
    let app = AppId::parse(&row.app).map_err(|_| Error::Corrupt { table: "connection", column: "app" })?;
    Ok(AccountUse { connection: row.id, app, flow: row.flow, since: from_micros(since_us) })
}
