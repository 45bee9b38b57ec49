//! At most one spend: the claim before a refresh token is sent, and what is recorded of the outcome.
//!
//! Each statement's WHERE is part of the protocol. The clock is the database's own.

use sea_orm::{QueryResult, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::connection::Rejections;
use crate::model::protocol::{HOLD_OFF_ABSURD_US, HOLD_OFF_MAX_US, HOLD_OFF_US, LEASE_ABSURD_US};
use crate::model::secret::{Sealed, WrappedKey};
use crate::model::time::{from_micros, to_micros};
use crate::model::token_set::TokenSetId;
use crate::store::{AppRows, Error};

/// Names one attempt: which connection, which token set was seen, under which lease.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The connection.
    pub connection: Uuid,
    /// The token set whose refresh token is to be sent.
    pub seen: TokenSetId,
    /// Drawn for this attempt.
    pub lease: Uuid,
}

/// A claim that was won; once its transaction is committed the refresh token may be sent.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The database's clock at the claim: expiry counts from here.
    pub at: OffsetDateTime,
    /// The refresh token, sealed, with its data key and the origin it is bound to.
    pub refresh: Sealed,
    /// The extra fields, sealed.
    pub extra: Option<Sealed>,
    /// Data key of the set.
    pub key: WrappedKey,
    /// The token endpoint's origin.
    pub origin: String,
}

/// What is recorded of a failed attempt whose outcome is definite or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The provider did not take the refresh token: `sends` goes back by one.
    No,
    /// Nobody knows: `sends` stays, and the hold-off bars the resend.
    Unknown,
}

/// What is sent and merged, with its data key, told by the statement that claims: looked up where the set is known.
const SENT: [&str; 6] = [
    "(SELECT t.sealed_refresh FROM token_set t WHERE t.id = token_set_id) AS sealed_refresh",
    "(SELECT t.sealed_extra FROM token_set t WHERE t.id = token_set_id) AS sealed_extra",
    "(SELECT t.origin FROM token_set t WHERE t.id = token_set_id) AS origin",
    "(SELECT t.key_id FROM token_set t WHERE t.id = token_set_id) AS key_id",
    "(SELECT k.kek_id FROM token_set t JOIN data_key k ON k.id = t.key_id WHERE t.id = token_set_id) AS kek_id",
    "(SELECT k.wrapped FROM token_set t JOIN data_key k ON k.id = t.key_id WHERE t.id = token_set_id) AS wrapped",
];

fn read_claim(won: &QueryResult) -> Result<Claim, Error> {
    let missing = |column| Error::Corrupt { table: "token_set", column };
    let bytes = |column: &str| won.try_get::<Option<Vec<u8>>>("", column);
    let text = |column: &str| won.try_get::<Option<String>>("", column);
    let id = won.try_get::<Option<Uuid>>("", "key_id")?.ok_or(missing("key_id"))?;
    let key = WrappedKey {
        id,
        kek_id: text("kek_id")?.ok_or(missing("key_id"))?,
        bytes: bytes("wrapped")?.ok_or(missing("key_id"))?,
    };
    let refresh = bytes("sealed_refresh")?.ok_or(missing("sealed_refresh"))?;
    Ok(Claim {
        at: from_micros(won.try_get("", "now")?),
        refresh: Sealed { key_id: id, bytes: refresh },
        extra: bytes("sealed_extra")?.map(|bytes| Sealed { key_id: id, bytes }),
        origin: text("origin")?.ok_or(missing("origin"))?,
        key,
    })
}

