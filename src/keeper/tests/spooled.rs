//! What becomes of an answer that the database does not take?

use super::*;
use crate::model::secret::Secret;
use crate::spool::{Entry, Kind};

/// The database takes no token sets, and gives none.
const GONE: &str = "ALTER TABLE token_set RENAME TO token_set_gone";
const BACK: &str = "ALTER TABLE token_set_gone RENAME TO token_set";

/// An expired token is asked for, and the database goes while the provider's answer is on its way.
async fn lose_the_database(world: &World) -> HandedToken {
    lose_the_database_under(world, &Flow::default()).await
}

async fn lose_the_database_under(world: &World, flow: &Flow) -> HandedToken {
    world.pass(4_000);
    let before = world.refreshes();
    world.faults(Faults { slow_head_ms: Some(400), ..Faults::default() });
    let (keeper, job, flow) = (Arc::clone(&world.keeper), world.job(), flow.clone());
    let caller = tokio::spawn(async move { keeper.retrieve_token(&job, Some(&flow), BEST_EFFORT).await });
    while world.refreshes() == before {
        tokio::task::yield_now().await;
    }
    world.db.sql(GONE).await;
    let token = caller.await.unwrap().unwrap();
    world.faults(Faults::default());
    token
}

fn waiting(world: &World) -> Vec<Entry> {
    world.db.spool().entries(Kind::Answer).unwrap()
}

