//! How is each fault made, and how is its end told? One after another, as planned.

use std::time::{Duration, Instant};

use jeton::sandbox::{Faults, Trouble};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::task::block_in_place;

use super::chance::Chance;
use super::ground::{Connection, Ground};
use super::plan::Fault;
use super::record::{Recovery, now};
use super::replica::Replica;
use super::wire::Wire;
use crate::support::cluster::Cluster;
use crate::support::peer::is_here;

/// What a replica is waited for after a fault; more than it may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an answer may be in a replica's hands before it is stored or spooled, with a margin.
const SPOOLED: Duration = Duration::from_secs(5);

/// Makes faults.
pub(super) struct Conductor<'a> {
    ground: &'a Ground,
    chance: Chance,
}

/// Why a fault was not made.
struct Impossible(String);

impl<'a> Conductor<'a> {
    pub(super) fn of(ground: &'a Ground) -> Self {
        Self { ground, chance: Chance::seeded(ground.plan.seed).fork(usize::MAX) }
    }

    /// Makes one fault, ends it, and waits until every replica serves again.
    pub(super) async fn make(&mut self, fault: Fault) {
        let began = now();
        match self.perform(fault).await {
            Ok(ended) => {
                self.ground.record.write(|notes| {
                    *notes.faults.entry(fault.name()).or_default() += 1;
                    notes.timeline.push(format!("{began} to {ended} {}", fault.name()));
                });
                self.await_recovery(fault, ended).await;
            }
            Err(Impossible(why)) => {
                self.ground.record.write(|notes| notes.skipped.insert(fault.name(), why));
            }
        }
    }

    /// Gives when the fault ended.
    async fn perform(&mut self, fault: Fault) -> Result<OffsetDateTime, Impossible> {
        match fault {
            Fault::Kill => self.kill_and_start().await,
            Fault::Terminate => self.terminate_and_start(),
            Fault::Outage => self.outage(false).await,
            Fault::OutageAndKill => self.outage(true).await,
            Fault::ReadOnlyServer => self.read_only_server().await,
            Fault::NoConnections => self.no_connections().await,
            Fault::LateCommits => self.late_commits(false).await,
            Fault::LateCommitsAndKill => self.late_commits(true).await,
            Fault::CrashPoint { nth } => self.crash_point(nth),
            Fault::FullDisk => self.full_disk().await,
            Fault::ReadOnlyDisk => self.read_only_disk().await,
            _ => self.provider(fault).await,
        }
    }

    async fn kill_and_start(&mut self) -> Result<OffsetDateTime, Impossible> {
        let replica = self.any_replica();
        self.kill(replica);
        pause(self.chance.between(100, 1_500)).await;
        Ok(self.start(replica))
    }

    fn terminate_and_start(&mut self) -> Result<OffsetDateTime, Impossible> {
        let replica = self.any_replica();
        if let Err(why) = block_in_place(|| replica.terminate()) {
            self.ground.record.odd(format!("SIGTERM: replica {}: {why}", replica.number));
        }
        Ok(self.start(replica))
    }

    /// Refreshes are slow, so that many are under way when the database goes; their answers can only be spooled.
    async fn outage(&mut self, kills: bool) -> Result<OffsetDateTime, Impossible> {
        let delay = Duration::from_millis(1_500);
        let slow = Faults { delay_ms: Some(1_500), ..Faults::default() };
        self.ground.provider_does(slow.on_refresh());
        pause(2_000).await;
        block_in_place(|| self.cluster().stop_at_once());
        let victim = self.any_replica();
        if kills {
            tokio::time::sleep(delay + SPOOLED).await;
            self.kill(victim);
        } else {
            pause(self.chance.between(1_000, 4_000)).await;
        }
        self.ground.provider_does(Faults::default());
        block_in_place(|| self.cluster().begin());
        Ok(if kills { self.start(victim) } else { now() })
    }

    async fn read_only_server(&mut self) -> Result<OffsetDateTime, Impossible> {
        self.cluster().set_read_only(true).await;
        pause(self.chance.between(1_500, 4_000)).await;
        self.cluster().set_read_only(false).await;
        Ok(now())
    }

    async fn no_connections(&mut self) -> Result<OffsetDateTime, Impossible> {
        self.cluster().take_all_connections().await;
        pause(self.chance.between(2_000, 5_000)).await;
        self.cluster().give_connections_back().await;
        Ok(now())
    }

    /// Under 5 s an idle transaction is not ended by the server: the COMMIT lands.
    async fn late_commits(&mut self, kills: bool) -> Result<OffsetDateTime, Impossible> {
        let hold = Duration::from_millis(self.chance.between(800, 4_500));
        let (wire, victim) = (self.wire(), self.any_replica());
        let seen = self.look_at_some(victim).await;
        wire.hold_commits(hold);
        let held = wire.held();
        self.refresh_some(victim, seen);
        pause(self.chance.between(800, 1_500)).await;
        if !kills {
            pause(3_000).await;
            wire.let_commits_pass();
            tokio::time::sleep(hold).await;
            return Ok(now());
        }
        self.kill(victim);
        wire.let_commits_pass();
        if wire.held() == held {
            self.ground.record.odd("odd: no COMMIT was held up".to_owned());
        }
        tokio::time::sleep(hold).await;
        Ok(self.start(victim))
    }

