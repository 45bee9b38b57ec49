//! Is the promise kept while everything breaks? Replicas, callers and connections against a provider that kills a
//! whole grant where a refresh token comes twice, with faults drawn from a seed (docs/harness.md).
//!
//! The small size runs with the other tests; `scripts/harness --large` runs the large one. What happened is written
//! down while it runs (`record`) and judged afterwards (`judge`) by rules that are tested themselves (`forged`).

mod callers;
mod chance;
mod conductor;
mod disk;
mod ground;
mod judge;
mod plan;
mod record;
mod replica;
mod run;
mod table;
mod wire;

use plan::{Base, Plan};

/// Of the small size, unless another is asked for.
const SEED: u64 = 20_260;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_on_sqlite() {
    run::run(Plan::small(Base::Sqlite, seed())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_on_postgres() {
    run::run(Plan::small(Base::Postgres, seed())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a quarter of an hour: scripts/harness --large"]
async fn large_on_sqlite() {
    run::run(Plan::large(Base::Sqlite, seed())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a quarter of an hour: scripts/harness --large"]
async fn large_on_postgres() {
    run::run(Plan::large(Base::Postgres, seed())).await;
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn seed() -> u64 {
    std::env::var("JETON_HARNESS_SEED").map_or(SEED, |seed| seed.parse().expect("the seed is a number"))
}
