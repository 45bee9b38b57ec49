//! One refresh: confirm where asked, claim, send once, record what came of it.
//!
//! No transaction is open while the provider is called. The deadline forbids sending, never storing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tracing::{info, warn};
use uuid::Uuid;

use crate::connectors::Connector;
use crate::model::connection::{Connection, State};
use crate::model::connector::Definition;
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::secret::Secret;
use crate::model::token_set::TokenSetId;
use crate::registry::{Opened, own};
use crate::store::leases::{Attempt, Claim};
use crate::vault;

use super::account::Comparison;
use super::breakers::Pass;
use super::flight::{Trouble, Verdict};
use super::unknown_claims::UnknownClaim;
use super::{Core, Error, Parts, confirm, outcome, seal};

/// What a flight is about: the connection as it was read.
pub(super) struct Target {
    pub(super) definition: Arc<Definition>,
    pub(super) connection: Connection,
    /// Its token was rejected by the API: ask first.
    pub(super) want_proof: bool,
    /// The database's time when it was read.
    pub(super) now: OffsetDateTime,
    /// The same moment by the steady clock.
    read: Instant,
}

/// What is opened before anything is sent: the refresh token, and what an answer is merged with.
pub(super) struct Kept {
    pub(super) refresh_token: Secret,
    pub(super) extra: serde_json::Map<String, serde_json::Value>,
}

/// What is needed to send and to record.
pub(super) struct Trip<'a> {
    pub(super) core: &'a Core,
    pub(super) target: &'a Target,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) opened: Opened,
    pub(super) attempt: Attempt,
    pub(super) stopwatch: Stopwatch,
}

/// Time since before the claim was sent. Counts a suspended machine: whichever of the steady and the wall
/// clock says more.
pub(super) struct Stopwatch {
    steady: Instant,
    wall: OffsetDateTime,
}

impl Stopwatch {
    fn start(core: &Core) -> Self {
        Self { steady: Instant::now(), wall: core.parts.clock.now() }
    }

    pub(super) fn elapsed(&self, core: &Core) -> Duration {
        let wall = Duration::try_from(core.parts.clock.now() - self.wall).unwrap_or_default();
        self.steady.elapsed().max(wall)
    }
}

impl Target {
    pub(super) fn new(
        definition: &Arc<Definition>,
        connection: Connection,
        want_proof: bool,
        now: OffsetDateTime,
    ) -> Self {
        Self { definition: Arc::clone(definition), connection, want_proof, now, read: Instant::now() }
    }
}

/// Runs a flight to its end.
pub(super) async fn run(core: &Core, mut target: Target) -> Verdict {
    let mut flown = fly(core, &target).await;
    if let Err(Error::Unreadable(_)) = &flown
        && core.takes_newer_definition(&mut target).await
    {
        flown = fly(core, &target).await;
    }
    match flown {
        Ok(verdict) => verdict,
        Err(error) => {
            let connection = &target.connection;
            warn!(app.id = %connection.app, connector = %connection.connector, %error, "a refresh could not begin");
            if let (Error::Unreadable(_), Some(set)) = (&error, &connection.token_set) {
                core.unreadable(connection, set.id).await;
            }
            Verdict::Failed(match error {
                Error::CredentialsMissing => Trouble::CredentialsMissing,
                Error::Unreadable(vault::Error::NotOurs { table }) => Trouble::NotOurs { table },
                Error::Unreadable(_) => Trouble::Unreadable,
                _ => Trouble::Storage,
            })
        }
    }
}

