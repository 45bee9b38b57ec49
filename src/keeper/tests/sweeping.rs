//! What is refreshed although nobody asks, by whom, and what is left alone?

use super::*;

/// Seconds after which the hour-long token of the sandbox is due in the background, and lives.
const SWEPT: i64 = 3_600 - 300;

/// Everything that is due, to its end; says how many refreshes were begun.
async fn sweep(world: &World) -> usize {
    sweep_of(&world.keeper).await
}

async fn sweep_of(keeper: &Arc<SecretsKeeper>) -> usize {
    let mut sweep = Sweep::new(Arc::clone(keeper));
    let begun = sweep.round().await.unwrap();
    sweep.land().await;
    begun
}

#[tokio::test]
async fn what_is_due_is_refreshed_although_nobody_asks() {
    on_each(async |world| {
        let flows = world.more(3).await;
        assert_eq!(sweep(&world).await, 0, "nothing is due");
        world.pass(SWEPT);
        assert_eq!((sweep(&world).await, world.refreshes()), (4, 4));
        for flow in flows.iter().chain([&Flow::default()]) {
            let token = world.token_of(flow).await.unwrap();
            assert_eq!((token.generation.0, token.refreshed), (2, false));
        }
        assert_eq!((sweep(&world).await, world.refreshes()), (0, 4));
    })
    .await;
}

#[tokio::test]
async fn two_replicas_split_what_is_due_and_each_is_called_for_once() {
    on_each(async |world| {
        world.more(15).await;
        world.pass(SWEPT);
        world.faults(Faults { delay_ms: Some(200), ..Faults::default() });
        // Each has two turns for a provider, and takes on twice as many.
        let replica = || Arc::new(world.replica_with(|settings| settings.concurrency = 8));
        let (one, other) = (replica(), replica());
        let (here, there) = tokio::join!(sweep_of(&one), sweep_of(&other));
        assert!(here >= 4 && there >= 4, "{here} and {there} on {}", world.db.name);
        assert_eq!((here + there, world.refreshes()), (16, 16));
        for keeper in [&one, &other] {
            keeper.replay_spool().await.unwrap();
        }
        assert_eq!(world.db.count("connection WHERE generation = 2").await, 16);
        let ledger = world.provider().ledger();
        assert!(ledger.refresh_tokens.iter().all(|entry| entry.presented <= 1));
    })
    .await;
}

