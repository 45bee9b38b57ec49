//! What does a provider that fails or refuses do to a connection?

use super::*;

#[tokio::test]
async fn a_refused_grant_is_parked_after_one_call_and_its_living_token_is_still_served() {
    on_each(async |world| {
        world.provider().revoke_grants_of("alice");
        let token = world.token(at_least(3_000)).await.unwrap();
        assert_eq!(token.degraded, None);
        world.pass(DUE);
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!(token.degraded.unwrap().code, DegradedCode::ReauthorizationRequired);
        assert_eq!(token.guaranteed_until, None);
        assert_eq!(world.state().await, ("reauthorization_required", Some("revoked")));
        let refused = world.token(at_least(60)).await.unwrap_err();
        assert!(matches!(refused, Error::ReauthorizationRequired { reason: Reason::Revoked, .. }));
        world.pass(60);
        for _ in 0..3 {
            let refused = world.token(BEST_EFFORT).await.unwrap_err();
            assert!(matches!(refused, Error::ReauthorizationRequired { .. }));
        }
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_dies_while_its_record_waits_is_given_to_nobody() {
    for db in databases().await {
        let world = Arc::new(World::connected(db, "sandbox", Profile::standard()).await);
        let replica = world.replica_whose_records_wait(1_000);
        world.pass(1_000);
        let job = world.job();
        assert!(replica.retrieve_token(&job, None, BEST_EFFORT).await.is_ok(), "it still lives afterwards");
        let refused = replica.retrieve_token(&job, None, BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::RefreshInProgress { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_provider_that_is_down_leaves_the_living_token_and_backs_off() {
    on_each(async |world| {
        world.faults(Faults::before(Trouble::RateLimited { retry_after_s: 120 }));
        world.pass(DUE);
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!(token.degraded.unwrap().code, DegradedCode::ProviderUnavailable);
        let refused = world.token(at_least(600)).await.unwrap_err();
        let Error::ProviderUnavailable { retry_after, current_expires_in } = refused else {
            panic!("{refused:?}")
        };
        assert!((100..=121).contains(&retry_after) && current_expires_in.unwrap() > 20);
        assert_eq!(world.refreshes(), 1);
        world.faults(Faults::default());
        world.pass(130);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn an_answer_lost_on_the_way_bars_the_resend_and_ends_as_lost_rotation() {
    on_each(async |world| {
        world.faults(Faults::after(Trouble::Reset).times(1));
        world.pass(4_000);
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::RefreshInProgress { .. }), "{refused:?}");
        world.pass(100);
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::RefreshInProgress { .. }), "{refused:?}");
        assert_eq!(world.refreshes(), 1, "no resend within the hold-off");
        world.pass(30);
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        let Error::ReauthorizationRequired { reason, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(reason, Reason::LostRotation);
        assert_eq!(world.refreshes(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_request_lost_before_it_was_processed_is_repeated_after_the_hold_off() {
    on_each(async |world| {
        world.faults(Faults::before(Trouble::Status(500)).times(1));
        world.pass(4_000);
        assert!(matches!(world.token(BEST_EFFORT).await.unwrap_err(), Error::RefreshInProgress { .. }));
        world.pass(121);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_does_not_rotate_is_asked_again_soon_and_keeps_its_refresh_token() {
    let profile = || Profile::Standard(Standard { rotation: Rotation::None, ..Standard::default() });
    with_profile(profile, "sandbox", async |world| {
        world.faults(Faults { omit_refresh_token: true, ..Faults::default() }.on_refresh());
        for generation in 2..=3 {
            world.pass(DUE);
            assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, generation);
        }
        world.faults(Faults::before(Trouble::Status(503)).times(1));
        world.pass(4_000);
        assert!(matches!(world.token(BEST_EFFORT).await.unwrap_err(), Error::ProviderUnavailable { .. }));
        world.pass(3);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 4);
    })
    .await;
}

#[tokio::test]
async fn a_200_with_an_error_body_is_a_refusal() {
    on_each(async |world| {
        world.faults(Faults::before(Trouble::error_with_200("bad_refresh_token")));
        world.pass(4_000);
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::ReauthorizationRequired { .. }), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_refused_client_parks_until_its_credentials_change() {
    on_each(async |world| {
        world.faults(Faults::before(Trouble::invalid_client()));
        world.pass(4_000);
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        let Error::Misconfigured { provider_error } = refused else { panic!("{refused:?}") };
        assert_eq!(provider_error, "invalid_client");
        assert!(world.token(BEST_EFFORT).await.is_err());
        assert_eq!((world.refreshes(), world.state().await), (1, ("misconfigured", None)));
    })
    .await;
}

#[tokio::test]
async fn a_provider_whose_lives_get_shorter_is_not_asked_again_and_again() {
    on_each(async |world| {
        world.faults(Faults { lifetime_s: Some(1_800), ..Faults::default() });
        world.pass(1_000);
        let refused = world.token(at_least(3_000)).await.unwrap_err();
        assert!(matches!(refused, Error::TtlUnsatisfiable { max_ttl: 1_700.. }), "{refused:?}");
        assert_eq!(world.refreshes(), 1);
    })
    .await;
}

/// What is refused while the database takes nothing is remembered: it is not asked again after the hold-off.
#[tokio::test]
async fn a_refusal_that_the_database_does_not_take_is_recorded_once_it_does() {
    on_each(async |world| {
        world.pass(4_000);
        world.provider().revoke_grants_of("alice");
        // The record of its outcome is in the same transaction.
        world.db.sql("ALTER TABLE audit_event RENAME TO audit_event_away").await;
        world.token(BEST_EFFORT).await.unwrap_err();
        assert_eq!((world.refreshes(), world.keeper.unrecorded_refusals()), (1, 1), "{}", world.db.name);
        assert!(world.keeper.record_refusals().await.is_err());
        world.db.sql("ALTER TABLE audit_event_away RENAME TO audit_event").await;
        assert_eq!(world.keeper.record_refusals().await.unwrap(), 1);
        assert_eq!(
            (world.state().await, world.keeper.unrecorded_refusals()),
            (("reauthorization_required", Some("revoked")), 0)
        );
        world.pass(4_000);
        world.token(BEST_EFFORT).await.unwrap_err();
        assert_eq!(world.refreshes(), 1, "nothing is sent again");
        let audited = "audit_event WHERE action = 'token.refresh' AND result = 'reauthorization_required'";
        assert_eq!(world.db.count(audited).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_strict_token_that_lives_ten_more_minutes_is_served_though_its_refresh_was_lost() {
    with_profile(Profile::github_app, "github-app", async |world| {
        world.faults(Faults::after(Trouble::Reset));
        world.pass(28_800 - 600);
        let refused = world.token(at_least(700)).await.unwrap_err();
        assert!(
            matches!(refused, Error::RefreshInProgress { current_expires_in: Some(590..=600), .. }),
            "{refused:?}"
        );
        for left in [590, 470, 350] {
            let token = world.token(BEST_EFFORT).await.unwrap();
            assert_eq!((token.generation.0, token.refreshed), (1, false), "{left}");
            assert!(token.expires_in.unwrap() > left, "{left}: {token:?}");
            world.pass(120);
        }
        assert_eq!(world.provider().ledger().refresh_tokens[0].presented, 1, "no second send while it lives");
    })
    .await;
}

#[tokio::test]
async fn a_process_that_has_just_started_sends_nothing_again_before_fifteen_seconds() {
    on_each(async |world| {
        world.faults(Faults::before(Trouble::Status(500)).times(1));
        world.pass(4_000);
        world.token(BEST_EFFORT).await.unwrap_err();
        world.pass(121);
        let fresh = world.replica();
        let job = world.job();
        let ask = || fresh.retrieve_token(&job, None, BEST_EFFORT);
        // Whoever answers it may still be storing what it got.
        let refused = ask().await.unwrap_err();
        assert!(matches!(refused, Error::RefreshInProgress { retry_after: 15, .. }), "{refused:?}");
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
        world.pass(16);
        assert_eq!((ask().await.unwrap().generation.0, world.refreshes()), (2, 2), "{}", world.db.name);
    })
    .await;
}