async fn fly(core: &Core, target: &Target) -> Result<Verdict, Error> {
    if target.connection.sending.is_under_way(target.now) {
        return wait_for_other(core, target).await;
    }
    let connection = &target.connection;
    if core.shelf.holds(connection.id) {
        return core.bring_out(connection.id).await;
    }
    let turn = core.turns.take(&target.definition.token_origin()).await;
    if core.is_closing() {
        return Ok(Verdict::Failed(Trouble::Full));
    }
    let Some(set) = &connection.token_set else { return Ok(Verdict::Done) };
    let policy = target.definition.policy();
    let opened = core.credentials_of(connection, &target.definition).await?;
    let connector = core.parts.registry.connector(&target.definition);
    if target.want_proof {
        let probe = confirm::ask(core, target, &connector, &opened).await?;
        match probe {
            None => return Ok(Verdict::Done),
            Some(false) => return Ok(Verdict::NotConfirmed(set.id)),
            Some(true) if !connection.can_refresh(&policy) => {
                return confirm::park(core, target, set.id).await;
            }
            Some(true) => {}
        }
    }
    let strict = connection.is_strict(&policy);
    if strict && connection.sending.sends > 0 && !core.settling.is_settled(&*core.parts.clock) {
        return Ok(Verdict::Failed(Trouble::Unsettled));
    }
    // What claims now may take longer than the process has: its answer would be lost.
    if core.is_closing() {
        return Ok(Verdict::Failed(Trouble::Full));
    }
    let pass = match admit(core, target, &opened) {
        Ok(pass) => pass,
        Err(wait) => {
            let retry_after = wait.as_secs().saturating_add(1);
            return Ok(Verdict::Failed(Trouble::Barred { retry_after }));
        }
    };
    let stopwatch = Stopwatch::start(core);
    let lease = uuid(&*core.parts.clock, &*core.parts.entropy);
    let attempt = Attempt { connection: connection.id, seen: set.id, lease };
    let trip = Trip { core, target, connector, opened, attempt, stopwatch };
    let Some(claim) = trip.claim(strict).await? else {
        drop(turn);
        return wait_for_other(core, target).await;
    };
    let kept = trip.open_kept(&claim).await?;
    if trip.stopwatch.elapsed(core) + core.settings.provider_timeout + Duration::from_secs(1)
        > core.settings.lease
    {
        trip.release().await;
        return Ok(Verdict::Done);
    }
    Ok(trip.send(&claim, kept, pass).await)
}

/// Whether the provider may be called: it is not away, and does not limit these credentials; else for how long not.
fn admit<'c>(core: &'c Core, target: &Target, opened: &Opened) -> Result<Pass<'c>, Duration> {
    if let Some(wait) = opened.held_for(target.now + target.read.elapsed()) {
        return Err(wait);
    }
    let filled = target.definition.called_origin(&opened.credentials.variables);
    core.breakers.admit(filled.unwrap_or_else(|| target.definition.token_origin()), target.connection.id)
}

/// Somebody else has the claim: re-read with jittered back-off until the row has moved on.
async fn wait_for_other(core: &Core, target: &Target) -> Result<Verdict, Error> {
    let connection = &target.connection;
    let mut pause_ms = 50_u64;
    let started = Instant::now();
    while started.elapsed() < core.settings.lease {
        tokio::time::sleep(Duration::from_millis(core.jittered(pause_ms))).await;
        pause_ms = (pause_ms * 2).min(500);
        let found = core.find(&connection.app, &connection.connector, Some(&connection.flow)).await?;
        let seen = found.held.connection;
        let moved = seen.token_set != connection.token_set;
        if moved || !seen.sending.is_under_way(found.now) || seen.state != State::Active {
            break;
        }
    }
    Ok(Verdict::Done)
}

/// The audit record of a refresh that ended.
pub(super) fn event(connection: &Connection, set: TokenSetId, result: &'static str) -> Event {
    let event = Event::new(Actor::System, Action::TokenRefresh, Origin::default()).about(connection);
    Event { result, token_set: Some(set), ..event }
}

