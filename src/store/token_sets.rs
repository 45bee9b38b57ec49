//! Token sets: stored by compare-and-set on the set that was seen, never on the lease.

mod adoption;
mod holders;
mod kept;
mod late;
mod other_account;
mod purge;
mod revocation;
mod tenant;

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::Value;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::model::connection::{Flow, Owner, Sharing};
use crate::model::connector::ConnectorId;
use crate::model::secret::{KeyedHash, Sealed};
use crate::model::time::to_micros;
use crate::model::token_set::{Generation, TokenSetId};
use crate::store::connections::ORIGIN_CHANGED;
use crate::store::entity::{connection, token_set};
use crate::store::{AppRows, Error};

pub use self::holders::{Elsewhere, Holder};
pub use self::kept::Kept;
pub use self::other_account::Marked;
pub use self::revocation::PendingRevocation;

use self::tenant::of_tenant;

/// The table's name, for the places of its ciphertexts.
pub const TABLE: &str = "token_set";

/// A token set, sealed and ready to store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewTokenSet {
    /// Drawn before the first attempt to store.
    pub id: TokenSetId,
    /// Of which connection.
    pub connection: Uuid,
    /// The access token.
    pub access: Sealed,
    /// The refresh token, where there is one.
    pub refresh: Option<Sealed>,
    /// Extra fields as JSON.
    pub extra: Option<Sealed>,
    /// Data key of all three.
    pub key_id: Uuid,
    /// The token endpoint's origin the refresh token is bound to.
    pub origin: String,
    /// Keyed hash of the refresh token.
    pub refresh_fingerprint: Option<KeyedHash>,
    /// Keyed hash of the access token.
    pub access_fingerprint: KeyedHash,
    /// When the access token dies.
    pub expires_at: Option<OffsetDateTime>,
    /// Life left now.
    pub initial_life: Option<Duration>,
    /// As granted.
    pub scope: Option<String>,
    /// When the background refreshes it.
    pub refresh_due_at: Option<OffsetDateTime>,
    /// When the refresh token dies.
    pub refresh_expires_at: Option<OffsetDateTime>,
}

/// What a refresh learnt beside the tokens.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Learnt {
    /// A lifetime the provider named.
    pub lifetime: Option<Duration>,
    /// Whether the provider rotates refresh tokens.
    pub rotates: Option<bool>,
    /// Whether less scope was granted than before.
    pub scope_narrowed: bool,
}

/// How storing a refreshed set went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is current.
    Current,
    /// It was current already: our own commit had landed.
    Already,
    /// Somebody re-consented, imported or deleted meanwhile; it is kept, superseded.
    Superseded,
}

/// The connection a consent or an import makes current.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Row id: the existing one's, or a new one.
    pub id: Uuid,
    /// Kind of API.
    pub connector: ConnectorId,
    /// Which of several.
    pub flow: Flow,
    /// Who connected it: an actor.
    pub owner: String,
    /// What people call that one.
    pub owner_label: Option<String>,
    /// Keyed hash of the account's id; `None`: not known.
    pub account_fingerprint: Option<KeyedHash>,
    /// What people call the account.
    pub account_label: Option<String>,
    /// URL variables.
    pub variables: BTreeMap<String, String>,
    /// Keyed hash over whose they are and the variables.
    pub own_mac: KeyedHash,
    /// Credentials row and version.
    pub credentials: Option<(Uuid, i64)>,
    /// A lifetime the provider named (never from an import).
    pub lifetime: Option<Duration>,
}

/// Where a set stands among those of its connection.
#[derive(Clone, Copy, Debug)]
struct Place {
    generation: i64,
    adopted_set: Option<Uuid>,
    current: bool,
    deleted: bool,
    other_account: bool,
}

