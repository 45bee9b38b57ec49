//! What becomes of a token that the API refused?

use super::*;

#[tokio::test]
async fn rejected_of_an_old_generation_costs_nothing_and_of_the_current_one_asks_first() {
    on_each(async |world| {
        world.pass(DUE);
        let current = world.token(BEST_EFFORT).await.unwrap().generation;
        let token = world.token(rejecting(Generation(1))).await.unwrap();
        assert_eq!((token.generation, world.refreshes()), (current, 1));
        let token = world.token(rejecting(current)).await.unwrap();
        assert_eq!(token.degraded.unwrap().code, DegradedCode::RejectionNotConfirmed);
        assert_eq!(world.refreshes(), 1, "the provider says that the token works");
    })
    .await;
}

#[tokio::test]
async fn a_looping_job_cannot_burn_the_provider() {
    on_each(async |world| {
        for _ in 0..3 {
            world.token(rejecting(Generation(1))).await.unwrap();
        }
        let calls = world.provider().ledger().clients["client"].api_calls;
        for _ in 0..5 {
            let token = world.token(rejecting(Generation(1))).await.unwrap();
            assert_eq!(token.degraded.unwrap().code, DegradedCode::RejectionThrottled);
        }
        assert_eq!(world.provider().ledger().clients["client"].api_calls, calls);
    })
    .await;
}

#[tokio::test]
async fn a_token_without_refresh_that_the_api_refuses_needs_a_new_consent() {
    with_profile(Profile::aircall, "aircall", async |world| {
        let token = world.token(at_least(86_400)).await.unwrap();
        assert_eq!((token.expires_at, token.guaranteed_until, token.expires_in), (None, None, None));
        world.provider().revoke_grants_of("alice");
        let refused = world.token(rejecting(Generation(1))).await.unwrap_err();
        assert!(
            matches!(refused, Error::ReauthorizationRequired { reason: Reason::Rejected, .. }),
            "{refused:?}"
        );
        assert!(world.token(BEST_EFFORT).await.is_err(), "a rejected token is never served");
        assert_eq!(world.state().await, ("reauthorization_required", Some("rejected")));
    })
    .await;
}

#[tokio::test]
async fn a_throttled_rejection_never_hands_out_a_dead_token() {
    on_each(async |world| {
        for _ in 0..3 {
            world.token(rejecting(Generation(1))).await.unwrap();
        }
        world.pass(4_000);
        let token = world.token(rejecting(Generation(1))).await.unwrap();
        assert_eq!((token.generation.0, token.refreshed), (2, true));
    })
    .await;
}

#[tokio::test]
async fn a_confirmed_rejection_whose_refresh_fails_is_an_error_not_the_same_token() {
    with_profile(Profile::github_app, "github-app", async |world| {
        world.provider().revoke_grants_of("alice");
        world.faults(Faults::before(Trouble::Status(500)));
        let refused = world.token(rejecting(Generation(1))).await.unwrap_err();
        assert!(matches!(refused, Error::ProviderUnavailable { .. }), "{refused:?}");
    })
    .await;
}
