//! Is a refresh token spent once, whoever asks and whatever runs beside it?

use super::*;
use crate::store::leases::Attempt;

#[tokio::test]
async fn fifty_callers_of_one_expired_token_spend_one_refresh_token() {
    on_each(async |world| {
        world.pass(4_000);
        let callers = (0..50).map(|_| world.token(BEST_EFFORT));
        let tokens: Vec<String> =
            join_all(callers).await.into_iter().map(|token| text(&token.unwrap().access_token)).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn two_processes_on_one_database_spend_one_refresh_token() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let other = world.replica();
        let job = world.job();
        let here = (0..10).map(|_| world.token(BEST_EFFORT));
        let there = (0..10).map(|_| other.retrieve_token(&job, None, BEST_EFFORT));
        let (here, there) = tokio::join!(join_all(here), join_all(there));
        let tokens: Vec<String> =
            here.into_iter().chain(there).map(|token| text(&token.unwrap().access_token)).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn a_process_that_has_just_started_waits_for_the_refresh_of_another() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let starting = world.replica();
        let job = world.job();
        let (here, there) = tokio::join!(world.token(BEST_EFFORT), async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            starting.retrieve_token(&job, None, BEST_EFFORT).await
        });
        assert_eq!(text(&here.unwrap().access_token), text(&there.unwrap().access_token));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
    })
    .await;
}

