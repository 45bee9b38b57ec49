//! What does an admin get who wants a newer token now?

use super::*;

async fn renew(world: &World, generation: i64) -> Result<Status, Error> {
    let place = (&world.app, &world.connector);
    world.keeper.renew(&world.root(), place, None, Generation(generation)).await
}

#[tokio::test]
async fn a_refresh_on_demand_happens_once_for_a_generation() {
    on_each(async |world| {
        let now = renew(&world, 1).await.unwrap();
        assert_eq!((now.state.as_str(), now.generation.0, world.refreshes()), ("active", 2, 1));
        let again = renew(&world, 1).await.unwrap();
        assert_eq!((again.generation.0, world.refreshes()), (2, 1), "another generation is current");
        let actor = world.root().principal().actor().to_string();
        let audited = format!("audit_event WHERE action = 'connection.refresh' AND actor = '{actor}'");
        assert_eq!(world.db.count(&audited).await, 1);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn many_at_once_on_two_replicas_spend_one_refresh_token() {
    on_each(async |world| {
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let (other, root, place) = (world.replica(), world.root(), (&world.app, &world.connector));
        let here = (0..5).map(|_| renew(&world, 1));
        let there = (0..5).map(|_| other.renew(&root, place, None, Generation(1)));
        let (here, there) = tokio::join!(join_all(here), join_all(there));
        let reached = here.into_iter().chain(there).map(|now| now.unwrap().generation.0);
        assert!(reached.into_iter().all(|generation| generation == 2));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn back_off_and_hold_off_are_waited_for() {
    on_each(async |world| {
        world.faults(Faults::before(Trouble::RateLimited { retry_after_s: 120 }).times(1));
        for _ in 0..2 {
            let refused = renew(&world, 1).await.unwrap_err();
            assert!(matches!(refused, Error::ProviderUnavailable { retry_after: 100.., .. }), "{refused:?}");
        }
        assert_eq!(world.refreshes(), 1);
        world.pass(130);
        world.faults(Faults::after(Trouble::Reset).times(1));
        for _ in 0..2 {
            let refused = renew(&world, 1).await.unwrap_err();
            assert!(matches!(refused, Error::RefreshInProgress { .. }), "{refused:?}");
        }
        assert_eq!(world.refreshes(), 2, "no resend within the hold-off");
    })
    .await;
}

#[tokio::test]
async fn a_parked_connection_is_not_called() {
    on_each(async |world| {
        world.provider().revoke_grants_of("alice");
        for _ in 0..2 {
            let refused = renew(&world, 1).await.unwrap_err();
            assert!(matches!(refused, Error::ReauthorizationRequired { reason: Reason::Revoked, .. }));
        }
        assert_eq!(world.refreshes(), 1);
        world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        assert!(matches!(renew(&world, 1).await.unwrap_err(), Error::ConnectionNotFound { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_token_that_others_were_promised_is_not_killed() {
    with_profile(Profile::github_app, "github-app", async |world| {
        let refused = renew(&world, 1).await.unwrap_err();
        assert!(matches!(refused, Error::TtlUnsatisfiable { max_ttl: 23_000.. }), "{refused:?}");
        assert_eq!(world.refreshes(), 0);
        world.pass(28_800 * 4 / 5 + 5);
        assert_eq!(renew(&world, 1).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn without_a_refresh_token_there_is_nothing_to_refresh() {
    with_profile(Profile::aircall, "aircall", async |world| {
        assert!(matches!(renew(&world, 1).await.unwrap_err(), Error::NotRefreshable));
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 1);
    })
    .await;
}
