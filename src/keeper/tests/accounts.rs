//! What becomes of a connection whose token is another account's?

use super::*;

async fn connected(db: TestDatabase) -> World {
    let world = World::new(db, "sandbox", Profile::standard()).await;
    world.consent_of("alice", Flow::default()).await;
    world
}

/// Whose token it is, as the provider says.
fn calls(world: &World) -> u64 {
    world.provider().ledger().clients["client"].api_calls
}

const PARKED: (&str, Option<&str>) = ("reauthorization_required", Some("account_changed"));

#[tokio::test]
async fn a_refresh_that_brings_another_account_parks_and_nobody_gets_the_token() {
    for db in databases().await {
        let world = connected(db).await;
        // All ten wait before the answer is stored: who comes between storing and parking is served.
        let slow = Faults { user: Some("mallory".into()), delay_ms: Some(1_000), ..Faults::default() };
        world.faults(slow.on_refresh());
        world.pass(4_000);
        let before = calls(&world);
        for refused in join_all((0..10).map(|_| world.token(BEST_EFFORT))).await {
            let Err(Error::ReauthorizationRequired { reason, account, .. }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(reason, Reason::AccountChanged, "{}", world.db.name);
            assert!(account.unwrap().starts_with("alice"), "the account that is wanted");
        }
        assert_eq!((world.refreshes(), calls(&world) - before), (1, 1));
        assert_eq!(world.state().await, PARKED);
        let audited = "audit_event WHERE action = 'token.refresh' AND result = 'account_changed'";
        assert_eq!(world.db.count(audited).await, 1);
        assert_eq!(world.db.count("audit_event WHERE action = 'token.hand_out'").await, 0);
        // Stored nevertheless: nothing is lost, and it is revoked with the connection. It never comes back.
        assert_eq!(world.generations().await, [(2, true, false, false), (1, false, true, false)]);
        world.faults(Faults::default());
        world.pass(10);
        assert!(world.token(BEST_EFFORT).await.is_err());
        assert_eq!(world.refreshes(), 1, "parked: not called again");
        assert_eq!(world.consent_of("alice", Flow::default()).await.0, 3);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 3);
        assert!(matches!(world.restore(2).await.unwrap_err(), Error::AlreadySpent), "it is mallory's");
    }
}

#[tokio::test]
async fn the_same_account_costs_one_question_a_refresh_and_none_a_read() {
    for db in databases().await {
        let world = connected(db).await;
        let before = calls(&world);
        for generation in 2..=3 {
            world.pass(DUE);
            for _ in 0..3 {
                assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, generation);
            }
        }
        assert_eq!((world.refreshes(), calls(&world) - before), (2, 2), "{}", world.db.name);
    }
}

#[tokio::test]
async fn a_connection_whose_account_nobody_knows_asks_nothing() {
    on_each(async |world| {
        world.faults(Faults { user: Some("mallory".into()), ..Faults::default() }.on_refresh());
        let before = calls(&world);
        world.pass(DUE);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
        assert_eq!(calls(&world), before);
    })
    .await;
}

