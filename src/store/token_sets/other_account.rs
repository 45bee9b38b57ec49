//! What is done with a token that turned out to be of another account?

use uuid::Uuid;

use crate::model::secret::KeyedHash;
use crate::store::{AppRows, Error};

impl AppRows<'_> {
    /// Marks the set with this access token, so that it is never made current again, and parks its connection where
    /// it is current; says whether it did. A refresh that lands afterwards does not lift that.
    pub async fn park_other_account(&self, connection: Uuid, access: KeyedHash) -> Result<bool, Error> {
        let sql =
            "UPDATE token_set SET other_account = TRUE WHERE connection_id = $1 AND access_fingerprint = $2";
        self.conn.run(sql.to_owned(), vec![connection.into(), access.to_vec().into()]).await?;
        let (clock, clock_value) = self.conn.clock_sql(3);
        let sql = format!(
            "UPDATE connection SET state = 'reauthorization_required', reason = 'account_changed', \
             state_since = {clock}, refresh_due_at = NULL \
             WHERE id = $1 AND app = $2 AND state <> 'revoked' AND COALESCE(reason, '') <> 'account_changed' \
             AND token_set_id IN (SELECT id FROM token_set WHERE connection_id = $1 AND other_account = TRUE)"
        );
        let values = vec![connection.into(), self.app.as_str().into(), clock_value];
        Ok(self.conn.run(sql, values).await? == 1)
    }
}
