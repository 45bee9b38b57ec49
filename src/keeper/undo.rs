//! Undo: which token sets of a connection are kept, and how one of them becomes current again.
//!
//! A set comes back with what its consent or import brought beside tokens: owner, account, variables, credentials. It
//! comes back as a copy under a new id, since ciphertexts are bound to their set; the set itself counts as spent.

use time::OffsetDateTime;
use tracing::info;

use crate::identity::Superadmin;
use crate::model::app::AppId;
use crate::model::connection::{Connection, Flow, Lives, State};
use crate::model::connector::{ConnectorId, Policy};
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event};
use crate::model::secret::Sealed;
use crate::model::token_set::{Generation, TokenSetId};
use crate::store::Tx;
use crate::store::connections::ORIGIN_CHANGED;
use crate::store::token_sets::{Elsewhere, Kept, NewTokenSet, TABLE};
use crate::vault::{self, Place};

use super::{Error, SecretsKeeper, Status, seal};

/// How long superseded token sets are kept.
const KEPT: time::Duration = time::Duration::days(7);
/// Sets forgotten in one transaction, and transactions in one round.
const BATCH: i64 = 500;
const BATCHES: usize = 100;

/// A token set that is kept, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptGeneration {
    /// Which.
    pub generation: Generation,
    /// When it was stored.
    pub created_at: OffsetDateTime,
    /// Since when it is no longer current.
    pub superseded_at: Option<OffsetDateTime>,
    /// When its access token dies.
    pub expires_at: Option<OffsetDateTime>,
    /// Whether it is handed out.
    pub current: bool,
    /// Whether its refresh token was or may have been sent, or lives on in a copy.
    pub spent: bool,
    /// Whether an undo can make it current again.
    pub restorable: bool,
    /// What people call its account.
    pub account: Option<String>,
    /// Who connected it.
    pub connected_by: Option<String>,
}

impl SecretsKeeper {
    /// The token sets of a connection that are kept, the newest first, below a generation.
    pub async fn generations(
        &self,
        _by: &Superadmin,
        (app, connector): (&AppId, &ConnectorId),
        flow: Option<&Flow>,
        below: Option<Generation>,
        limit: u64,
    ) -> Result<Vec<KeptGeneration>, Error> {
        let policy = self.core.definition(connector).await?.policy();
        let connection = self.undeleted(app, connector, flow).await?;
        let strict = connection.is_strict(&policy);
        let kept = self.core.parts.store.conn().app(app).list_kept(connection.id, below, limit).await?;
        let sent = connection.sending.sends > 0;
        Ok(kept.iter().map(|set| told(set, strict, sent)).collect())
    }

    /// Makes the set of an earlier generation current again, as the next generation; the current one stays as it is.
    pub async fn restore(
        &self,
        by: &Superadmin,
        (app, connector): (&AppId, &ConnectorId),
        flow: Option<&Flow>,
        generation: Generation,
    ) -> Result<Status, Error> {
        let policy = self.core.definition(connector).await?.policy();
        let flow = self.undeleted(app, connector, flow).await?.flow;
        let tx = self.core.parts.store.begin().await?;
        let rows = tx.conn().app(app);
        rows.hold_app().await?;
        let connection = locked(&tx, app, connector, &flow).await?;
        let kept = rows.find_kept(connection.id, generation).await?.ok_or(Error::GenerationNotFound)?;
        if !kept.is_current() {
            let set = match self.put_back(&tx, &connection, &policy, &kept).await {
                Err(error @ Error::Unreadable(_)) => {
                    drop(tx);
                    self.core.unreadable(&connection, kept.id()).await;
                    return Err(error);
                }
                done => done?,
            };
            let event = Event {
                token_set: Some(set),
                subject: Some(format!("generation {generation}")),
                ..by.principal().event(Action::ConnectionRestore).about(&connection)
            };
            self.core.parts.audit.record_in(tx.conn(), event).await?;
            tx.commit().await?;
            info!(app.id = %app, connector = %connector, flow = %flow, %generation,
                "an earlier token set was made current again");
        }
        self.connection(by, app, connector, Some(&flow)).await
    }

    async fn put_back(
        &self,
        tx: &Tx<'_>,
        connection: &Connection,
        policy: &Policy,
        kept: &Kept,
    ) -> Result<TokenSetId, Error> {
        let strict = connection.is_strict(policy);
        if !kept.is_restorable(strict) {
            return Err(Error::AlreadySpent);
        }
        if let (Some(fingerprint), _) = kept.fingerprints() {
            tx.conn().lock_fingerprint(fingerprint).await?;
            let holders = tx.conn().find_refresh_holders(fingerprint).await?;
            if let Some(elsewhere) = Elsewhere::of(&holders, Some(connection.id), strict) {
                return Err(elsewhere.into());
            }
        }
        let copy = self.copy(tx, connection, policy, kept).await?;
        let back = kept.connection(connection)?;
        let rows = tx.conn().app(&connection.app);
        rows.restore(kept.id(), strict, &back, &copy).await?.ok_or(Error::AlreadySpent)?;
        Ok(copy.id)
    }

