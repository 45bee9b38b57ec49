//! The secrets keeper: the answer to "give me a live token for this app and connector".
//!
//! It promises that a refresh token is sent at most once per committed claim, over all callers and replicas;
//! that nothing a provider answered is dropped while the process lives; and that a live token is never withheld
//! from whoever asked for no more than it gives. It refuses with a cause that names the action to take.

mod account;
mod adopt;
mod breakers;
mod case;
mod confirm;
mod delete;
mod error;
mod events;
mod flight;
mod hand_out;
mod impact;
mod outcome;
mod owed;
mod rebound;
mod refresh;
mod renew;
mod seal;
mod settling;
mod spooled;
mod status;
mod sweep;
#[cfg(test)]
mod tests;
mod turns;
mod undo;
mod unknown_claims;
mod unrecorded;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::audit::Audit;
use crate::figures::Figures;
use crate::identity::MayReceive;
use crate::model::app::{AppId, AppState};
use crate::model::connection::{Connection, Flow, Freshness, Request, State};
use crate::model::connector::{ConnectorId, Definition, Policy};
use crate::model::entropy::Entropy;
use crate::model::time::Clock;
use crate::model::token_set::Generation;
use crate::registry::{self, Registry};
use crate::spool::Spool;
use crate::store::Store;
use crate::store::connections::Held;
use crate::vault::Vault;

pub use self::adopt::{Adoption, AdoptionKind, account_fingerprint};
pub use self::delete::{Deletion, Leftover, RevocationResult};
pub use self::error::Error;
pub use self::hand_out::HandedToken;
pub use self::impact::{Consent, Impact, Judged};
pub use self::status::{ListFilter, Status};
pub use self::sweep::Sweep;
pub use self::undo::KeptGeneration;

use self::breakers::Breakers;
use self::case::Case;
use self::flight::{Flights, Verdict};
use self::owed::Owed;
use self::turns::Turns;
use self::unknown_claims::UnknownClaim;
use self::unrecorded::Refusal;

/// How the keeper refreshes; section `refresh` of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a claim holds.
    pub lease: Duration,
    /// What a provider call may take; nothing is sent with less of the lease left.
    pub provider_timeout: Duration,
    /// Refreshes under way at once in this process, a quarter of them at one token endpoint's origin; more wait
    /// their turn before they claim.
    pub concurrency: u32,
    /// What the database may take to store an answer before whoever waits gets it from the spool.
    pub store_patience: Duration,
    /// Callers that may wait for refreshes in this process.
    pub waiters: usize,
    /// Callers that may wait for one connection's refresh.
    pub waiters_per_connection: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            provider_timeout: Duration::from_secs(15),
            concurrency: 64,
            store_patience: Duration::from_secs(2),
            waiters: 10_000,
            waiters_per_connection: 2_000,
        }
    }
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// Beyond a token.
    pub request: Request,
    /// How long it waits for a refresh under way.
    pub wait: Duration,
}

/// What the keeper works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Seals and opens.
    pub vault: Arc<Vault>,
    /// Where answers wait that the database does not take.
    pub spool: Arc<Spool>,
    /// The audit trail.
    pub audit: Arc<Audit>,
    /// Definitions and credentials.
    pub registry: Arc<Registry>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub figures: Arc<Figures>,
}

struct Core {
    parts: Parts,
    settings: Settings,
    settling: settling::Settling,
    turns: Turns,
    shelf: spooled::Shelf,
    breakers: Breakers,
    unknown_claims: Owed<UnknownClaim>,
    unrecorded: Owed<Refusal>,
    /// The process ends: no flight begins, and none that has sent nothing yet claims.
    closing: AtomicBool,
}

/// Keeps third-party tokens alive and hands them out.
pub struct SecretsKeeper {
    core: Arc<Core>,
    flights: Flights,
}

/// A connection that was found, and the database's time when it was.
#[derive(Clone, Debug)]
struct Found {
    held: Held,
    now: OffsetDateTime,
}

/// A refreshed set that waits in the spool, as whoever waited for it gets it.
#[derive(Debug)]
struct Landed {
    found: Found,
    /// The generation it follows.
    before: Generation,
}