    fn crash_point(&mut self, nth: usize) -> Result<OffsetDateTime, Impossible> {
        if !is_here("strace") {
            return Err(Impossible("there is no strace here".to_owned()));
        }
        let replica = self.any_replica();
        self.kill(replica);
        // Where it dies before it serves, it was killed as it opened the database.
        let began = now();
        let killed = match block_in_place(|| replica.start_to_crash(nth)) {
            Ok(()) => block_in_place(|| replica.await_end(Duration::from_secs(6))),
            Err(_) => Some(super::record::Killed { from: began, to: now() }),
        };
        match killed {
            Some(killed) => self.ground.record.write(|notes| notes.killed.push(killed)),
            None => self.kill(replica),
        }
        Ok(self.start(replica))
    }

    async fn full_disk(&mut self) -> Result<OffsetDateTime, Impossible> {
        let disk = self.ground.disk.as_ref().map_err(|why| Impossible(why.clone()))?;
        disk.fill();
        pause(self.chance.between(1_500, 3_000)).await;
        disk.make_room();
        Ok(now())
    }

    async fn read_only_disk(&mut self) -> Result<OffsetDateTime, Impossible> {
        let disk = self.ground.disk.as_ref().map_err(|why| Impossible(why.clone()))?;
        disk.lock();
        pause(self.chance.between(1_500, 3_000)).await;
        disk.unlock();
        Ok(now())
    }

    /// So many refreshes meet it, or fewer within a few seconds.
    async fn provider(&mut self, fault: Fault) -> Result<OffsetDateTime, Impossible> {
        let longer = u64::try_from(self.ground.plan.provider_timeout.as_millis()).unwrap() + 1_000;
        let faults = match fault {
            Fault::ResetBefore => Faults::before(Trouble::Reset),
            Fault::ResetAfter => Faults::after(Trouble::Reset),
            Fault::Truncated => Faults::after(Trouble::Truncated),
            Fault::ServerError => Faults::before(Trouble::Status(500)),
            Fault::RateLimited => Faults::before(Trouble::RateLimited { retry_after_s: 1 }),
            Fault::Slow => Faults { slow_head_ms: Some(1_000), ..Faults::default() },
            _ => Faults { slow_head_ms: Some(longer), ..Faults::default() },
        };
        self.ground.provider_does(faults.on_refresh().times(self.ground.plan.troubles));
        pause(1_500).await;
        self.ground.provider_does(Faults::default());
        Ok(now())
    }

    /// A few connections with their generations.
    async fn look_at_some(&mut self, replica: &Replica) -> Vec<(usize, Value)> {
        let Some(at) = replica.address() else { return Vec::new() };
        let mut seen = Vec::new();
        for _ in 0..5 {
            let number = self.chance.below(self.ground.connections.len());
            let Connection { app, flow, .. } = &self.ground.connections[number];
            let url = format!("{at}/{app}/sandbox/status?flow={flow}");
            let Ok(answer) = self.ground.http.get(url).bearer_auth(&self.ground.bearer).send().await else {
                continue;
            };
            let status: Value = answer.json().await.unwrap_or_default();
            seen.push((number, status["generation"].clone()));
        }
        seen
    }

    /// So that there are COMMITs of claims on their way, whatever is due.
    fn refresh_some(&self, replica: &Replica, seen: Vec<(usize, Value)>) {
        let Some(at) = replica.address() else { return };
        for (number, generation) in seen {
            let Connection { app, flow, .. } = &self.ground.connections[number];
            let url = format!("{at}/admin/v1/apps/{app}/connections/sandbox/refresh?flow={flow}");
            let request = self.ground.http.post(url).bearer_auth(&self.ground.bearer);
            // What becomes of it is told by the provider's book.
            tokio::spawn(request.json(&json!({ "generation": generation })).send());
        }
    }

    async fn await_recovery(&self, fault: Fault, ended: OffsetDateTime) {
        let begun = Instant::now();
        let mut waited_for: Vec<usize> = (0..self.ground.plan.replicas).collect();
        while !waited_for.is_empty() && begun.elapsed() < PATIENCE {
            pause(10).await;
            waited_for.retain(|replica| {
                let last = self.ground.record.write(|notes| notes.served.get(replica).copied());
                let back = last.filter(|(_, at)| *at > ended).map(|(_, at)| at - ended);
                let Some(took) = back.and_then(|took| Duration::try_from(took).ok()) else { return true };
                self.note(Recovery { fault, replica: *replica, took: Some(took) });
                false
            });
        }
        waited_for.into_iter().for_each(|replica| self.note(Recovery { fault, replica, took: None }));
    }

    fn note(&self, recovery: Recovery) {
        self.ground.record.write(|notes| notes.recoveries.push(recovery));
    }

    fn any_replica(&mut self) -> &'a Replica {
        &self.ground.replicas[self.chance.below(self.ground.plan.replicas)]
    }

    fn kill(&self, replica: &Replica) {
        let killed = block_in_place(|| replica.kill());
        self.ground.record.write(|notes| notes.killed.push(killed));
    }

    /// Gives when the start began: the fault is over then.
    fn start(&self, replica: &Replica) -> OffsetDateTime {
        let began = now();
        if let Err(log) = block_in_place(|| replica.start()) {
            self.ground.record.odd(format!("start: replica {} does not come up: {log}", replica.number));
        }
        began
    }

    fn cluster(&self) -> &'a Cluster {
        self.ground.cluster.as_ref().expect("the plan of this database has servers")
    }

    fn wire(&self) -> &'a Wire {
        self.ground.wire.as_ref().expect("the plan of this database has a wire")
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