impl Trip<'_> {
    fn comparison(&self, access: &Secret) -> Option<Comparison> {
        let asked = (&self.connector, &self.opened.credentials);
        Comparison::of(&self.core.parts, &self.target.connection, access, asked)
    }

    /// The committed claim; a claim whose commit is unknown is none, and is given back when that works.
    async fn claim(&self, strict: bool) -> Result<Option<Claim>, Error> {
        let app = &self.target.connection.app;
        let lease = self.core.settings.lease;
        let store = &self.core.parts.store;
        let is_sent = AtomicBool::new(false);
        let claimed = async {
            let tx = store.begin().await?;
            let lease_us = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
            let claim = tx.conn().app(app).claim(self.attempt, lease_us, strict).await?;
            // Before this a transaction that fails has changed nothing.
            is_sent.store(true, Ordering::SeqCst);
            tx.commit().await?;
            Ok::<_, crate::store::Error>(claim)
        };
        let claimed = store.bounded(claimed).await;
        if claimed.is_err() && is_sent.load(Ordering::SeqCst) {
            self.core.unknown_claims.add(UnknownClaim::new(app, self.attempt, lease));
        }
        Ok(self.core.settling.noted(&*self.core.parts.clock, claimed)?)
    }

    /// The one provider call of a claim, what came of it recorded, and whose token it is compared.
    async fn send(&self, claim: &Claim, kept: Kept, pass: Pass<'_>) -> Verdict {
        let sent = Instant::now();
        let answer = self.connector.refresh(&self.opened.credentials, &kept.refresh_token).await;
        pass.report(&answer);
        let result = answer.as_ref().map_or_else(outcome::result, |_| "ok");
        self.core.parts.figures.refreshed(&self.target.definition.id, result, sent.elapsed());
        let compared = answer.as_ref().ok().and_then(|grant| self.comparison(&grant.access_token));
        let verdict = self.record(claim, kept, answer).await;
        match compared {
            Some(comparison) => comparison.after_refresh(verdict).await,
            None => verdict,
        }
    }

    /// Gives the claim back: nothing was sent.
    async fn release(&self) {
        let released = async {
            let tx = self.core.parts.store.begin().await?;
            tx.conn().app(&self.target.connection.app).release(self.attempt).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            info!(%error, "a claim could not be given back; it lapses by itself");
        }
    }

    /// The refresh token, where it opens in its place and for the origin it is about to be sent to, and the extra
    /// fields.
    async fn open_kept(&self, claim: &Claim) -> Result<Kept, Error> {
        let connection = &self.target.connection;
        let origin = self.target.definition.token_origin();
        let place = seal::refresh_place(connection, self.attempt.seen, &origin);
        let vault = &self.core.parts.vault;
        let opened = vault.open(&claim.key, &place, &claim.refresh).map_err(Error::from).and_then(|token| {
            let extra =
                seal::open_extra(vault, connection, self.attempt.seen, &claim.key, claim.extra.as_ref())?;
            Ok(Kept { refresh_token: token, extra })
        });
        if opened.is_err() {
            self.release().await;
        }
        opened
    }
}

impl Core {
    /// Storing what waits in the spool comes first: the refresh token of this row is spent.
    async fn bring_out(&self, connection: Uuid) -> Result<Verdict, Error> {
        self.replay().await?;
        // Where it did not come out, whoever asked would find the same row again.
        Ok(match self.shelf.holds(connection) {
            true => Verdict::Failed(Trouble::Storage),
            false => Verdict::Done,
        })
    }

    /// Whether what did not open was looked at through a definition that is no longer the stored one: another replica
    /// has moved the connector within the last seconds.
    async fn takes_newer_definition(&self, target: &mut Target) -> bool {
        let registry = &self.parts.registry;
        registry.forget();
        match registry.find(target.definition.id.as_str()).await {
            Ok(Some(newer)) if *newer != *target.definition => {
                target.definition = newer;
                true
            }
            _ => false,
        }
    }

    /// What a connection was made with, else what a new consent would use (imports).
    pub(super) async fn credentials_of(
        &self,
        connection: &Connection,
        definition: &Definition,
    ) -> Result<Opened, Error> {
        let Parts { registry, vault, .. } = &self.parts;
        own::check_variables(vault, connection)?;
        let opened = match connection.credentials {
            Some((id, _)) => registry.credentials(&connection.app, id, definition).await?,
            None => registry.credentials_for(&connection.app, definition).await?,
        };
        Ok(opened.ok_or(Error::CredentialsMissing)?.with_variables(&connection.variables))
    }

    /// `ms`, give or take half of it.
    pub(super) fn jittered(&self, ms: u64) -> u64 {
        let mut die = [0_u8; 1];
        self.parts.entropy.fill(&mut die);
        let [die] = die;
        ms / 2 + ms * u64::from(die) / 255
    }
}