    /// The set under a new id: each column opened in the old place and sealed in the new one, for the same origin.
    async fn copy(
        &self,
        tx: &Tx<'_>,
        connection: &Connection,
        policy: &Policy,
        kept: &Kept,
    ) -> Result<NewTokenSet, Error> {
        let parts = &self.core.parts;
        let missing = || vault::Error::DoesNotOpen { table: TABLE, column: "sealed_access" };
        let old_key = tx.conn().find_data_key(kept.key_id()).await?.ok_or_else(missing)?;
        let key = tx.conn().app(&connection.app).find_app_key().await?.ok_or(Error::AppNotFound)?;
        let id = TokenSetId(uuid(&*parts.clock, &*parts.entropy));
        let again = |column, sealed: Option<Sealed>| -> Result<Option<Sealed>, vault::Error> {
            let Some(sealed) = sealed else { return Ok(None) };
            let origin = (column == "sealed_refresh").then_some(kept.origin());
            let place = |set| Place { origin, ..seal::place_in(connection, column, set) };
            let opened = parts.vault.open(&old_key, &place(kept.id()), &sealed)?;
            parts.vault.seal(&key, &place(id), &opened).map(Some)
        };
        let [access, refresh, extra] = kept.sealed();
        let refresh = again("sealed_refresh", refresh)?;
        let (refresh_fingerprint, access_fingerprint) = kept.fingerprints();
        let refreshable = refresh.is_some();
        let lives = Lives {
            sent_at: kept.created_at(),
            expires_at: kept.expires_at(),
            initial_life: kept.initial_life(),
            refresh_told: kept.refresh_expires_at(),
            grant_ends_at: None,
        };
        // Where no expiry is known but a lifetime is, it is due at once.
        let at_once = policy.refreshes && refreshable && connection.known_lifetime(policy).is_some();
        let refresh_due_at = match kept.expires_at() {
            None => at_once.then(|| parts.clock.now()),
            _ => {
                (refreshable && policy.refreshes).then(|| lives.due_at(policy, seal::chance(parts))).flatten()
            }
        };
        Ok(NewTokenSet {
            id,
            connection: connection.id,
            access: again("sealed_access", access)?.ok_or_else(missing)?,
            refresh,
            extra: again("sealed_extra", extra)?,
            key_id: key.id,
            origin: kept.origin().to_owned(),
            refresh_fingerprint,
            access_fingerprint: access_fingerprint.ok_or_else(missing)?,
            expires_at: kept.expires_at(),
            initial_life: kept.initial_life(),
            scope: kept.scope().map(str::to_owned),
            refresh_due_at,
            refresh_expires_at: kept.refresh_expires_at(),
        })
    }

    /// Empties what was superseded more than seven days ago; says how many sets.
    pub async fn forget_superseded(&self) -> Result<u64, Error> {
        let mut forgotten = 0;
        for _ in 0..BATCHES {
            let tx = self.core.parts.store.begin().await?;
            let batch = tx.conn().forget_superseded(KEPT, BATCH).await?;
            tx.commit().await?;
            forgotten += batch;
            if batch < BATCH.unsigned_abs() || self.is_closing() {
                break;
            }
        }
        Ok(forgotten)
    }

    async fn undeleted(
        &self,
        app: &AppId,
        connector: &ConnectorId,
        flow: Option<&Flow>,
    ) -> Result<Connection, Error> {
        let connection = self.find_any(app, connector, flow).await?.held.connection;
        match connection.state {
            State::Revoked => Err(Error::ConnectionNotFound { flow: Some(connection.flow) }),
            _ => Ok(connection),
        }
    }
}

/// The connection's row, which nobody else changes for the length of the transaction.
async fn locked(tx: &Tx<'_>, app: &AppId, connector: &ConnectorId, flow: &Flow) -> Result<Connection, Error> {
    let rows = tx.conn().app(app);
    let gone = || Error::ConnectionNotFound { flow: Some(flow.clone()) };
    let find = async || -> Result<Connection, Error> {
        let found = rows.look_up(connector, Some(flow)).await?.rows.into_iter().next();
        let alive = found.map(|held| held.connection).filter(|found| found.state != State::Revoked);
        alive.ok_or_else(gone)
    };
    rows.lock_connection(find().await?.id).await?;
    let connection = find().await?;
    let code = connection.last_error.as_ref().map(|error| error.code.as_str());
    // Its tokens would go to hosts that nobody has confirmed.
    if connection.state == State::Misconfigured && code == Some(ORIGIN_CHANGED) {
        return Err(Error::Misconfigured { provider_error: ORIGIN_CHANGED.to_owned() });
    }
    Ok(connection)
}

/// The row says `spent` once a send has ended; what was sent of the current one is counted at the connection.
fn told(set: &Kept, strict: bool, sent: bool) -> KeptGeneration {
    KeptGeneration {
        generation: set.generation(),
        created_at: set.created_at(),
        superseded_at: set.superseded_at(),
        expires_at: set.expires_at(),
        current: set.is_current(),
        spent: set.is_spent() || (set.is_current() && sent),
        restorable: set.is_restorable(strict),
        account: set.account_label().map(str::to_owned),
        connected_by: set.connected_by().map(str::to_owned),
    }
}