impl AppRows<'_> {
    /// Claims the right to send the refresh token of `attempt.seen` once, or `None` where somebody else has it,
    /// the set is no longer current, the connection is parked, or the hold-off lasts.
    pub async fn claim(&self, attempt: Attempt, lease_us: i64, strict: bool) -> Result<Option<Claim>, Error> {
        let (clock, clock_value) = self.conn.clock_sql(1);
        let hold_off = if strict {
            format!(
                "CASE WHEN sends >= 5 THEN {HOLD_OFF_MAX_US} \
                 ELSE (CAST({HOLD_OFF_US} AS BIGINT) << CAST(sends AS INTEGER)) END"
            )
        } else {
            "0".to_owned()
        };
        let sql = format!(
            "UPDATE connection SET lease_id = $2, lease_until = {clock} + $3, sends = sends + 1, \
             resend_after = {clock} + {hold_off} \
             WHERE id = $4 AND app = $5 AND token_set_id = $6 AND state = 'active' \
             AND (lease_until IS NULL OR lease_until <= {clock} OR lease_until > {clock} + {LEASE_ABSURD_US}) \
             AND (resend_after IS NULL OR resend_after <= {clock} OR resend_after > {clock} + {HOLD_OFF_ABSURD_US}) \
             RETURNING {clock} AS now, {}",
            SENT.join(", ")
        );
        let values: Vec<Value> = vec![
            clock_value,
            attempt.lease.into(),
            lease_us.into(),
            attempt.connection.into(),
            self.app.as_str().into(),
            attempt.seen.0.into(),
        ];
        let Some(won) = self.conn.one(sql, values).await? else { return Ok(None) };
        read_claim(&won).map(Some)
    }

    /// Records a failure that leaves the connection active, backing off until `retry_at`. Does nothing where
    /// the lease is no longer ours.
    pub async fn record_failure(
        &self,
        attempt: Attempt,
        spent: Spent,
        code: &str,
        retry_at: Option<OffsetDateTime>,
    ) -> Result<bool, Error> {
        let (clock, clock_value) = self.conn.clock_sql(1);
        let sends = match spent {
            Spent::No => {
                "sends = sends - 1, resend_after = CASE WHEN sends <= 1 THEN NULL ELSE resend_after END,"
            }
            Spent::Unknown => "",
        };
        let sql = format!(
            "UPDATE connection SET {sends} lease_id = NULL, lease_until = NULL, failures = failures + 1, \
             retry_at = $2, last_error_code = $3, last_error_at = {clock} \
             WHERE id = $4 AND app = $5 AND token_set_id = $6 AND lease_id = $7"
        );
        let mut values: Vec<Value> = vec![clock_value, retry_at.map(to_micros).into(), code.into()];
        values.extend(self.ours(attempt));
        Ok(self.conn.run(sql, values).await? == 1)
    }

    /// Parks the connection: the provider refused the grant. `lost_rotation` where an earlier answer may have
    /// been lost, else `reason`.
    pub async fn record_refusal(&self, attempt: Attempt, reason: &str, code: &str) -> Result<bool, Error> {
        let (clock, clock_value) = self.conn.clock_sql(1);
        let sql = format!(
            "UPDATE connection SET state = 'reauthorization_required', \
             reason = CASE WHEN sends > 1 OR after_resend THEN 'lost_rotation' ELSE $2 END, \
             state_since = {clock}, lease_id = NULL, lease_until = NULL, refresh_due_at = NULL, \
             last_error_code = $3, last_error_at = {clock} \
             WHERE id = $4 AND app = $5 AND token_set_id = $6 AND lease_id = $7 AND state = 'active'"
        );
        let mut values: Vec<Value> = vec![clock_value, reason.into(), code.into()];
        values.extend(self.ours(attempt));
        Ok(self.conn.run(sql, values).await? == 1)
    }

    /// Parks the connection: the provider refused our client, and the credentials are still those it refused. They
    /// are what it was made with from now on, so that a change of them lets it go on.
    pub async fn record_misconfigured(
        &self,
        attempt: Attempt,
        refused: (Uuid, i64),
        code: &str,
    ) -> Result<bool, Error> {
        let (clock, clock_value) = self.conn.clock_sql(1);
        let sql = format!(
            "UPDATE connection SET state = 'misconfigured', reason = NULL, state_since = {clock}, \
             sends = sends - 1, resend_after = CASE WHEN sends <= 1 THEN NULL ELSE resend_after END, \
             lease_id = NULL, lease_until = NULL, last_error_code = $3, last_error_at = {clock}, \
             credentials_id = $8, credentials_version = $2 \
             WHERE id = $4 AND app = $5 AND token_set_id = $6 AND lease_id = $7 AND state = 'active' \
             AND $2 = (SELECT version FROM connector_credentials x WHERE x.id = $8)"
        );
        let (credentials, version) = refused;
        let mut values: Vec<Value> = vec![clock_value, version.into(), code.into()];
        values.extend(self.ours(attempt));
        values.push(credentials.into());
        Ok(self.conn.run(sql, values).await? == 1)
    }

    /// Gives a claim back under which nothing was sent.
    pub async fn release(&self, attempt: Attempt) -> Result<bool, Error> {
        let sql = "UPDATE connection SET lease_id = NULL, lease_until = NULL, sends = sends - 1, \
                   resend_after = CASE WHEN sends <= 1 THEN NULL ELSE resend_after END \
                   WHERE id = $1 AND app = $2 AND token_set_id = $3 AND lease_id = $4";
        Ok(self.conn.run(sql.to_owned(), self.ours(attempt)).await? == 1)
    }

    /// Counts one more `rejected`, unless somebody counted meanwhile.
    pub async fn count_rejection(&self, id: Uuid, seen: Rejections, next: Rejections) -> Result<bool, Error> {
        let sql = "UPDATE connection SET rejected_count = $3, rejected_since = $4 \
                   WHERE id = $1 AND app = $2 AND rejected_count = $5 AND COALESCE(rejected_since, 0) = $6";
        let values: Vec<Value> = vec![
            id.into(),
            self.app.as_str().into(),
            next.count.into(),
            next.since.map(to_micros).into(),
            seen.count.into(),
            seen.since.map_or(0, to_micros).into(),
        ];
        Ok(self.conn.run(sql.to_owned(), values).await? == 1)
    }

    /// Parks a grant that cannot be refreshed and whose token the API refuses.
    pub async fn park_rejected(&self, id: Uuid, seen: TokenSetId) -> Result<bool, Error> {
        let (clock, clock_value) = self.conn.clock_sql(4);
        let sql = format!(
            "UPDATE connection SET state = 'reauthorization_required', reason = 'rejected', \
             state_since = {clock}, refresh_due_at = NULL \
             WHERE id = $1 AND app = $2 AND token_set_id = $3 AND state = 'active'"
        );
        let values = vec![id.into(), self.app.as_str().into(), seen.0.into(), clock_value];
        Ok(self.conn.run(sql, values).await? == 1)
    }

    fn ours(&self, attempt: Attempt) -> Vec<Value> {
        vec![attempt.connection.into(), self.app.as_str().into(), attempt.seen.0.into(), attempt.lease.into()]
    }
}