/// Claims as a process does that dies before it sends.
async fn claim_and_die(world: &World, strict: bool) {
    let store = world.db.store();
    let found = store.conn().app(&world.app).look_up(&world.connector, None).await.unwrap();
    let connection = &found.rows[0].connection;
    let seen = connection.token_set.as_ref().unwrap().id;
    let attempt = Attempt { connection: connection.id, seen, lease: world.db.id() };
    let tx = store.begin().await.unwrap();
    tx.conn().app(&world.app).claim(attempt, 30_000_000, strict).await.unwrap().unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn the_claim_of_a_process_that_died_is_taken_over_when_it_has_lapsed() {
    let lasting = || Profile::Standard(Standard { rotation: Rotation::None, ..Standard::default() });
    with_profile(lasting, "sandbox", async |world| {
        world.pass(4_000);
        claim_and_die(&world, false).await;
        let hurried = Lifetime { wait: Duration::ZERO, ..BEST_EFFORT };
        assert!(matches!(world.token(hurried).await.unwrap_err(), Error::RefreshInProgress { .. }));
        world.pass(31);
        assert_eq!((world.token(BEST_EFFORT).await.unwrap().generation.0, world.refreshes()), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn the_claim_on_a_rotating_token_is_taken_over_after_the_hold_off() {
    on_each(async |world| {
        world.pass(4_000);
        claim_and_die(&world, true).await;
        world.pass(31);
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::RefreshInProgress { unknown_until: Some(_), .. }), "{refused:?}");
        assert_eq!(world.refreshes(), 0, "it may have been sent");
        world.pass(90);
        assert_eq!((world.token(BEST_EFFORT).await.unwrap().generation.0, world.refreshes()), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn five_rotations_in_a_row_work() {
    on_each(async |world| {
        for generation in 2..=6 {
            world.pass(DUE);
            let token = world.token(BEST_EFFORT).await.unwrap();
            assert_eq!((token.generation.0, token.refreshed), (generation, true));
        }
        let ledger = world.provider().ledger();
        let spent: Vec<usize> = ledger.refresh_tokens.iter().map(|entry| entry.presentations.len()).collect();
        assert_eq!(spent.iter().sum::<usize>(), 5);
        assert!(spent.iter().all(|times| *times <= 1), "{spent:?}");
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_nothing() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(200), ..Faults::default() });
        let impatient = Lifetime { wait: Duration::from_millis(20), ..BEST_EFFORT };
        assert!(matches!(world.token(impatient).await.unwrap_err(), Error::RefreshInProgress { .. }));
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!((token.generation.0, world.refreshes()), (2, 1));
    })
    .await;
}

/// A refresh ends in each way there is, while `renew` brings another grant.
async fn is_renewed_in_the_middle_of_a_refresh(renew: impl AsyncFn(&World) -> Generation) {
    on_each(async |world| {
        for fault in [
            Faults::default(),
            Faults::before(Trouble::invalid_grant()),
            Faults::before(Trouble::invalid_client()),
            Faults::before(Trouble::Status(503)),
            Faults::after(Trouble::Reset),
        ] {
            world.pass(4_000);
            let (sent, told) = (world.refreshes(), format!("{} {fault:?}", world.db.name));
            world.faults(Faults { delay_ms: Some(400), ..fault }.on_refresh());
            let (old, renewed) = tokio::join!(world.token(BEST_EFFORT), async {
                while world.refreshes() == sent {
                    tokio::task::yield_now().await;
                }
                renew(&world).await
            });
            // Whoever waited decides again and gets the new grant.
            assert_eq!(old.expect(&told).generation, renewed, "{told}");
            world.faults(Faults::default());
            assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation, renewed, "{told}");
            assert_eq!((world.state().await, world.refreshes()), (("active", None), sent + 1), "{told}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_consent_in_the_middle_of_a_refresh_stays() {
    is_renewed_in_the_middle_of_a_refresh(async |world| world.consent("alice", Flow::default()).await).await;
}

#[tokio::test]
async fn an_import_in_the_middle_of_a_refresh_stays() {
    is_renewed_in_the_middle_of_a_refresh(async |world| {
        let grant = world.grant("alice").await;
        let expires_at = Some(world.db.clock().now() + Duration::from_secs(3_600));
        let kind = AdoptionKind::Import { replace: true, expires_at };
        world.adopt(&world.keeper, grant, Flow::default(), kind).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn github_app_tokens_rotate_and_are_not_refreshed_before_the_last_fifth() {
    with_profile(Profile::github_app, "github-app", async |world| {
        let life = 28_800;
        world.pass(life / 2);
        let refused = world.token(at_least(20_000)).await.unwrap_err();
        assert!(matches!(refused, Error::TtlUnsatisfiable { .. }), "{refused:?}");
        assert_eq!(world.refreshes(), 0);
        for generation in 2..=6 {
            world.pass(life - 30);
            assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, generation);
        }
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_nothing_still_lets_a_refresh_begin() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let hurried = Lifetime { wait: Duration::ZERO, ..BEST_EFFORT };
        assert!(matches!(world.token(hurried).await.unwrap_err(), Error::RefreshInProgress { .. }));
        world.is_asked().await;
        world.keeper.drain(Duration::from_secs(5)).await;
        assert_eq!(world.token(hurried).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn an_ended_flight_leaves_no_lease_and_draining_lets_it_land() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(200), ..Faults::default() });
        let world = Arc::new(world);
        let impatient = Lifetime { wait: Duration::from_millis(20), ..BEST_EFFORT };
        assert!(world.token(impatient).await.is_err());
        world.is_asked().await;
        world.keeper.drain(Duration::from_secs(5)).await;
        assert_eq!(world.db.count("connection WHERE lease_id IS NULL AND generation = 2").await, 1);
        let outcomes: Vec<Outcome> = world
            .provider()
            .ledger()
            .refresh_tokens
            .iter()
            .flat_map(|entry| entry.presentations.iter().map(|seen| seen.outcome))
            .collect();
        assert_eq!(outcomes, [Outcome::Rotated]);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_that_waits_for_its_turn_sends_nothing_once_the_process_ends() {
    on_each(async |world| {
        let queued = world.more(1).await.remove(0);
        world.pass(4_000);
        world.faults(Faults { slow_head_ms: Some(500), ..Faults::default() });
        // One turn for the provider.
        let keeper = world.replica_with(|settings| settings.concurrency = 4);
        let (job, first) = (world.job(), Flow::default());
        let (sent, waits, ()) = tokio::join!(
            keeper.retrieve_token(&job, Some(&first), BEST_EFFORT),
            async {
                world.is_asked().await;
                keeper.retrieve_token(&job, Some(&queued), BEST_EFFORT).await
            },
            async {
                while keeper.flights.under_way() < 2 {
                    tokio::task::yield_now().await;
                }
                keeper.drain(Duration::from_secs(5)).await;
            }
        );
        assert_eq!(sent.unwrap().generation.0, 2, "what was sent has landed");
        assert!(matches!(waits, Err(Error::Overloaded)), "{waits:?}");
        assert_eq!(world.refreshes(), 1);
        assert_eq!(world.db.count("connection WHERE sends > 0 OR lease_id IS NOT NULL").await, 0);
    })
    .await;
}
