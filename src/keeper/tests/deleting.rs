//! What is left of a connection that was deleted?

use super::*;

#[tokio::test]
async fn a_deleted_connection_is_revoked_at_the_provider_and_a_new_consent_goes_on_counting() {
    on_each(async |world| {
        let deletion = world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        assert_eq!(deletion.revocation, RevocationResult::Revoked);
        let gone = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(gone, Error::ConnectionNotFound { .. }));
        assert_eq!(world.provider().ledger().clients["client"].revocations, 2, "refresh and access token");
        assert_eq!(world.consent("alice", Flow::default()).await.0, 2);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn a_revocation_that_failed_is_done_later_and_the_tokens_are_forgotten() {
    on_each(async |world| {
        world.faults(Faults { revocation_status: Some(503), ..Faults::default() });
        let deletion = world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        assert_eq!(deletion.revocation, RevocationResult::Failed);
        assert_eq!(world.keeper.revoke_leftovers().await.unwrap(), 0);
        world.faults(Faults::default());
        assert_eq!(world.keeper.revoke_leftovers().await.unwrap(), 1);
        assert_eq!(world.db.count("token_set WHERE sealed_access IS NOT NULL").await, 0);
        assert_eq!(world.keeper.revoke_leftovers().await.unwrap(), 0, "nothing is left");
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_still_to_be_revoked_becomes_nobody_elses() {
    on_each(async |world| {
        let grant = world.grant("carol").await;
        world.import(grant.clone(), true).await.unwrap();
        world.faults(Faults { revocation_status: Some(503), ..Faults::default() });
        world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        let kind = AdoptionKind::Import { replace: false, expires_at: None };
        let held = world.adopt(&world.keeper, grant, Flow::parse("other").unwrap(), kind).await.unwrap_err();
        assert!(matches!(held, Error::DuplicateGrant), "{held:?}");
    })
    .await;
}

#[tokio::test]
async fn an_apps_deletion_tries_what_earlier_ones_left_alive_and_tells_what_it_leaves() {
    on_each(async |world| {
        world.faults(Faults { revocation_status: Some(503), ..Faults::default() });
        world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        world.consent("bob", Flow::parse("second").unwrap()).await;
        let delete_all = async |limit| -> Vec<String> {
            let left = world.keeper.delete_all(&world.root(), &world.app, limit).await.unwrap();
            left.into_iter().map(|left| format!("{}/{}", left.connector, left.flow)).collect()
        };
        let both = ["sandbox/default", "sandbox/second"];
        assert_eq!(delete_all(Duration::from_secs(10)).await, both, "the provider is down");
        world.faults(Faults::default());
        assert_eq!(delete_all(Duration::ZERO).await, both, "no time was left for it");
        assert!(delete_all(Duration::from_secs(10)).await.is_empty());
        assert_eq!(world.db.count("token_set WHERE sealed_access IS NOT NULL").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_that_lands_after_the_deletion_is_revoked_too() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { slow_head_ms: Some(400), ..Faults::default() }.on_refresh());
        let (_, deletion) = tokio::join!(world.token(BEST_EFFORT), async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            world.keeper.delete(&world.root(), &world.app, &world.connector, None).await
        });
        deletion.unwrap();
        world.keeper.drain(Duration::from_secs(5)).await;
        assert_eq!(world.db.count("token_set WHERE revoke_pending = TRUE").await, 1);
        assert_eq!(world.keeper.revoke_leftovers().await.unwrap(), 1);
        assert!(matches!(world.token(BEST_EFFORT).await.unwrap_err(), Error::ConnectionNotFound { .. }));
    })
    .await;
}

#[tokio::test]
async fn once_the_process_ends_no_further_leftover_is_revoked() {
    on_each(async |world| {
        world.more(2).await;
        world.faults(Faults { revocation_status: Some(503), ..Faults::default() });
        let limit = Duration::from_secs(10);
        assert_eq!(world.keeper.delete_all(&world.root(), &world.app, limit).await.unwrap().len(), 3);
        world.faults(Faults::default());
        world.keeper.drain(Duration::ZERO).await;
        assert_eq!(world.keeper.revoke_leftovers().await.unwrap(), 1, "the one it is at");
        assert_eq!(world.replica().revoke_leftovers().await.unwrap(), 2, "the next process does the others");
    })
    .await;
}
