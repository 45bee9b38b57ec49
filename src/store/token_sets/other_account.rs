//! What is done with tokens that turned out to be another account's?

use uuid::Uuid;

use crate::model::secret::KeyedHash;
use crate::model::token_set::TokenSetId;
use crate::store::{AppRows, Error};

use super::tenant::of_tenant;

/// What was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// No set holds this access token (yet).
    Nothing,
    /// Sets that are not current, or whose connection is parked or deleted already.
    Sets,
    /// The current set, and its connection is parked from now on.
    Current(TokenSetId),
}

impl AppRows<'_> {
    /// Marks the sets with this access token, so that none is made current again, and parks their connection where one
    /// is current. A refresh that lands afterwards does not lift that.
    pub async fn park_other_account(&self, connection: Uuid, access: KeyedHash) -> Result<Marked, Error> {
        // The row before its sets, as everybody takes them.
        self.lock_connection(connection).await?;
        let sql = format!(
            "UPDATE token_set SET other_account = TRUE WHERE connection_id = $1 AND access_fingerprint = $2 AND {}",
            of_tenant(3)
        );
        let values = vec![connection.into(), access.to_vec().into(), self.app.as_str().into()];
        if self.conn.run(sql, values).await? == 0 {
            return Ok(Marked::Nothing);
        }
        let (clock, clock_value) = self.conn.clock_sql(3);
        let sql = format!(
            "UPDATE connection SET state = 'reauthorization_required', reason = 'account_changed', \
             state_since = {clock}, refresh_due_at = NULL \
             WHERE id = $1 AND app = $2 AND state <> 'revoked' AND COALESCE(reason, '') <> 'account_changed' \
             AND token_set_id IN (SELECT id FROM token_set WHERE connection_id = $1 AND other_account = TRUE) \
             RETURNING token_set_id"
        );
        let values = vec![connection.into(), self.app.as_str().into(), clock_value];
        match self.conn.one(sql, values).await? {
            None => Ok(Marked::Sets),
            Some(row) => Ok(Marked::Current(TokenSetId(row.try_get("", "token_set_id")?))),
        }
    }
}