#[tokio::test]
async fn a_question_that_fails_changes_nothing() {
    for db in databases().await {
        let world = connected(db).await;
        for (at, status) in [401, 403, 429, 500, 204].into_iter().enumerate() {
            world.faults(Faults { userinfo_status: Some(status), ..Faults::default() });
            world.pass(DUE);
            let token = world.token(BEST_EFFORT).await.unwrap();
            assert_eq!(token.generation.0, i64::try_from(at).unwrap() + 2, "{status}");
            assert_eq!(world.state().await, ("active", None));
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_late_holds_nobody_up_and_parks_when_it_comes() {
    for db in databases().await {
        let mut world = connected(db).await;
        world.keeper = Arc::new(world.patient_replica());
        world.pass(20);
        let other = Faults { user: Some("mallory".into()), ..Faults::default() }.on_refresh();
        world.faults(Faults { userinfo_delay_ms: Some(3_000), ..other });
        world.pass(4_000);
        let begun = Instant::now();
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(2_900), "{:?}", begun.elapsed());
        assert_eq!(token.generation.0, 2);
        let late = async {
            while world.state().await != PARKED {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), late).await.unwrap();
        assert!(world.token(BEST_EFFORT).await.is_err(), "{}", world.db.name);
    }
}

#[tokio::test]
async fn a_probe_that_names_another_account_parks_too() {
    for db in databases().await {
        let world = connected(db).await;
        world.consent_of("bob", Flow::parse("second").unwrap()).await;
        // As if alice's token had become bob's at the provider.
        world
            .db
            .sql(
                "UPDATE connection SET account_fingerprint = (SELECT account_fingerprint FROM connection \
                 WHERE flow = 'second') WHERE flow = 'default'",
            )
            .await;
        let before = calls(&world);
        let refused = world.token(rejecting(Generation(1))).await.unwrap_err();
        let expected =
            matches!(refused, Error::ReauthorizationRequired { reason: Reason::AccountChanged, .. });
        assert!(expected, "{}: {refused:?}", world.db.name);
        assert_eq!((world.refreshes(), calls(&world) - before), (0, 1));
        assert_eq!(world.state().await, PARKED);
    }
}

#[tokio::test]
async fn a_refresh_that_lands_on_a_parked_account_does_not_lift_it() {
    for db in databases().await {
        let world = connected(db).await;
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(400), userinfo_status: Some(500), ..Faults::default() });
        let (refused, ()) = tokio::join!(world.token(BEST_EFFORT), async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            world.db.sql("UPDATE token_set SET other_account = TRUE").await;
            let park = "UPDATE connection SET state = 'reauthorization_required', reason = 'account_changed'";
            world.db.sql(park).await;
        });
        assert!(matches!(refused.unwrap_err(), Error::ReauthorizationRequired { .. }));
        assert_eq!(world.state().await, PARKED);
        assert_eq!(world.db.count("connection WHERE generation = 2 AND lease_id IS NULL").await, 1, "stored");
        assert_eq!(world.db.count("token_set WHERE generation = 2 AND other_account = TRUE").await, 1);
    }
}

/// Mallory's token comes while the database is away; these faults are the provider's beside.
async fn spooled_of_mallory(world: &World, faults: Faults) -> Result<HandedToken, Error> {
    world.pass(4_000);
    let faults = Faults { user: Some("mallory".into()), slow_head_ms: Some(400), ..faults };
    world.faults(faults.on_refresh());
    let (keeper, job) = (Arc::clone(&world.keeper), world.job());
    let caller = tokio::spawn(async move { keeper.retrieve_token(&job, None, BEST_EFFORT).await });
    while world.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    world.db.sql("ALTER TABLE token_set RENAME TO token_set_gone").await;
    caller.await.unwrap()
}

#[tokio::test]
async fn what_the_next_process_stores_from_the_spool_is_compared() {
    for db in databases().await {
        let world = connected(db).await;
        // The process that got the answer did not learn whose it is.
        let silent = Faults { userinfo_status: Some(500), ..Faults::default() };
        assert_eq!(spooled_of_mallory(&world, silent).await.unwrap().generation.0, 2, "{}", world.db.name);
        world.db.sql("ALTER TABLE token_set_gone RENAME TO token_set").await;
        world.faults(Faults::default());
        let next = world.replica();
        assert_eq!(next.replay_spool().await.unwrap(), 1);
        assert_eq!(world.state().await, PARKED, "before anybody asks");
        let refused = next.retrieve_token(&world.job(), None, BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::ReauthorizationRequired { reason: Reason::AccountChanged, .. }));
        assert_eq!(world.refreshes(), 1);
    }
}

#[tokio::test]
async fn a_token_of_another_account_does_not_leave_from_the_spool() {
    for db in databases().await {
        let world = connected(db).await;
        let refused = spooled_of_mallory(&world, Faults::default()).await;
        assert!(matches!(refused, Err(Error::Store(_))), "{}: {refused:?}", world.db.name);
        world.db.sql("ALTER TABLE token_set_gone RENAME TO token_set").await;
        assert_eq!(world.keeper.replay_spool().await.unwrap(), 1);
        let parked = async {
            while world.state().await != PARKED {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), parked).await.unwrap();
        assert!(world.token(BEST_EFFORT).await.is_err());
    }
}
