//! How large is a run, and what goes wrong in it? Drawn from the seed before anything starts.

use std::time::Duration;

use super::chance::Chance;

/// Which database the replicas stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// One process, a file.
    Sqlite,
    /// Several processes, a server of our own.
    Postgres,
}

impl Base {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What is made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fault {
    /// kill -9, then a start.
    Kill,
    /// SIGTERM, then a start.
    Terminate,
    /// The database server stops at once; slow refreshes are under way.
    Outage,
    /// The same, and a replica is killed while it holds answers that it cannot store.
    OutageAndKill,
    /// Every transaction is read only by default.
    ReadOnlyServer,
    /// No connection to the database can be had.
    NoConnections,
    /// COMMITs are held up on their way and land later.
    LateCommits,
    /// The same, and a replica is killed while they are on their way.
    LateCommitsAndKill,
    /// The process dies at its n-th fsync or fdatasync.
    CrashPoint {
        /// Of one thread.
        nth: usize,
    },
    /// The disk of the data directory is full.
    FullDisk,
    /// The disk of the data directory takes no writes.
    ReadOnlyDisk,
    /// Refresh requests are answered by a reset, before anything was done.
    ResetBefore,
    /// Refresh requests are answered by a reset, after the token was spent.
    ResetAfter,
    /// The answer is cut off, after the token was spent.
    Truncated,
    /// Refresh requests are answered by 500.
    ServerError,
    /// Refresh requests are answered by 429.
    RateLimited,
    /// Refreshes take longer, within the time-out.
    Slow,
    /// Refreshes take longer than the time-out; the token is spent all the same.
    TooSlow,
}

impl Fault {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Terminate => "SIGTERM",
            Self::Outage => "database stopped",
            Self::OutageAndKill => "database stopped, kill -9",
            Self::ReadOnlyServer => "database read-only",
            Self::NoConnections => "no database connections",
            Self::LateCommits => "late COMMITs",
            Self::LateCommitsAndKill => "late COMMITs, kill -9",
            Self::CrashPoint { .. } => "killed in fsync",
            Self::FullDisk => "disk full",
            Self::ReadOnlyDisk => "disk read-only",
            Self::ResetBefore => "reset before",
            Self::ResetAfter => "reset after",
            Self::Truncated => "answer truncated",
            Self::ServerError => "500",
            Self::RateLimited => "429",
            Self::Slow => "provider slow",
            Self::TooSlow => "provider too slow",
        }
    }

    /// Whether a replica is killed in it.
    pub(super) fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::OutageAndKill | Self::LateCommitsAndKill | Self::CrashPoint { .. })
    }

    /// Whether it is the provider's, which replicas and database do not notice.
    pub(super) fn is_of_the_provider(self) -> bool {
        matches!(
            self,
            Self::ResetBefore
                | Self::ResetAfter
                | Self::Truncated
                | Self::ServerError
                | Self::RateLimited
                | Self::Slow
                | Self::TooSlow
        )
    }
}

const OF_PROVIDER: [Fault; 7] = [
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::Truncated,
    Fault::ServerError,
    Fault::RateLimited,
    Fault::Slow,
    Fault::TooSlow,
];

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) base: Base,
    pub(super) seed: u64,
    pub(super) replicas: usize,
    pub(super) connections: usize,
    pub(super) callers: usize,
    /// Milliseconds a caller rests between two calls, at most.
    pub(super) rest_ms: u64,
    /// Seconds an access token lives.
    pub(super) lifetime_s: u64,
    /// Of a call to the provider; the lease is 5 s longer.
    pub(super) provider_timeout: Duration,
    /// How many refreshes each fault of the provider meets.
    pub(super) troubles: u32,
    /// Between two faults.
    pub(super) calm: Duration,
    /// In this order, one after another.
    pub(super) faults: Vec<Fault>,
    /// Whether hold-offs are waited for at the end; else they are shortened by SQL once nothing is under way.
    pub(super) waits_for_hold_offs: bool,
    /// The faults stop where this has passed since the start.
    pub(super) storm: Duration,
    /// Everything has ended by then, or the run has failed.
    pub(super) limit: Duration,
}

impl Plan {
    /// The size that runs with the other tests.
    pub(super) fn small(base: Base, seed: u64) -> Self {
        let mut faults = match base {
            // The ones after which a replica waits for 15 s come first.
            Base::Postgres => {
                vec![Fault::OutageAndKill, Fault::ReadOnlyServer, Fault::LateCommitsAndKill, Fault::Terminate]
            }
            Base::Sqlite => vec![
                Fault::FullDisk,
                Fault::CrashPoint { nth: 1 + Chance::seeded(seed).below(12) },
                Fault::ReadOnlyDisk,
                Fault::Kill,
                Fault::Terminate,
            ],
        };
        faults.extend([Fault::ResetAfter, Fault::ServerError, Fault::RateLimited]);
        Self {
            base,
            seed,
            replicas: if base == Base::Postgres { 2 } else { 1 },
            connections: 60,
            callers: 6,
            rest_ms: 120,
            lifetime_s: 6,
            provider_timeout: Duration::from_secs(3),
            troubles: 3,
            calm: Duration::ZERO,
            faults,
            waits_for_hold_offs: false,
            storm: Duration::from_secs(120),
            limit: Duration::from_secs(180),
        }
    }

    /// The size that is believed.
    pub(super) fn large(base: Base, seed: u64) -> Self {
        let mut chance = Chance::seeded(seed);
        let mut faults = match base {
            Base::Postgres => times(&[
                (Fault::Kill, 10),
                (Fault::OutageAndKill, 4),
                (Fault::LateCommitsAndKill, 6),
                (Fault::Terminate, 4),
                (Fault::Outage, 2),
                (Fault::ReadOnlyServer, 2),
                (Fault::NoConnections, 2),
                (Fault::LateCommits, 2),
            ]),
            Base::Sqlite => {
                let mut faults = times(&[
                    (Fault::Kill, 8),
                    (Fault::Terminate, 4),
                    (Fault::FullDisk, 3),
                    (Fault::ReadOnlyDisk, 3),
                ]);
                faults.extend((0..12).map(|_| Fault::CrashPoint { nth: 1 + chance.below(40) }));
                faults
            }
        };
        faults.extend(OF_PROVIDER);
        chance.shuffle(&mut faults);
        Self {
            base,
            seed,
            replicas: if base == Base::Postgres { 3 } else { 1 },
            connections: 2_000,
            callers: 24,
            rest_ms: 250,
            lifetime_s: 60,
            provider_timeout: Duration::from_secs(5),
            troubles: 12,
            calm: Duration::from_secs(2),
            faults,
            waits_for_hold_offs: true,
            storm: Duration::from_secs(600),
            limit: Duration::from_secs(900),
        }
    }
}

fn times(of: &[(Fault, usize)]) -> Vec<Fault> {
    of.iter().flat_map(|(fault, times)| std::iter::repeat_n(*fault, *times)).collect()
}

#[test]
fn a_seed_always_gives_the_same_plan_and_the_large_one_kills_twenty_times() {
    for base in [Base::Sqlite, Base::Postgres] {
        let (one, again, other) = (Plan::large(base, 1), Plan::large(base, 1), Plan::large(base, 2));
        assert_eq!(one.faults, again.faults);
        assert_ne!(one.faults, other.faults);
        assert!(one.faults.iter().filter(|fault| fault.kills()).count() >= 20);
        assert!(one.connections >= 2_000 && one.limit <= Duration::from_secs(900));
    }
}