#[tokio::test]
async fn an_answer_that_the_database_does_not_take_reaches_its_callers_and_is_stored_once_it_is_back() {
    on_each(async |world| {
        let given = lose_the_database(&world).await;
        assert_eq!((given.generation.0, given.refreshed, given.degraded), (2, true, None));
        assert!((3_590..=3_600).contains(&given.expires_in.unwrap()));
        assert_eq!((waiting(&world).len(), world.keeper.spooled()), (1, 1));
        assert!(matches!(world.token(BEST_EFFORT).await, Err(Error::Store(_))), "nobody else gets it");
        assert!(world.keeper.replay_spool().await.is_err(), "still away");
        world.db.sql(BACK).await;
        assert_eq!(world.keeper.replay_spool().await.unwrap(), 1);
        let stored = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!((stored.generation.0, text(&stored.access_token)), (2, text(&given.access_token)));
        assert_eq!((world.refreshes(), waiting(&world), world.keeper.spooled()), (1, vec![], 0));
        assert_eq!(world.db.count("audit_event WHERE action = 'token.refresh' AND result = 'ok'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_claimed_for_a_connection_before_its_spooled_answer_is_stored() {
    on_each(async |world| {
        let given = lose_the_database(&world).await;
        world.db.sql(BACK).await;
        // Past every hold-off: without the spool the spent token would be sent again.
        world.pass(200);
        let next = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!((next.generation.0, text(&next.access_token)), (2, text(&given.access_token)));
        assert_eq!((world.refreshes(), waiting(&world)), (1, vec![]));
    })
    .await;
}

#[tokio::test]
async fn what_a_process_left_in_the_spool_is_stored_by_the_next_one_and_only_once() {
    on_each(async |world| {
        let given = lose_the_database(&world).await;
        world.db.sql(BACK).await;
        let next = world.replica();
        assert_eq!(next.replay_spool().await.unwrap(), 1);
        assert_eq!(world.keeper.replay_spool().await.unwrap(), 0);
        assert_eq!(world.keeper.spooled(), 0, "it is no longer waited for");
        let stored = next.retrieve_token(&world.job(), None, BEST_EFFORT).await.unwrap();
        assert_eq!(text(&stored.access_token), text(&given.access_token));
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_account_that_was_connected_again_meanwhile_stays() {
    on_each(async |world| {
        let given = lose_the_database(&world).await;
        world.db.sql(BACK).await;
        world.consent("bob", Flow::default()).await;
        assert_eq!(world.keeper.replay_spool().await.unwrap(), 1);
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_ne!(text(&token.access_token), text(&given.access_token));
        assert_eq!(world.db.count("token_set").await, 3, "the late answer is kept beside it");
        assert_eq!(world.db.count("audit_event WHERE result = 'superseded'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_reported_and_the_next_one_is_stored() {
    on_each(async |world| {
        let given = lose_the_database(&world).await;
        world.db.sql(BACK).await;
        let [good] = waiting(&world)[..] else { panic!("one answer waits") };
        let bytes = std::fs::read(world.db.spool().dir().join(good.to_string())).unwrap();
        // Another file's content, garbage, and nothing at all: all older than the good one.
        for (n, frame) in [&bytes[4..], b"garbage", b""].into_iter().enumerate() {
            let id = uuid::Uuid::from_u128(u128::try_from(n).unwrap());
            world.db.spool().put(Entry { kind: Kind::Answer, id }, frame).unwrap();
        }
        assert_eq!(world.keeper.replay_spool().await.unwrap(), 1);
        assert_eq!((waiting(&world), world.db.spool().count_set_aside().unwrap()), (vec![], 3));
        assert_eq!(world.db.count("audit_event WHERE action = 'secret.unreadable'").await, 3);
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!(text(&token.access_token), text(&given.access_token));
    })
    .await;
}

#[tokio::test]
async fn no_token_can_be_read_in_the_spool() {
    on_each(async |world| {
        let given: Secret = lose_the_database(&world).await.access_token;
        let [entry] = waiting(&world)[..] else { panic!("one answer waits") };
        let bytes = std::fs::read(world.db.spool().dir().join(entry.to_string())).unwrap();
        let written = String::from_utf8_lossy(&bytes);
        assert!(!written.contains(&text(&given)) && !written.contains("acme"), "{written}");
    })
    .await;
}

#[tokio::test]
async fn where_neither_takes_an_answer_it_is_kept_in_memory_until_one_does() {
    on_each(async |world| {
        // A file where the spool's directory would be.
        std::fs::write(world.db.spool().dir(), "in the way").unwrap();
        world.pass(4_000);
        world.faults(Faults { slow_head_ms: Some(400), ..Faults::default() });
        let (keeper, job) = (Arc::clone(&world.keeper), world.job());
        let mut caller = tokio::spawn(async move { keeper.retrieve_token(&job, None, BEST_EFFORT).await });
        while world.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        world.db.sql(GONE).await;
        let waits = tokio::time::timeout(Duration::from_secs(1), &mut caller).await;
        assert!(waits.is_err(), "nobody gets what is in neither");
        world.db.sql(BACK).await;
        let token = caller.await.unwrap().unwrap();
        assert_eq!((token.generation.0, world.refreshes()), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn after_a_start_all_that_waits_is_known_and_one_that_cannot_be_stored_stops_no_other() {
    on_each(async |world| {
        let second = world.more(1).await.remove(0);
        lose_the_database(&world).await;
        world.db.sql(BACK).await;
        let given = lose_the_database_under(&world, &second).await;
        let next = world.replica();
        assert!(next.replay_spool().await.is_err(), "away");
        assert_eq!(next.spooled(), 2, "nothing is claimed for either");
        world.db.sql(BACK).await;
        // The database is an older one: it does not know the first connection.
        world.db.sql("UPDATE connection SET token_set_id = NULL WHERE flow = 'default'").await;
        let first = "(SELECT id FROM connection WHERE flow = 'default')";
        for table in ["token_set", "adoption"] {
            world.db.sql(&format!("DELETE FROM {table} WHERE connection_id = {first}")).await;
        }
        world.db.sql("DELETE FROM connection WHERE flow = 'default'").await;
        assert_eq!(next.replay_spool().await.unwrap(), 1);
        assert_eq!((next.spooled(), waiting(&world).len()), (1, 1), "the other one waits");
        let stored = next.retrieve_token(&world.job(), Some(&second), BEST_EFFORT).await.unwrap();
        assert_eq!((text(&stored.access_token), world.refreshes()), (text(&given.access_token), 2));
    })
    .await;
}

#[tokio::test]
async fn while_an_answer_does_not_come_out_of_the_spool_callers_are_told_at_once() {
    on_each(async |world| {
        lose_the_database(&world).await;
        world.db.sql(BACK).await;
        world.pass(200);
        let [entry] = waiting(&world)[..] else { panic!("one answer waits") };
        // As if another process still wrote it.
        let file = std::fs::File::open(world.db.spool().dir().join(entry.to_string())).unwrap();
        file.try_lock().unwrap();
        let patient = Lifetime { wait: Duration::from_secs(2), ..BEST_EFFORT };
        let refused = world.token(patient).await.unwrap_err();
        assert!(matches!(refused, Error::Store(_)), "{refused:?}");
        drop(file);
        assert_eq!(world.token(patient).await.unwrap().generation.0, 2);
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_answer_for_which_the_database_takes_too_long_is_in_the_spool_meanwhile() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { slow_head_ms: Some(400), ..Faults::default() });
        let store = world.db.store();
        let (given, ()) = tokio::join!(world.token(BEST_EFFORT), async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            let tx = store.begin().await.unwrap();
            world.db.lock(&tx, "token_set").await;
            while world.keeper.spooled() == 0 {
                tokio::task::yield_now().await;
            }
            drop(tx);
        });
        assert_eq!(given.unwrap().generation.0, 2, "{}", world.db.name);
        world.keeper.replay_spool().await.unwrap();
        assert_eq!((world.keeper.spooled(), waiting(&world)), (0, vec![]), "{}", world.db.name);
        assert_eq!((world.token(BEST_EFFORT).await.unwrap().generation.0, world.refreshes()), (2, 1));
    })
    .await;
}