impl AppRows<'_> {
    /// Makes a refreshed set current by compare-and-set on the set seen.
    pub async fn store_refreshed(
        &self,
        seen: TokenSetId,
        set: &NewTokenSet,
        learnt: Learnt,
    ) -> Result<Stored, Error> {
        let (clock, clock_value) = self.conn.clock_sql(1);
        // A refresh that lands after its connector moved does not undo the parking.
        let moved =
            format!("(state = 'misconfigured' AND COALESCE(last_error_code, '') = '{ORIGIN_CHANGED}')");
        // Nor one that lands after the account turned out to be another.
        let other = "COALESCE(reason, '') = 'account_changed'";
        let sql = format!(
            "UPDATE connection SET token_set_id = $2, generation = last_generation + 1, \
             last_generation = last_generation + 1, access_expires_at = $3, \
             refresh_expires_at = $4, refresh_due_at = $5, granted_scope = $6, scope_narrowed = $7, \
             lifetime_us = CASE WHEN $8 IS NULL THEN lifetime_us WHEN lifetime_us IS NULL OR lifetime_us < $8 \
             THEN $8 ELSE lifetime_us END, rotates = COALESCE($9, rotates), last_refresh_at = {clock}, \
             after_resend = (sends > 1 OR COALESCE(reason = 'lost_rotation', FALSE)), \
             state_since = CASE WHEN state = 'active' OR {moved} OR {other} THEN state_since ELSE {clock} END, \
             state = CASE WHEN {moved} OR {other} THEN state ELSE 'active' END, \
             reason = CASE WHEN {other} THEN reason END, \
             last_error_code = CASE WHEN {moved} THEN last_error_code END, \
             last_error_at = CASE WHEN {moved} THEN last_error_at END, failures = 0, retry_at = NULL, lease_id = NULL, \
             lease_until = NULL, sends = 0, resend_after = NULL, swept_until = NULL \
             WHERE id = $10 AND app = $11 AND token_set_id = $12 AND state <> 'revoked' \
             RETURNING generation, adopted_set_id"
        );
        let values: Vec<Value> = vec![
            clock_value,
            set.id.0.into(),
            set.expires_at.map(to_micros).into(),
            set.refresh_expires_at.map(to_micros).into(),
            set.refresh_due_at.map(to_micros).into(),
            set.scope.clone().into(),
            learnt.scope_narrowed.into(),
            learnt.lifetime.map(micros).into(),
            learnt.rotates.into(),
            set.connection.into(),
            self.app.as_str().into(),
            seen.0.into(),
        ];
        if let Some(row) = self.conn.one(self.typed(sql), values).await? {
            let other_account = self.retire(seen, true).await?;
            let place = Place {
                generation: row.try_get("", "generation")?,
                adopted_set: row.try_get("", "adopted_set_id")?,
                current: true,
                deleted: false,
                other_account,
            };
            self.insert(set, place).await?;
            return Ok(Stored::Current);
        }
        self.store_late(seen, set).await
    }

    /// Makes a set current whatever was there: a consent, an import or an undo. Marks the superseded set spent where its
    /// refresh token was sent, and starts lease, counters and back-off afresh.
    pub async fn adopt(&self, new: &NewConnection, set: &NewTokenSet) -> Result<Generation, Error> {
        let sql = format!(
            "UPDATE token_set SET spent = (spent OR (SELECT sends > 0 FROM connection WHERE id = $1)) \
             WHERE connection_id = $1 AND current = TRUE AND {}",
            of_tenant(2)
        );
        self.conn.run(sql, vec![new.id.into(), self.app.as_str().into()]).await?;
        let ours =
            connection::Entity::find_by_id(new.id).filter(connection::Column::App.eq(self.app.as_str()));
        let previous = ours.one(&self.conn.db()).await?;
        let generation =
            previous.as_ref().map_or(Generation(1), |row| Generation(row.last_generation).next());
        if let Some(seen) = previous.as_ref().and_then(|row| row.token_set_id) {
            self.retire(TokenSetId(seen), false).await?;
        }
        let row = self.adopted(new, set, generation, previous.as_ref())?;
        if previous.is_some() {
            connection::Entity::update(row).exec(&self.conn.db()).await?;
        } else {
            connection::Entity::insert(row).exec_without_returning(&self.conn.db()).await?;
        }
        self.insert_adoption(new, set.id).await?;
        let place = Place {
            generation: generation.0,
            adopted_set: Some(set.id.0),
            current: true,
            deleted: false,
            other_account: false,
        };
        self.insert(set, place).await?;
        Ok(generation)
    }

    /// Tells whether it was of another account.
    async fn retire(&self, set: TokenSetId, spent: bool) -> Result<bool, Error> {
        let (clock, clock_value) = self.conn.clock_sql(2);
        let mark = if spent { ", spent = TRUE" } else { "" };
        let sql = format!(
            "UPDATE token_set SET current = FALSE, superseded_at = {clock}{mark} WHERE id = $1 AND {} \
             RETURNING other_account",
            of_tenant(3)
        );
        let row = self.conn.one(sql, vec![set.0.into(), clock_value, self.app.as_str().into()]).await?;
        Ok(row.map(|row| row.try_get("", "other_account")).transpose()?.unwrap_or_default())
    }

    async fn insert(&self, set: &NewTokenSet, place: Place) -> Result<(), Error> {
        let now = self.conn.now_us();
        let row = token_set::ActiveModel {
            id: Set(set.id.0),
            connection_id: Set(set.connection),
            generation: Set(place.generation),
            sealed_access: Set(Some(set.access.bytes.clone())),
            sealed_refresh: Set(set.refresh.as_ref().map(|sealed| sealed.bytes.clone())),
            sealed_extra: Set(set.extra.as_ref().map(|sealed| sealed.bytes.clone())),
            key_id: Set(set.key_id),
            origin: Set(set.origin.clone()),
            refresh_fingerprint: Set(set.refresh_fingerprint.map(KeyedHash::to_vec)),
            access_fingerprint: Set(Some(set.access_fingerprint.to_vec())),
            expires_at: Set(set.expires_at.map(to_micros)),
            initial_life_us: Set(set.initial_life.map(micros)),
            refresh_expires_at: Set(set.refresh_expires_at.map(to_micros)),
            scope: Set(set.scope.clone()),
            adopted_set_id: Set(place.adopted_set),
            created_at: Set(now),
            current: Set(place.current),
            spent: Set(false),
            superseded_at: Set((!place.current).then_some(now)),
            other_account: Set(place.other_account),
            revoke_pending: Set(place.deleted),
            deleted: Set(place.deleted),
        };
        token_set::Entity::insert(row).exec_without_returning(&self.conn.db()).await?;
        Ok(())
    }

    fn adopted(
        &self,
        new: &NewConnection,
        set: &NewTokenSet,
        generation: Generation,
        previous: Option<&connection::Model>,
    ) -> Result<connection::ActiveModel, Error> {
        let (now, id, app) = (self.conn.now_us(), new.id, self.app);
        // What was written by SQL is not carried on.
        let shared = previous.is_some_and(|row| {
            row.shared && self.conn.knows(&Sharing { id, app, shared: true }, row.shared_mac.as_deref())
        });
        Ok(connection::ActiveModel {
            id: Set(new.id),
            app: Set(self.app.to_string()),
            connector: Set(new.connector.to_string()),
            flow: Set(new.flow.to_string()),
            state: Set("active".to_owned()),
            reason: Set(None),
            state_since: Set(now),
            token_set_id: Set(Some(set.id.0)),
            adopted_set_id: Set(Some(set.id.0)),
            generation: Set(generation.0),
            last_generation: Set(generation.0),
            owner: Set(Some(new.owner.clone())),
            owner_label: Set(new.owner_label.clone()),
            owner_mac: Set(self.conn.sign(&Owner { id, app, owner: &new.owner })?),
            shared: Set(shared),
            shared_mac: Set(self.conn.sign(&Sharing { id, app, shared })?),
            account_fingerprint: Set(new.account_fingerprint.map(KeyedHash::to_vec)),
            account_label: Set(new.account_label.clone()),
            variables: Set(serde_json::json!(new.variables)),
            own_mac: Set(new.own_mac.to_vec()),
            granted_scope: Set(set.scope.clone()),
            scope_narrowed: Set(false),
            access_expires_at: Set(set.expires_at.map(to_micros)),
            refresh_expires_at: Set(set.refresh_expires_at.map(to_micros)),
            refresh_due_at: Set(set.refresh_due_at.map(to_micros)),
            lifetime_us: Set(new.lifetime.map(micros).max(previous.and_then(|row| row.lifetime_us))),
            rotates: Set(previous.and_then(|row| row.rotates)),
            last_refresh_at: Set(None),
            last_error_code: Set(None),
            last_error_at: Set(None),
            failures: Set(0),
            retry_at: Set(None),
            lease_id: Set(None),
            lease_until: Set(None),
            sends: Set(0),
            resend_after: Set(None),
            after_resend: Set(false),
            swept_until: Set(None),
            rejected_count: Set(0),
            rejected_since: Set(None),
            credentials_id: Set(new.credentials.map(|(id, _)| id)),
            credentials_version: Set(new.credentials.map(|(_, version)| version)),
            created_at: Set(previous.map_or(now, |row| row.created_at)),
        })
    }

    /// PostgreSQL cannot tell the type of a parameter that is only compared with NULL.
    fn typed(&self, sql: String) -> String {
        if self.conn.is_postgres() {
            sql.replace("$8", "$8::bigint").replace("$9", "$9::boolean")
        } else {
            sql
        }
    }
}

fn micros(life: Duration) -> i64 {
    i64::try_from(life.whole_microseconds()).unwrap_or(i64::MAX)
}
