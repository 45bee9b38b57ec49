//! What is left of a claim that the database did not confirm?

use super::*;
use crate::keeper::unknown_claims::UnknownClaim;
use crate::model::token_set::TokenSetId;
use crate::store::leases::Attempt;

/// Makes the statement that claims fail, or only its commit.
async fn bar_claims(world: &World, only_commit: bool) {
    world.db.sql("CREATE TABLE no_row (id INTEGER PRIMARY KEY)").await;
    let deferred = if only_commit { "DEFERRABLE INITIALLY DEFERRED" } else { "" };
    world.db.sql(&format!("CREATE TABLE dangling (id INTEGER REFERENCES no_row (id) {deferred})")).await;
    let insert = "INSERT INTO dangling VALUES (1);";
    if world.db.name == "postgres" {
        let body = format!("BEGIN {insert} RETURN NEW; END");
        world.db.sql(&format!("CREATE FUNCTION bar() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")).await;
        let on = "AFTER UPDATE ON connection FOR EACH ROW WHEN (NEW.lease_id IS NOT NULL)";
        world.db.sql(&format!("CREATE TRIGGER bar {on} EXECUTE FUNCTION bar()")).await;
    } else {
        let on = "AFTER UPDATE ON connection WHEN NEW.lease_id IS NOT NULL";
        world.db.sql(&format!("CREATE TRIGGER bar {on} BEGIN {insert} END")).await;
    }
}

#[tokio::test]
async fn only_a_claim_whose_commit_was_sent_is_to_be_given_back() {
    for only_commit in [false, true] {
        on_each(async |world| {
            world.pass(4_000);
            bar_claims(&world, only_commit).await;
            let refused = world.token(BEST_EFFORT).await.unwrap_err();
            assert!(matches!(refused, Error::Store(_)), "{refused:?}");
            let waiting = world.keeper.unknown_claims();
            assert_eq!((waiting, world.refreshes()), (usize::from(only_commit), 0), "{}", world.db.name);
        })
        .await;
    }
}

#[tokio::test]
async fn a_claim_that_had_been_committed_is_given_back_and_one_that_lands_late_too() {
    on_each(async |world| {
        let held = world.keeper.core.find(&world.app, &world.connector, None).await.unwrap().held;
        let seen: TokenSetId = held.connection.token_set.unwrap().id;
        let attempt = Attempt { connection: held.connection.id, seen, lease: world.db.id() };
        let lease = Duration::from_secs(30);
        world.keeper.core.unknown_claims.add(UnknownClaim::new(&world.app, attempt, lease));
        assert_eq!(world.keeper.give_claims_back().await.unwrap(), 0, "not landed yet");
        let store = world.db.store();
        let tx = store.begin().await.unwrap();
        assert!(tx.conn().app(&world.app).claim(attempt, 30_000_000, true).await.unwrap().is_some());
        tx.commit().await.unwrap();
        assert_eq!(world.keeper.give_claims_back().await.unwrap(), 1);
        assert_eq!(world.keeper.unknown_claims(), 0);
        assert_eq!(world.db.count("connection WHERE sends = 0 AND lease_id IS NULL").await, 1);
    })
    .await;
}

#[tokio::test]
async fn claims_of_unknown_outcome_are_remembered_up_to_a_bound() {
    on_each(async |world| {
        let claims = &world.keeper.core.unknown_claims;
        for _ in 0..1_500 {
            let (connection, lease) = (world.db.id(), world.db.id());
            let attempt = Attempt { connection, seen: TokenSetId(connection), lease };
            claims.add(UnknownClaim::new(&world.app, attempt, Duration::ZERO));
        }
        assert_eq!(world.keeper.unknown_claims(), 1_000);
        assert_eq!((world.keeper.give_claims_back().await.unwrap(), world.keeper.unknown_claims()), (0, 0));
    })
    .await;
}
