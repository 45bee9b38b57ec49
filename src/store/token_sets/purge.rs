//! When are superseded sets forgotten?

use time::Duration;

use crate::store::{Conn, Error};

use super::micros;

impl Conn<'_> {
    /// Empties the sealed columns of at most `limit` sets that were superseded longer ago than `kept`, the oldest
    /// first; says of how many. Ids and fingerprints stay. Never of a current set, nor of one that is still to be
    /// revoked; rows that another replica works on are left to it.
    pub async fn forget_superseded(&self, kept: Duration, limit: i64) -> Result<u64, Error> {
        let (clock, clock_value) = self.clock_sql(1);
        let skip = if self.is_postgres() { "FOR UPDATE SKIP LOCKED" } else { "" };
        let over = format!(
            "superseded_at <= {clock} - $2 AND sealed_access IS NOT NULL AND current = FALSE \
             AND revoke_pending = FALSE AND NOT EXISTS (SELECT 1 FROM connection c \
             WHERE c.id = token_set.connection_id AND c.token_set_id = token_set.id)"
        );
        let sql = format!(
            "UPDATE token_set SET sealed_access = NULL, sealed_refresh = NULL, sealed_extra = NULL \
             WHERE id IN (SELECT id FROM token_set WHERE {over} ORDER BY superseded_at LIMIT $3 {skip})"
        );
        self.run(sql, vec![clock_value, micros(kept).into(), limit.into()]).await
    }
}
