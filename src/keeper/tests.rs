//! The keeper against the sandbox provider, on both databases. The provider's ledger tells what was spent.

mod world;

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use super::*;
use crate::keeper::tests::world::{BEST_EFFORT, World, at_least, rejecting, text};
use crate::model::connection::{DegradedCode, Reason};
use crate::sandbox::{Faults, Outcome, Profile, Rotation, Standard, Trouble};
use crate::store::testing::{TestDatabase, databases};

/// Seconds after which the hour-long token of the sandbox is due.
const DUE: i64 = 3_600 - 30;

/// Runs `test` on a fresh database of each kind, with an account connected at the standard profile.
async fn on_each<F: AsyncFn(World)>(test: F) {
    for db in databases().await {
        test(World::connected(db, "sandbox", Profile::standard()).await).await;
    }
}

async fn with_profile<F: AsyncFn(World)>(profile: impl Fn() -> Profile, connector: &str, test: F) {
    for db in databases().await {
        test(World::connected(db, connector, profile()).await).await;
    }
}

#[tokio::test]
async fn a_fresh_token_is_served_without_asking_the_provider() {
    on_each(async |world| {
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!((token.generation.0, token.refreshed, token.degraded), (1, false, None));
        assert!((3_590..=3_600).contains(&token.expires_in.unwrap()));
        let promised = token.expires_at.unwrap() - token.guaranteed_until.unwrap();
        assert_eq!(promised.whole_seconds(), 30);
        assert_eq!(world.refreshes(), 0);
        assert_eq!(world.db.count("audit_event WHERE action = 'token.hand_out'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn fifty_callers_of_one_expired_token_spend_one_refresh_token() {
    on_each(async |world| {
        world.pass(4_000);
        let callers = (0..50).map(|_| world.token(BEST_EFFORT));
        let tokens: Vec<String> =
            join_all(callers).await.into_iter().map(|token| text(&token.unwrap().access_token)).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn two_processes_on_one_database_spend_one_refresh_token() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let other = world.replica();
        let job = world.job();
        let here = (0..10).map(|_| world.token(BEST_EFFORT));
        let there = (0..10).map(|_| other.retrieve_token(&job, None, BEST_EFFORT));
        let (here, there) = tokio::join!(join_all(here), join_all(there));
        let tokens: Vec<String> =
            here.into_iter().chain(there).map(|token| text(&token.unwrap().access_token)).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn a_process_that_has_just_started_waits_for_the_refresh_of_another() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let starting = world.replica();
        let job = world.job();
        let (here, there) = tokio::join!(world.token(BEST_EFFORT), async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            starting.retrieve_token(&job, None, BEST_EFFORT).await
        });
        assert_eq!(text(&here.unwrap().access_token), text(&there.unwrap().access_token));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
    })
    .await;
}

#[tokio::test]
async fn five_rotations_in_a_row_work() {
    on_each(async |world| {
        for generation in 2..=6 {
            world.pass(DUE);
            let token = world.token(BEST_EFFORT).await.unwrap();
            assert_eq!((token.generation.0, token.refreshed), (generation, true));
        }
        let ledger = world.provider().ledger();
        let spent: Vec<usize> = ledger.refresh_tokens.iter().map(|entry| entry.presentations.len()).collect();
        assert_eq!(spent.iter().sum::<usize>(), 5);
        assert!(spent.iter().all(|times| *times <= 1), "{spent:?}");
    })
    .await;
}

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
async fn a_caller_that_hangs_up_cancels_nothing() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(200), ..Faults::default() });
        let impatient = Lifetime { wait: Duration::from_millis(20), ..BEST_EFFORT };
        assert!(matches!(world.token(impatient).await.unwrap_err(), Error::RefreshInProgress { .. }));
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert_eq!((token.generation.0, world.refreshes()), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_consent_in_the_middle_of_a_refresh_stays() {
    on_each(async |world| {
        for fault in
            [Faults::default(), Faults { before: Some(Trouble::invalid_grant()), ..Faults::default() }]
        {
            world.pass(4_000);
            world.faults(Faults { delay_ms: Some(400), ..fault }.on_refresh());
            let (old, consent) = tokio::join!(world.token(BEST_EFFORT), async {
                while world.refreshes() == 0 {
                    tokio::task::yield_now().await;
                }
                world.consent("alice", Flow::default()).await
            });
            // Whoever waited decides again and gets the new grant.
            assert_eq!(old.unwrap().generation, consent, "{}", world.db.name);
            world.faults(Faults::default());
            assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation, consent);
            assert_eq!(world.state().await, ("active", None));
        }
    })
    .await;
}

#[tokio::test]
async fn a_fresh_token_is_read_beside_a_slow_refresh_of_its_neighbour() {
    on_each(async |world| {
        world.pass(3_000);
        world.consent("bob", Flow::parse("second").unwrap()).await;
        world.pass(1_000);
        world.faults(Faults { delay_ms: Some(1_500), ..Faults::default() });
        let second = Flow::parse("second").unwrap();
        let job = world.job();
        let fast = async {
            while world.refreshes() == 0 {
                tokio::task::yield_now().await;
            }
            let begun = Instant::now();
            let token = world.keeper.retrieve_token(&job, Some(&second), BEST_EFFORT).await.unwrap();
            (begun.elapsed(), token.generation.0)
        };
        let first = Flow::default();
        let slow = world.keeper.retrieve_token(&job, Some(&first), BEST_EFFORT);
        let (slow, (took, generation)) = tokio::join!(slow, fast);
        assert_eq!((slow.unwrap().generation.0, generation), (2, 1));
        assert!(took < Duration::from_millis(500), "{took:?}");
    })
    .await;
}

#[tokio::test]
async fn a_token_of_ten_minutes_is_not_refreshed_on_every_read() {
    let profile = || Profile::Standard(Standard { lifetime_s: 600, ..Standard::default() });
    with_profile(profile, "sandbox", async |world| {
        for _ in 0..4 {
            world.pass(100);
            world.token(BEST_EFFORT).await.unwrap();
        }
        assert_eq!(world.refreshes(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_no_token_can_give_costs_no_call() {
    on_each(async |world| {
        let refused = world.token(at_least(3_500)).await;
        assert!(refused.is_ok(), "the token in hand gives it");
        world.pass(100);
        let refused = world.token(at_least(3_500)).await.unwrap_err();
        assert!(matches!(refused, Error::TtlUnsatisfiable { max_ttl: 3_240 }), "{refused:?}");
        assert_eq!(world.refreshes(), 0);
        let token = world.token(at_least(3_200)).await;
        assert_eq!(token.unwrap().generation.0, 1);
        world.pass(300);
        assert_eq!(world.token(at_least(3_200)).await.unwrap().generation.0, 2);
    })
    .await;
}

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
async fn github_app_tokens_rotate_and_are_not_refreshed_before_the_last_fifth() {
    with_profile(Profile::github_app, "github-app", async |world| {
        let life = 28_800;
        world.pass(life / 2);
        let refused = world.token(at_least(20_000)).await.unwrap_err();
        assert!(matches!(refused, Error::TtlUnsatisfiable { .. }), "{refused:?}");
        assert_eq!(world.refreshes(), 0);
        for generation in 2..=6 {
            world.pass(life - 30);
            assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, generation);
        }
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
async fn an_import_is_refused_where_it_would_make_two_owners() {
    on_each(async |world| {
        let grant = world.grant("carol").await;
        let exists = world.import(grant.clone(), false).await.unwrap_err();
        assert!(matches!(exists, Error::AlreadyExists));
        let generation = world.import(grant.clone(), true).await.unwrap();
        assert_eq!(generation.0, 2);
        assert_eq!(
            world.import(grant.clone(), true).await.unwrap(),
            generation,
            "the same token changes nothing"
        );
        let kind = AdoptionKind::Import { replace: false, expires_at: None };
        let flow = Flow::parse("other").unwrap();
        let twice = world.adopt(&world.keeper, grant.clone(), flow, kind).await.unwrap_err();
        assert!(matches!(twice, Error::DuplicateGrant));
        world.pass(4_000);
        world.token(BEST_EFFORT).await.unwrap();
        let spent = world.import(grant, true).await.unwrap_err();
        assert!(matches!(spent, Error::AlreadySpent), "{spent:?}");
    })
    .await;
}

#[tokio::test]
async fn a_consent_that_was_judged_before_another_one_is_not_stored() {
    on_each(async |world| {
        let flow = Flow::default();
        let judged = AdoptionKind::Consent(world.judged(&flow).await);
        // A refresh replaces the set, not what anybody was shown.
        world.pass(4_000);
        world.token(BEST_EFFORT).await.unwrap();
        let grant = world.grant("alice").await;
        let stored = world.adopt(&world.keeper, grant, flow.clone(), judged).await.unwrap();
        assert_eq!(stored.0, 3);
        // The judgement is of the set before.
        let grant = world.grant("alice").await;
        let refused = world.adopt(&world.keeper, grant, flow.clone(), judged).await;
        assert!(matches!(refused, Err(Error::ConnectionChanged)), "{refused:?}");
        // So is one of before an import or a deletion.
        let before = AdoptionKind::Consent(world.judged(&flow).await);
        world.import(world.grant("bob").await, true).await.unwrap();
        let after = AdoptionKind::Consent(world.judged(&flow).await);
        world.keeper.delete(&world.root(), &world.app, &world.connector, None).await.unwrap();
        for judged in [before, after] {
            let grant = world.grant("alice").await;
            let refused = world.adopt(&world.keeper, grant, flow.clone(), judged).await;
            assert!(matches!(refused, Err(Error::ConnectionChanged)), "{refused:?}");
        }
        assert_eq!(world.consent("alice", flow).await.0, 5);
    })
    .await;
}

#[tokio::test]
async fn of_two_first_consents_at_once_one_is_stored() {
    on_each(async |world| {
        let flow = Flow::parse("other").unwrap();
        let judged = AdoptionKind::Consent(world.judged(&flow).await);
        let (one, two) = (world.grant("alice").await, world.grant("bob").await);
        let (one, two) = tokio::join!(
            world.adopt(&world.keeper, one, flow.clone(), judged),
            world.adopt(&world.keeper, two, flow.clone(), judged)
        );
        let (stored, refused) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(stored.unwrap().0, 1);
        assert!(matches!(refused, Err(Error::ConnectionChanged)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_consent_in_an_app_that_was_disabled_or_deleted_is_not_stored() {
    on_each(async |world| {
        let flow = Flow::default();
        let judged = AdoptionKind::Consent(world.judged(&flow).await);
        world.db.sql("UPDATE app SET state = 'disabled'").await;
        let refused = world.adopt(&world.keeper, world.grant("alice").await, flow.clone(), judged).await;
        assert!(matches!(refused, Err(Error::AppDisabled)), "{refused:?}");
        world.db.sql("UPDATE app SET state = 'deleted', deleted_at = 1").await;
        let refused = world.adopt(&world.keeper, world.grant("alice").await, flow, judged).await;
        assert!(matches!(refused, Err(Error::AppNotFound)), "{refused:?}");
        assert_eq!(
            world.db.texts("SELECT state FROM token_set JOIN connection c ON c.id = connection_id").await,
            ["active"]
        );
    })
    .await;
}

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

#[tokio::test]
async fn who_waits_for_nothing_still_lets_a_refresh_begin() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let hurried = Lifetime { wait: Duration::ZERO, ..BEST_EFFORT };
        assert!(matches!(world.token(hurried).await.unwrap_err(), Error::RefreshInProgress { .. }));
        world.keeper.drain(Duration::from_secs(5)).await;
        assert_eq!(world.token(hurried).await.unwrap().generation.0, 2);
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

#[tokio::test]
async fn ciphertexts_swapped_between_tenants_do_not_open_and_the_rest_serves() {
    for db in databases().await {
        let world = World::connected(db, "sandbox", Profile::standard()).await;
        world.add_app("globex").await;
        let theirs = World { app: AppId::parse("globex").unwrap(), ..world };
        theirs.consent("mallory", Flow::default()).await;
        swap(&theirs.db).await;
        let refused = theirs.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::Unreadable(_)), "{refused:?}");
        assert!(theirs.db.count("audit_event WHERE action = 'secret.unreadable'").await >= 1);
        let app = AppId::parse("acme").unwrap();
        let world = World { app, ..theirs };
        assert!(world.token(BEST_EFFORT).await.is_ok(), "acme's own token still opens");
    }
}

/// Acme's sealed access token, with its key id, put into globex's row.
async fn swap(db: &TestDatabase) {
    db.sql(
        "UPDATE token_set SET (sealed_access, key_id) = (SELECT t.sealed_access, t.key_id FROM token_set t \
         JOIN connection c ON c.token_set_id = t.id WHERE c.app = 'acme') \
         WHERE id = (SELECT token_set_id FROM connection WHERE app = 'globex')",
    )
    .await;
}

#[tokio::test]
async fn several_connections_are_told_apart_by_flow() {
    on_each(async |world| {
        let second = Flow::parse("second").unwrap();
        world.consent("bob", second.clone()).await;
        let job = world.job();
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().flow, Flow::default());
        world
            .keeper
            .delete(&world.root(), &world.app, &world.connector, Some(&Flow::default()))
            .await
            .unwrap();
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().flow, second);
        world.consent("carol", Flow::parse("third").unwrap()).await;
        let Error::Ambiguous { flows } = world.token(BEST_EFFORT).await.unwrap_err() else { panic!() };
        assert_eq!(flows.len(), 2);
        assert!(world.keeper.retrieve_token(&job, Some(&second), BEST_EFFORT).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn without_its_audit_record_no_token_leaves() {
    on_each(async |world| {
        world.db.sql("ALTER TABLE audit_event RENAME TO gone").await;
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::Audit(_)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn an_ended_flight_leaves_no_lease_and_draining_lets_it_land() {
    on_each(async |world| {
        world.pass(4_000);
        world.faults(Faults { delay_ms: Some(200), ..Faults::default() });
        let world = Arc::new(world);
        let impatient = Lifetime { wait: Duration::from_millis(20), ..BEST_EFFORT };
        assert!(world.token(impatient).await.is_err());
        world.keeper.drain(Duration::from_secs(5)).await;
        assert_eq!(world.db.count("connection WHERE lease_id IS NULL AND generation = 2").await, 1);
        let outcomes: Vec<Outcome> = world
            .provider()
            .ledger()
            .refresh_tokens
            .iter()
            .flat_map(|entry| entry.presentations.iter().map(|seen| seen.outcome))
            .collect();
        assert_eq!(outcomes, [Outcome::Rotated]);
    })
    .await;
}