#[tokio::test]
async fn what_another_replica_has_taken_on_is_left_to_it_for_a_minute() {
    on_each(async |world| {
        world.pass(SWEPT);
        let store = world.db.store();
        let tx = store.begin().await.unwrap();
        let taken = tx.conn().take_due(10, &[], time::Duration::minutes(1)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(taken.rows.len(), 1);
        assert_eq!(sweep(&world).await, 0);
        world.pass(61);
        assert_eq!(sweep(&world).await, 1, "it has died");
    })
    .await;
}

#[tokio::test]
async fn a_row_that_was_made_unreadable_by_sql_stops_no_other() {
    on_each(async |world| {
        let flows = world.more(1).await;
        world.db.sql("UPDATE connection SET flow = 'b o' WHERE flow = 'default'").await;
        world.pass(SWEPT);
        assert_eq!((sweep(&world).await, world.refreshes()), (1, 1), "{}", world.db.name);
        assert_eq!(world.token_of(&flows[0]).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn callers_join_the_refresh_that_nobody_asked_for() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let (begun, token) = tokio::join!(sweep(&world), async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            world.token(BEST_EFFORT).await
        });
        assert_eq!((begun, token.unwrap().generation.0, world.refreshes()), (1, 2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_rotating_token_of_unknown_outcome_is_sent_again_unasked_only_once_the_access_token_is_over() {
    on_each(async |world| {
        world.pass(3_050);
        world.faults(Faults::after(Trouble::Reset).times(1));
        assert_eq!(sweep(&world).await, 1);
        world.pass(130);
        assert_eq!((sweep(&world).await, world.refreshes()), (0, 1), "the hold-off is over, the token lives");
        world.pass(500);
        assert_eq!((sweep(&world).await, world.refreshes()), (1, 2));
        assert_eq!(world.state().await, ("reauthorization_required", Some("lost_rotation")));
    })
    .await;
}

#[tokio::test]
async fn one_that_does_not_rotate_is_sent_again_after_a_while() {
    let profile = || Profile::Standard(Standard { rotation: Rotation::None, ..Standard::default() });
    with_profile(profile, "sandbox", async |world| {
        world.faults(Faults { omit_refresh_token: true, ..Faults::default() }.on_refresh());
        world.pass(SWEPT);
        assert_eq!(sweep(&world).await, 1);
        world.pass(3_050);
        world.faults(Faults::before(Trouble::Status(503)).times(1));
        assert_eq!((sweep(&world).await, sweep(&world).await), (1, 0));
        world.pass(70);
        assert_eq!((sweep(&world).await, world.refreshes()), (1, 3));
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 3);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_others_were_promised_is_not_killed_early() {
    with_profile(Profile::github_app, "github-app", async |world| {
        let life = 28_800;
        // By SQL it is due long ago: the promise counts.
        world.db.sql("UPDATE connection SET refresh_due_at = 1").await;
        world.pass(life * 4 / 5 - 60);
        assert_eq!(sweep(&world).await, 0);
        world.pass(life / 10 + 60);
        assert_eq!((sweep(&world).await, world.refreshes()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn disabled_apps_parked_connections_and_limited_credentials_are_not_touched() {
    on_each(async |world| {
        world.pass(SWEPT);
        for (bar, lift) in [
            ("UPDATE app SET state = 'disabled'", "UPDATE app SET state = 'active'"),
            ("UPDATE app SET deleted_at = 1", "UPDATE app SET deleted_at = NULL"),
            (
                "UPDATE connection SET state = 'misconfigured', last_error_code = 'origin_changed'",
                "UPDATE connection SET state = 'active', last_error_code = NULL",
            ),
            ("UPDATE connection SET state = 'revoked'", "UPDATE connection SET state = 'active'"),
        ] {
            world.db.sql(bar).await;
            assert_eq!(sweep(&world).await, 0, "{bar}");
            world.db.sql(lift).await;
        }
        world.faults(Faults::before(Trouble::RateLimited { retry_after_s: 50 }).times(1).on_refresh());
        let flows = world.more(1).await;
        world.pass(4_000);
        assert!(world.token_of(&flows[0]).await.is_err());
        assert_eq!((sweep(&world).await, world.refreshes()), (0, 1), "limited");
        world.pass(51);
        assert_eq!((sweep(&world).await, world.refreshes()), (2, 3));
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_not_tried_for_every_connection() {
    on_each(async |world| {
        world.more(40).await;
        world.pass(SWEPT);
        world.faults(Faults::before(Trouble::Status(503)));
        sweep(&world).await;
        let met = i64::try_from(world.refreshes()).unwrap();
        assert!((5..=22).contains(&met), "a quarter of the turns were under way: {met}");
        world.faults(Faults::default());
        // One finds out that it is back; what was passed over meanwhile comes soon after.
        world.pass(70);
        assert!(sweep(&world).await > 0);
        world.pass(11);
        assert!(sweep(&world).await > 0);
        // A busy machine may take longer to store so many at once than the spool waits for.
        world.keeper.replay_spool().await.unwrap();
        assert_eq!(world.db.count("connection WHERE generation = 2").await, 41 - met, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn what_somebody_has_to_mend_is_looked_at_once_an_hour() {
    on_each(async |world| {
        world.pass(SWEPT);
        world.db.sql("UPDATE connector_credentials SET removed_at = 1").await;
        assert_eq!(sweep(&world).await, 1);
        let told = "connection WHERE state = 'active' AND last_error_code = 'credentials_missing' \
                    AND last_error_at IS NOT NULL";
        assert_eq!(world.db.count(told).await, 1, "{}", world.db.name);
        world.pass(600);
        assert_eq!(sweep(&world).await, 0);
        world.db.sql("UPDATE connector_credentials SET removed_at = NULL").await;
        world.pass(3_600);
        assert_eq!((sweep(&world).await, world.refreshes()), (1, 1));
        assert_eq!(world.db.count("connection WHERE last_error_code IS NULL").await, 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_that_would_die_of_disuse_is_used_before_though_its_access_token_has_no_end() {
    for db in databases().await {
        let world = World::defined(db, "sandbox", Profile::standard(), |definition| {
            definition.refresh.idle_days = Some(40);
            definition.introspection_url = None;
        })
        .await;
        world.faults(Faults { expires_in: Some(crate::sandbox::ExpiresIn::Missing), ..Faults::default() });
        world.consent("alice", Flow::default()).await;
        let day = 86_400;
        world.pass(24 * day);
        assert_eq!(sweep(&world).await, 0);
        let token = world.token(at_least(600)).await.unwrap();
        assert_eq!((token.expires_at, token.generation.0), (None, 1));
        world.pass(7 * day);
        // Whoever asks is not concerned: a token without an end gives whatever is asked.
        assert_eq!(world.token(at_least(600)).await.unwrap().generation.0, 1);
        assert_eq!((sweep(&world).await, world.refreshes()), (1, 1));
        world.pass(24 * day);
        assert_eq!(sweep(&world).await, 0, "used a while ago");
        // The broker was away for too long: the refusal says what happened.
        world.pass(30 * day);
        world.provider().revoke_grants_of("alice");
        assert_eq!(sweep(&world).await, 1);
        assert_eq!(world.state().await, ("reauthorization_required", Some("expired")));
    }
}

#[tokio::test]
async fn the_end_of_a_grant_by_definition_is_told_when_it_comes_and_only_if_it_comes() {
    for db in databases().await {
        let world = World::defined(db, "sandbox", Profile::standard(), |definition| {
            definition.refresh.absolute_days = Some(2);
        })
        .await;
        for user in ["alice", "bob"] {
            world.consent(user, Flow::parse(user).unwrap()).await;
        }
        let known = "connection WHERE refresh_expires_at IS NOT NULL";
        for _ in 0..4 {
            world.pass(DUE);
            assert_eq!(sweep(&world).await, 2);
        }
        assert_eq!(world.db.count(known).await, 2, "refreshes do not put it off");
        world.pass(2 * 86_400);
        world.provider().revoke_grants_of("alice");
        assert_eq!(sweep(&world).await, 2);
        let states =
            world.db.texts("SELECT state || COALESCE(reason, '') FROM connection ORDER BY flow").await;
        assert_eq!(states, ["reauthorization_requiredexpired", "active"], "the definition was wrong for bob");
        assert_eq!(world.db.count(known).await, 1);
        assert_eq!(sweep(&world).await, 0);
    }
}
