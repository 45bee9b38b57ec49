//! What is told when a connection breaks, recovers or is deleted?

use super::*;

/// What nobody was told of yet.
async fn untold(world: &World) -> Vec<String> {
    world
        .db
        .texts("SELECT before || ' ' || state || ' ' || COALESCE(reason, '') FROM outbox ORDER BY id")
        .await
}

#[tokio::test]
async fn a_change_of_state_is_told_once_and_only_changes_are() {
    on_each(async |world| {
        assert_eq!(world.keeper.tell_changes().await.unwrap(), 0, "a new connection is no change");
        world.pass(DUE);
        world.token(BEST_EFFORT).await.unwrap();
        assert_eq!(untold(&world).await, [""; 0], "nor is a refresh");
        world.provider().revoke_grants_of("alice");
        world.pass(4_000);
        for _ in 0..2 {
            world.token(BEST_EFFORT).await.unwrap_err();
        }
        assert_eq!(untold(&world).await, ["active reauthorization_required revoked"]);
        let replica = world.replica();
        let told = tokio::join!(world.keeper.tell_changes(), replica.tell_changes());
        assert_eq!(told.0.unwrap() + told.1.unwrap(), 1, "{}: by one replica", world.db.name);
        world.consent("alice", Flow::default()).await;
        assert_eq!(untold(&world).await, ["reauthorization_required active "]);
        world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        assert_eq!(untold(&world).await.last().unwrap(), "active revoked ");
        assert_eq!((world.keeper.tell_changes().await.unwrap(), untold(&world).await), (2, vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_row_that_was_made_unreadable_by_sql_hides_and_stops_no_other() {
    on_each(async |world| {
        world.more(1).await;
        world.db.sql("UPDATE connection SET state = 'bogus' WHERE flow = 'more-0'").await;
        world
            .keeper
            .delete(&world.root(), &world.app, &world.connector, Some(&Flow::default()))
            .await
            .unwrap();
        assert_eq!(world.keeper.tell_changes().await.unwrap(), 2, "{}", world.db.name);
        assert_eq!(untold(&world).await, [""; 0]);
        let last = Flow::parse("last").unwrap();
        world.consent("zoe", last).await;
        for (limit, seen) in [(10, &["default", "last"][..]), (2, &["default", "last"]), (1, &["default"])] {
            let filter = ListFilter { limit, ..ListFilter::default() };
            let listed = world.keeper.list(&world.root(), &filter).await.unwrap();
            assert_eq!(listed.iter().map(|row| row.flow.as_str()).collect::<Vec<_>>(), seen, "{limit}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_whose_telling_was_interrupted_is_told_again() {
    on_each(async |world| {
        world.faults(Faults::before(Trouble::invalid_client()));
        world.pass(4_000);
        world.token(BEST_EFFORT).await.unwrap_err();
        let store = world.db.store();
        let tx = store.begin().await.unwrap();
        let taken = tx.conn().take_changes(10).await.unwrap().changes;
        assert_eq!(
            (taken.len(), taken[0].before.as_str(), taken[0].state),
            (1, "active", State::Misconfigured)
        );
        drop(tx);
        // PostgreSQL is told of the end a moment later; until then the row is another one's.
        let told = async {
            loop {
                match world.keeper.tell_changes().await.unwrap() {
                    0 => tokio::task::yield_now().await,
                    told => break told,
                }
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is told");
        assert_eq!(told, 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn an_outbox_that_was_flooded_is_emptied_in_one_round() {
    on_each(async |world| {
        world.db.sql("UPDATE connection SET state = 'misconfigured'").await;
        for _ in 0..11 {
            world
                .db
                .sql(
                    "INSERT INTO outbox (at, app, connector, flow, before, state, reason) \
                     SELECT at, app, connector, flow, before, state, reason FROM outbox",
                )
                .await;
        }
        assert_eq!(world.db.count("outbox").await, 2_048);
        assert_eq!(world.keeper.tell_changes().await.unwrap(), 2_048, "{}", world.db.name);
        assert_eq!(world.db.count("outbox").await, 0, "{}", world.db.name);
    })
    .await;
}