impl SecretsKeeper {
    /// A keeper over its parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let core = Core {
            settling: settling::Settling::begin(&*parts.clock),
            turns: Turns::new(settings.concurrency),
            shelf: spooled::Shelf::default(),
            breakers: Breakers::new(Arc::clone(&parts.clock)),
            unknown_claims: Owed::default(),
            unrecorded: Owed::default(),
            closing: AtomicBool::new(false),
            parts,
            settings,
        };
        Self {
            core: Arc::new(core),
            flights: Flights::new(settings.waiters, settings.waiters_per_connection),
        }
    }

    /// A token that is valid for as long as was asked, refreshed when due.
    pub async fn retrieve_token(
        &self,
        by: &MayReceive,
        flow: Option<&Flow>,
        lifetime: Lifetime,
    ) -> Result<HandedToken, Error> {
        let definition = self.core.definition(by.connector()).await?;
        let policy = definition.policy();
        let started = Instant::now();
        let mut generation_before = None;
        let mut verdict = None;
        loop {
            let found = self.core.find_for(by, flow).await?;
            let connection = &found.held.connection;
            let before = *generation_before.get_or_insert_with(|| {
                note(connection);
                connection.generation
            });
            let case = Case { policy: &policy, request: lifetime.request, found: &found };
            match case.decide(verdict.as_ref()) {
                Freshness::Serve(degraded) => return self.hand_out(by, &case, degraded, before).await,
                Freshness::Refuse(refusal) => return Err(case.refused(refusal)),
                _ if connection.generation > before && case.just_issued() => {
                    return self.as_it_came(by, &case, before).await;
                }
                wanted @ (Freshness::Refresh | Freshness::Confirm) => {
                    let patience = case.patience(lifetime.wait).saturating_sub(started.elapsed());
                    let trouble = verdict.as_ref().and_then(Verdict::trouble);
                    // Who waits for nothing still lets a refresh begin.
                    if trouble.is_some() || (verdict.is_some() && patience.is_zero()) {
                        return match case.contented() {
                            true => self.hand_out(by, &case, trouble.map(|t| case.degraded(t)), before).await,
                            false => Err(case.out_of_luck(trouble)),
                        };
                    }
                    let want_proof = wanted == Freshness::Confirm;
                    let target = refresh::Target::new(&definition, connection.clone(), want_proof, found.now);
                    match self.flights.board(&self.core, target, patience).await {
                        Verdict::Spooled(landed) => {
                            return self.hand_out_spooled(by, &policy, lifetime, &landed).await;
                        }
                        other => verdict = Some(other),
                    }
                }
            }
        }
    }

    /// The id of the connector that `name` calls, by id or alias; an unknown name stays as it is.
    pub async fn canonical(&self, name: &ConnectorId) -> ConnectorId {
        let found = self.core.parts.registry.find(name.as_str()).await;
        found.ok().flatten().map_or_else(|| name.clone(), |definition| definition.id.clone())
    }

    /// Lets no new flight begin, ends those that have claimed nothing yet, and waits until the others have landed, at
    /// most `limit`.
    pub async fn drain(&self, limit: Duration) {
        self.core.closing.store(true, Ordering::SeqCst);
        self.flights.drain(limit).await;
    }

    /// Whether the process ends: what can wait is left to the next one.
    pub fn is_closing(&self) -> bool {
        self.core.is_closing()
    }
}

impl Core {
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    async fn definition(&self, connector: &ConnectorId) -> Result<Arc<Definition>, Error> {
        let found = self.parts.registry.find(connector.as_str()).await;
        if let Err(registry::Error::Unreadable(_)) = &found {
            self.unreadable_definition(connector).await;
        }
        found?.ok_or(Error::ConnectorNotFound)
    }

    /// The policy of a connector in a list: a definition that cannot be used spoils no other row.
    async fn policy(&self, connector: &ConnectorId) -> Result<Policy, Error> {
        match self.parts.registry.find(connector.as_str()).await {
            Err(registry::Error::Unreadable(_)) => Ok(Policy::default()),
            found => Ok(found?.map(|definition| definition.policy()).unwrap_or_default()),
        }
    }

    /// The connection a caller means, among those its right reaches.
    async fn find_for(&self, by: &MayReceive, flow: Option<&Flow>) -> Result<Found, Error> {
        self.find_among(by.app(), by.connector(), flow, |connection| {
            by.reaches(connection, &self.parts.vault)
        })
        .await
    }

    async fn find(&self, app: &AppId, connector: &ConnectorId, flow: Option<&Flow>) -> Result<Found, Error> {
        self.find_among(app, connector, flow, |_| true).await
    }

    /// The flow that is named, else the one named `default`, else the only one.
    async fn find_among(
        &self,
        app: &AppId,
        connector: &ConnectorId,
        flow: Option<&Flow>,
        reached: impl Fn(&Connection) -> bool,
    ) -> Result<Found, Error> {
        let store = &self.parts.store;
        let lookup = store.bounded(store.conn().app(app).look_up(connector, flow)).await;
        let lookup = self.settling.noted(&*self.parts.clock, lookup)?;
        match lookup.app_state {
            None => return Err(Error::AppNotFound),
            Some(AppState::Disabled) => return Err(Error::AppDisabled),
            Some(AppState::Active) => {}
        }
        let rows = lookup.rows.into_iter().filter(|held| reached(&held.connection)).collect();
        let held = choose(rows, flow)?;
        Ok(Found { held, now: lookup.now })
    }
}

/// Which connection the request under way is about, for its log lines. It exists: what a caller made up is not logged.
fn note(connection: &Connection) {
    let span = tracing::Span::current();
    span.record("app.id", tracing::field::display(&connection.app));
    span.record("connector", tracing::field::display(&connection.connector));
}

fn choose(rows: Vec<Held>, flow: Option<&Flow>) -> Result<Held, Error> {
    let alive = |held: &Held| held.connection.state != State::Revoked;
    let mut rows: Vec<Held> = rows.into_iter().filter(alive).collect();
    let default = rows.iter().position(|held| held.connection.flow == Flow::default());
    if let (true, Some(at)) = (rows.len() > 1, default) {
        return Ok(rows.swap_remove(at));
    }
    match (rows.pop(), rows.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let mut flows: Vec<Flow> = rows.into_iter().map(|held| held.connection.flow).collect();
            flows.push(last.connection.flow);
            flows.sort();
            Err(Error::Ambiguous { flows })
        }
        (None, _) => Err(Error::ConnectionNotFound { flow: flow.cloned() }),
    }
}
