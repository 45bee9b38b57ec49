//! When are superseded sets forgotten, and what came with them?

use time::Duration;

use crate::store::{Conn, Error};

use super::micros;

impl Conn<'_> {
    /// Empties the sealed columns of at most `limit` sets that were superseded longer ago than `kept`, the oldest
    /// first; says of how many. What came with them goes once no kept set descends from it. Ids and fingerprints stay. Never of a current set, nor of one that is still to be
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
        let forgotten = self.run(sql, vec![clock_value, micros(kept).into(), limit.into()]).await?;
        self.forget_adoptions(limit).await?;
        Ok(forgotten)
    }

    /// Deletes what came with consents and imports that nothing can be undone to any more: neither the connection nor a
    /// set that is kept descends from them.
    async fn forget_adoptions(&self, limit: i64) -> Result<u64, Error> {
        let sql = "DELETE FROM adoption WHERE id IN (SELECT a.id FROM adoption a \
                   WHERE NOT EXISTS (SELECT 1 FROM connection c \
                   WHERE c.id = a.connection_id AND c.adopted_set_id = a.id) \
                   AND NOT EXISTS (SELECT 1 FROM token_set t WHERE t.connection_id = a.connection_id \
                   AND t.adopted_set_id = a.id AND t.sealed_access IS NOT NULL) LIMIT $1)";
        self.run(sql.to_owned(), vec![limit.into()]).await
    }
}
