//! The keeper against the sandbox provider, on both databases. The provider's ledger tells what was spent.

mod accounts;
mod adopting;
mod barred;
mod deleting;
mod events;
mod flooded;
mod rejected;
mod renewing;
mod spending;
mod spooled;
mod sweeping;
mod trouble;
mod undoing;
mod unknown_claims;
mod world;

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use super::*;
use crate::keeper::tests::world::{BEST_EFFORT, World, at_least, rejecting, text};
use crate::model::connection::{DegradedCode, Reason};
use crate::sandbox::{Faults, Outcome, Profile, Rotation, Standard, Trouble};
use crate::store::testing::{TestDatabase, databases};

/// Seconds after which the hour-long token of the sandbox is due.
const DUE: i64 = 3_600 - 30;

/// Runs `test` on a fresh database of each kind, with an account connected at the standard profile.
async fn on_each<F: AsyncFn(World)>(test: F) {
    for db in databases().await {
        test(World::connected(db, "sandbox", Profile::standard()).await).await;
    }
}

async fn with_profile<F: AsyncFn(World)>(profile: impl Fn() -> Profile, connector: &str, test: F) {
    for db in databases().await {
        test(World::connected(db, connector, profile()).await).await;
    }
}

#[tokio::test]
async fn a_fresh_token_is_served_without_asking_the_provider() {
    on_each(async |world| {
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!((token.generation.0, token.refreshed, token.degraded), (1, false, None));
        assert!((3_590..=3_600).contains(&token.expires_in.unwrap()));
        let promised = token.expires_at.unwrap() - token.guaranteed_until.unwrap();
        assert_eq!(promised.whole_seconds(), 30);
        assert_eq!(world.refreshes(), 0);
        assert_eq!(world.db.count("audit_event WHERE action = 'token.hand_out'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_fresh_token_is_read_beside_a_slow_refresh_of_its_neighbour() {
    on_each(async |world| {
        world.pass(3_000);
        world.consent("bob", Flow::parse("second").unwrap()).await;
        world.pass(1_000);
        world.faults(Faults { delay_ms: Some(1_500), ..Faults::default() });
        let second = Flow::parse("second").unwrap();
        let job = world.job();
        let fast = async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            let begun = Instant::now();
            let token = world.keeper.retrieve_token(&job, Some(&second), BEST_EFFORT).await.unwrap();
            (begun.elapsed(), token.generation.0)
        };
        let first = Flow::default();
        let slow = world.keeper.retrieve_token(&job, Some(&first), BEST_EFFORT);
        let (slow, (took, generation)) = tokio::join!(slow, fast);
        assert_eq!((slow.unwrap().generation.0, generation), (2, 1));
        assert!(took < Duration::from_millis(500), "{took:?}");
    })
    .await;
}

#[tokio::test]
async fn a_token_of_ten_minutes_is_not_refreshed_on_every_read() {
    let profile = || Profile::Standard(Standard { lifetime_s: 600, ..Standard::default() });
    with_profile(profile, "sandbox", async |world| {
        for _ in 0..4 {
            world.pass(100);
            world.token(BEST_EFFORT).await.unwrap();
        }
        assert_eq!(world.refreshes(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_no_token_can_give_costs_no_call() {
    on_each(async |world| {
        let refused = world.token(at_least(3_500)).await;
        assert!(refused.is_ok(), "the token in hand gives it");
        world.pass(100);
        let refused = world.token(at_least(3_500)).await.unwrap_err();
        assert!(matches!(refused, Error::TtlUnsatisfiable { max_ttl: 3_240 }), "{refused:?}");
        assert_eq!(world.refreshes(), 0);
        let token = world.token(at_least(3_200)).await;
        assert_eq!(token.unwrap().generation.0, 1);
        world.pass(300);
        assert_eq!(world.token(at_least(3_200)).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn ciphertexts_swapped_between_tenants_do_not_open_and_the_rest_serves() {
    for db in databases().await {
        let world = World::connected(db, "sandbox", Profile::standard()).await;
        world.add_app("globex").await;
        let theirs = World { app: AppId::parse("globex").unwrap(), ..world };
        theirs.consent("mallory", Flow::default()).await;
        swap(&theirs.db).await;
        let refused = theirs.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::Unreadable(_)), "{refused:?}");
        assert!(theirs.db.count("audit_event WHERE action = 'secret.unreadable'").await >= 1);
        let app = AppId::parse("acme").unwrap();
        let world = World { app, ..theirs };
        assert!(world.token(BEST_EFFORT).await.is_ok(), "acme's own token still opens");
    }
}

/// Acme's sealed access token, with its key id, put into globex's row.
async fn swap(db: &TestDatabase) {
    db.sql(
        "UPDATE token_set SET (sealed_access, key_id) = (SELECT t.sealed_access, t.key_id FROM token_set t \
         JOIN connection c ON c.token_set_id = t.id WHERE c.app = 'acme') \
         WHERE id = (SELECT token_set_id FROM connection WHERE app = 'globex')",
    )
    .await;
}

#[tokio::test]
async fn several_connections_are_told_apart_by_flow() {
    on_each(async |world| {
        let second = Flow::parse("second").unwrap();
        world.consent("bob", second.clone()).await;
        let job = world.job();
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().flow, Flow::default());
        world
            .keeper
            .delete(&world.root(), &world.app, &world.connector, Some(&Flow::default()))
            .await
            .unwrap();
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().flow, second);
        world.consent("carol", Flow::parse("third").unwrap()).await;
        let Error::Ambiguous { flows } = world.token(BEST_EFFORT).await.unwrap_err() else { panic!() };
        assert_eq!(flows.len(), 2);
        assert!(world.keeper.retrieve_token(&job, Some(&second), BEST_EFFORT).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn without_its_audit_record_no_token_leaves() {
    on_each(async |world| {
        // The spool, where records go otherwise, cannot be made.
        std::fs::write(world.db.spool().dir(), "in the way").unwrap();
        world.db.sql("ALTER TABLE audit_event RENAME TO gone").await;
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::Audit(_)), "{refused:?}");
    })
    .await;
}
