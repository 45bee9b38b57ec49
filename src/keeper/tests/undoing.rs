//! What can be undone, and what is forgotten in the end?

use super::*;

async fn access(world: &World) -> String {
    text(&world.token(BEST_EFFORT).await.unwrap().access_token)
}

#[tokio::test]
async fn undo_of_a_reconnect_brings_back_the_account_that_was_replaced() {
    for db in databases().await {
        let world = World::new(db, "sandbox", Profile::standard()).await;
        world.consent_of("alice", Flow::default()).await;
        let first = access(&world).await;
        world.consent_of("bob", Flow::default()).await;
        let second = access(&world).await;
        assert_ne!(first, second);
        assert_eq!(world.generations().await, [(2, true, false, false), (1, false, false, true)]);

        let now = world.restore(1).await.unwrap();
        assert_eq!((now.state.as_str(), now.generation.0), ("active", 3), "{}", world.db.name);
        assert!(now.account.unwrap().starts_with("alice"));
        assert_eq!(access(&world).await, first);
        let kept = [(3, true, false, false), (2, false, false, true), (1, false, true, false)];
        assert_eq!(world.generations().await, kept, "the token lives in the copy alone");
        assert!(matches!(world.restore(1).await.unwrap_err(), Error::AlreadySpent));
        assert_eq!(world.restore(3).await.unwrap().generation.0, 3, "it is current already");

        world.pass(DUE);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 4);
        let back = world.restore(2).await.unwrap();
        assert!(back.account.unwrap().starts_with("bob"));
        world.pass(60);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 6, "bob's token is refreshed, too");
        let ledger = world.provider().ledger();
        assert!(ledger.refresh_tokens.iter().all(|entry| entry.presentations.len() <= 1));
        let actor = world.root().principal().actor().to_string();
        let audited = format!("audit_event WHERE action = 'connection.restore' AND actor = '{actor}'");
        assert_eq!(world.db.count(&audited).await, 2);
    }
}

#[tokio::test]
async fn what_was_sent_is_not_restored_and_what_is_not_kept_is_not_found() {
    on_each(async |world| {
        world.pass(DUE);
        world.token(BEST_EFFORT).await.unwrap();
        assert_eq!(world.generations().await, [(2, true, false, false), (1, false, true, false)]);
        assert!(matches!(world.restore(1).await.unwrap_err(), Error::AlreadySpent));
        assert!(matches!(world.restore(7).await.unwrap_err(), Error::GenerationNotFound));
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
        world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        assert!(matches!(world.restore(1).await.unwrap_err(), Error::ConnectionNotFound { .. }));
        world.consent("alice", Flow::default()).await;
        assert!(
            matches!(world.restore(1).await.unwrap_err(), Error::AlreadySpent),
            "deleted with the connection"
        );
        assert_eq!(world.db.count("audit_event WHERE action = 'connection.restore'").await, 0);
    })
    .await;
}

#[tokio::test]
async fn without_rotation_any_kept_set_is_restored() {
    let profile = || Profile::Standard(Standard { rotation: Rotation::None, ..Standard::default() });
    with_profile(profile, "sandbox", async |world| {
        world.faults(Faults { omit_refresh_token: true, ..Faults::default() }.on_refresh());
        let first = access(&world).await;
        world.pass(3_400);
        world.token(at_least(1_000)).await.unwrap();
        assert_eq!(world.restore(1).await.unwrap().generation.0, 3);
        assert_eq!(access(&world).await, first);
    })
    .await;
}

