//! The API refused a token, a job says: does the provider confirm it?

use std::sync::Arc;

use tracing::warn;

use crate::connectors::{Connector, Probe};
use crate::model::token_set::TokenSetId;
use crate::registry::Opened;

use super::account::{self, Comparison};
use super::flight::Verdict;
use super::refresh::{Target, event};
use super::{Core, Error};

/// Whether the provider confirms that the token no longer works; `None`: somebody else counted meanwhile.
pub(super) async fn ask(
    core: &Core,
    target: &Target,
    connector: &Arc<dyn Connector>,
    opened: &Opened,
) -> Result<Option<bool>, Error> {
    let connection = &target.connection;
    let Some(next) = connection.rejections.another(target.now) else { return Ok(None) };
    let tx = core.parts.store.begin().await?;
    let counted =
        tx.conn().app(&connection.app).count_rejection(connection.id, connection.rejections, next).await?;
    tx.commit().await?;
    if !counted {
        return Ok(None);
    }
    if !target.definition.policy().probeable {
        return Ok(Some(true));
    }
    let held = core.find(&connection.app, &connection.connector, Some(&connection.flow)).await?.held;
    let access = core.open_access(&held).await?.access;
    let asked = (connector, &opened.credentials);
    let comparison = Comparison::of(&core.parts, connection, &access, asked);
    let probe = match comparison.filter(|_| account::is_probed_by_identity(&target.definition)) {
        Some(comparison) => comparison.probe().await,
        None => connector.probe(&opened.credentials, &access).await.unwrap_or(Probe::Unknown),
    };
    Ok(Some(probe == Probe::Rejected))
}

/// A grant that cannot be refreshed, and whose token is confirmed not to work.
pub(super) async fn park(core: &Core, target: &Target, set: TokenSetId) -> Result<Verdict, Error> {
    let connection = &target.connection;
    let tx = core.parts.store.begin().await?;
    if tx.conn().app(&connection.app).park_rejected(connection.id, set).await? {
        core.parts.audit.record_in(tx.conn(), event(connection, set, "rejected")).await?;
        tx.commit().await?;
        warn!(app.id = %connection.app, connector = %connection.connector, flow = %connection.flow,
            "the API refuses a token that cannot be refreshed; a new consent is needed");
    }
    Ok(Verdict::Done)
}
