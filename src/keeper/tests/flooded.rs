//! What becomes of callers when more come than may wait?

use super::*;

/// Of eight callers of an expired token, those who were told at once.
async fn turned_away(world: &World, keeper: &SecretsKeeper) -> usize {
    let job = world.job();
    let answers = join_all((0..8).map(|_| keeper.retrieve_token(&job, None, BEST_EFFORT))).await;
    let (given, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(given.iter().flatten().all(|token| token.generation.0 == 2), "{given:?}");
    assert!(refused.iter().all(|answer| matches!(answer, Err(Error::Overloaded))), "{refused:?}");
    refused.len()
}

#[tokio::test]
async fn beyond_those_who_may_wait_for_a_connection_callers_are_told_at_once() {
    on_each(async |world| {
        let keeper = world.replica_with(|settings| settings.waiters_per_connection = 3);
        world.pass(4_000);
        world.faults(Faults { slow_head_ms: Some(1_000), ..Faults::default() });
        assert_eq!((turned_away(&world, &keeper).await, world.refreshes()), (5, 1));
        assert_eq!(turned_away(&world, &keeper).await, 0, "whoever waited has made room");
    })
    .await;
}

#[tokio::test]
async fn beyond_those_who_may_wait_in_the_process_callers_are_told_at_once() {
    on_each(async |world| {
        let keeper = world.replica_with(|settings| settings.waiters = 2);
        world.pass(4_000);
        world.faults(Faults { slow_head_ms: Some(1_000), ..Faults::default() });
        assert_eq!((turned_away(&world, &keeper).await, world.refreshes()), (6, 1));
        assert_eq!(turned_away(&world, &keeper).await, 0, "whoever waited has made room");
    })
    .await;
}

#[tokio::test]
async fn who_needs_no_refresh_is_served_though_nobody_may_wait() {
    on_each(async |world| {
        let keeper = world.replica_with(|settings| settings.waiters = 0);
        let job = world.job();
        world.pass(DUE);
        let token = keeper.retrieve_token(&job, None, BEST_EFFORT).await.unwrap();
        assert_eq!(token.generation.0, 1, "the living one");
        let refused = keeper.retrieve_token(&job, None, at_least(1_800)).await;
        assert!(matches!(refused, Err(Error::Overloaded)), "{refused:?}");
        assert_eq!(world.refreshes(), 0);
    })
    .await;
}