#[tokio::test]
async fn an_undo_in_the_middle_of_a_refresh_stays_and_the_late_answer_is_kept() {
    on_each(async |world| {
        world.consent("bob", Flow::default()).await;
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(400), ..Faults::default() }.on_refresh().times(1));
        let (waiter, undone) = tokio::join!(world.token(BEST_EFFORT), async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            world.restore(1).await
        });
        assert_eq!(undone.unwrap().generation.0, 3);
        assert!(waiter.unwrap().generation.0 >= 4, "whoever waited gets a token of the restored set");
        world.keeper.drain(Duration::from_secs(5)).await;
        let kept = world.generations().await;
        let late: Vec<_> = kept.iter().filter(|set| set.3).collect();
        assert_eq!(late.len(), 1, "the answer of bob's refresh, and not what was sent: {kept:?}");
        let before = late[0].0;
        let world = World { keeper: Arc::new(world.replica()), ..world };
        let restored = world.restore(before).await.unwrap();
        world.pass(4_000);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, restored.generation.0 + 1);
        let ledger = world.provider().ledger();
        assert!(ledger.refresh_tokens.iter().all(|entry| entry.presentations.len() <= 1));
    })
    .await;
}

#[tokio::test]
async fn a_consent_that_was_judged_before_an_undo_is_not_stored() {
    on_each(async |world| {
        world.consent("bob", Flow::default()).await;
        let judged = AdoptionKind::Consent(world.judged(&Flow::default()).await);
        world.restore(1).await.unwrap();
        let grant = world.grant("carol").await;
        let refused = world.adopt(&world.keeper, grant, Flow::default(), judged).await;
        assert!(matches!(refused, Err(Error::ConnectionChanged)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_set_whose_token_another_connection_took_over_is_not_restored() {
    on_each(async |world| {
        let grant = world.grant("carol").await;
        world.import(grant.clone(), true).await.unwrap();
        world.consent("bob", Flow::default()).await;
        let other = Flow::parse("other").unwrap();
        let kind = AdoptionKind::Import { replace: false, expires_at: None };
        world.adopt(&world.keeper, grant, other, kind).await.unwrap();
        assert!(matches!(world.restore(2).await.unwrap_err(), Error::DuplicateGrant));
    })
    .await;
}

#[tokio::test]
async fn a_token_that_another_connection_has_spent_is_neither_restored_nor_imported() {
    on_each(async |world| {
        let grant = world.grant("carol").await;
        world.import(grant.clone(), true).await.unwrap();
        world.consent("bob", Flow::default()).await;
        let [other, third] = ["other", "third"].map(|name| Flow::parse(name).unwrap());
        let kind = AdoptionKind::Import { replace: false, expires_at: None };
        world.adopt(&world.keeper, grant.clone(), other.clone(), kind).await.unwrap();
        let refresh = async |generation| {
            let (root, place) = (world.root(), (&world.app, &world.connector));
            let status =
                world.keeper.renew(&root, place, Some(&other), Generation(generation)).await.unwrap();
            assert_eq!((status.state.as_str(), status.generation.0), ("active", generation + 1));
        };
        refresh(1).await;
        let spent = world.restore(2).await.unwrap_err();
        assert!(matches!(spent, Error::AlreadySpent), "{}: {spent:?}", world.db.name);
        let spent = world.adopt(&world.keeper, grant, third, kind).await.unwrap_err();
        assert!(matches!(spent, Error::AlreadySpent), "{spent:?}");
        refresh(2).await;
        let ledger = world.provider().ledger();
        assert!(ledger.refresh_tokens.iter().all(|entry| entry.presentations.len() <= 1));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_restored_while_the_connectors_hosts_are_not_confirmed() {
    on_each(async |world| {
        world.consent("bob", Flow::default()).await;
        let store = world.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn().park_connections(&world.connector).await.unwrap();
        tx.commit().await.unwrap();
        let refused = world.restore(1).await.unwrap_err();
        assert!(matches!(refused, Error::Misconfigured { .. }), "{refused:?}");
        assert_eq!(world.state().await, ("misconfigured", None));
    })
    .await;
}

#[tokio::test]
async fn a_set_that_does_not_open_is_noted_and_changes_nothing() {
    on_each(async |world| {
        world.consent("bob", Flow::default()).await;
        world.db.sql("UPDATE token_set SET sealed_refresh = sealed_access WHERE generation = 1").await;
        assert!(matches!(world.restore(1).await.unwrap_err(), Error::Unreadable(_)));
        assert_eq!(world.db.count("audit_event WHERE action = 'secret.unreadable'").await, 1);
        assert_eq!(world.generations().await, [(2, true, false, false), (1, false, false, true)]);
    })
    .await;
}

#[tokio::test]
async fn superseded_sets_are_forgotten_after_seven_days_and_no_other() {
    on_each(async |world| {
        world.consent("bob", Flow::default()).await;
        world.pass(6 * 86_400);
        assert_eq!(world.keeper.forget_superseded().await.unwrap(), 0);
        world.token(BEST_EFFORT).await.unwrap();
        world.pass(86_400 + 60);
        assert_eq!(world.keeper.forget_superseded().await.unwrap(), 1, "{}", world.db.name);
        assert_eq!(world.generations().await, [(3, true, false, false), (2, false, true, false)]);
        assert!(matches!(world.restore(1).await.unwrap_err(), Error::GenerationNotFound));
        let empty = "token_set WHERE generation = 1 AND sealed_access IS NULL AND sealed_refresh IS NULL \
                     AND refresh_fingerprint IS NOT NULL";
        assert_eq!(world.db.count(empty).await, 1);
        assert_eq!(world.db.count("adoption").await, 1, "what came with the first consent is gone too");
        assert_eq!(world.db.count("adoption JOIN connection ON adopted_set_id = adoption.id").await, 1);
        world.pass(20 * 86_400);
        assert_eq!(world.keeper.forget_superseded().await.unwrap(), 1);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 4, "the current set still opens");
    })
    .await;
}

#[tokio::test]
async fn what_is_still_to_be_revoked_is_not_forgotten_and_many_replicas_forget_at_once() {
    on_each(async |world| {
        for user in ["bob", "carol", "dave"] {
            world.consent(user, Flow::default()).await;
        }
        world.db.sql("UPDATE token_set SET revoke_pending = TRUE WHERE generation = 1").await;
        world.pass(8 * 86_400);
        let (one, two) = (world.replica(), world.replica());
        let done =
            tokio::join!(world.keeper.forget_superseded(), one.forget_superseded(), two.forget_superseded());
        assert_eq!(done.0.unwrap() + done.1.unwrap() + done.2.unwrap(), 2, "{}", world.db.name);
        assert_eq!(world.db.count("token_set WHERE sealed_access IS NOT NULL").await, 2);
        assert_eq!(world.db.count("adoption").await, 2, "of the current set, and of what is still kept");
    })
    .await;
}

#[tokio::test]
async fn token_sets_are_out_of_reach_of_another_apps_rows() {
    on_each(async |world| {
        world.add_app("globex").await;
        let held = world.keeper.core.find(&world.app, &world.connector, None).await.unwrap().held;
        let (id, set) = (held.connection.id, held.connection.token_set.unwrap().id);
        world.db.sql("UPDATE token_set SET revoke_pending = TRUE").await;
        let store = world.db.store();
        let globex = AppId::parse("globex").unwrap();
        let tx = store.begin().await.unwrap();
        let theirs = tx.conn().app(&globex);
        assert!(theirs.list_kept(id, None, 10).await.unwrap().is_empty());
        assert!(theirs.find_kept(id, Generation(1)).await.unwrap().is_none());
        assert!(theirs.list_revoke_pending(id).await.unwrap().is_empty());
        theirs.clear_revoke_pending(set).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(world.db.count("token_set WHERE revoke_pending = TRUE").await, 1);
        let ours = store.conn();
        assert_eq!(ours.app(&world.app).list_kept(id, None, 10).await.unwrap().len(), 1);
        assert_eq!(ours.app(&world.app).list_revoke_pending(id).await.unwrap().len(), 1);
    })
    .await;
}
