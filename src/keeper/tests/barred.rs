//! When is a provider left alone: because it is away, or because it limits our client?

use super::*;

fn is_degraded(token: &HandedToken) -> bool {
    token.degraded.is_some_and(|degraded| degraded.code == DegradedCode::ProviderUnavailable)
}

#[tokio::test]
async fn a_provider_that_fails_five_connections_is_left_alone_for_ten_seconds() {
    on_each(async |world| {
        let flows = world.more(5).await;
        world.pass(DUE);
        world.faults(Faults::before(Trouble::Status(500)));
        for flow in &flows {
            assert!(is_degraded(&world.token_of(flow).await.unwrap()));
        }
        assert_eq!(world.refreshes(), 5);
        // The sixth lives on its token, or learns when to come again; nothing is claimed, nothing sent.
        let token = world.token(BEST_EFFORT).await.unwrap();
        assert!(is_degraded(&token) && token.generation.0 == 1, "{token:?}");
        let refused = world.token(at_least(600)).await.unwrap_err();
        let Error::ProviderUnavailable { retry_after, current_expires_in } = refused else {
            panic!("{refused:?}")
        };
        assert!((1..=11).contains(&retry_after) && current_expires_in.is_some(), "{retry_after}");
        assert_eq!(world.refreshes(), 5);
        assert_eq!(world.db.count("connection WHERE flow = 'default' AND sends = 0").await, 1);
        world.faults(Faults::default());
        world.pass(11);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn after_ten_seconds_one_call_tells_whether_the_provider_is_back() {
    on_each(async |world| {
        let flows = world.more(7).await;
        world.pass(4_000);
        world.faults(Faults::before(Trouble::Reset));
        let failed = join_all(flows.iter().take(5).map(|flow| world.token_of(flow))).await;
        assert!(failed.iter().all(Result::is_err));
        world.pass(11);
        world.faults(Faults { delay_ms: Some(300), ..Faults::default() });
        let (first, second) = tokio::join!(world.token(BEST_EFFORT), async {
            while world.refreshes() == 5 {
                tokio::task::yield_now().await;
            }
            world.token_of(&flows[5]).await
        });
        assert_eq!(first.unwrap().generation.0, 2);
        let refused = second.unwrap_err();
        assert!(matches!(refused, Error::ProviderUnavailable { .. }), "{refused:?}");
        assert_eq!(world.refreshes(), 6);
        assert_eq!(world.token_of(&flows[6]).await.unwrap().generation.0, 2, "it is back");
    })
    .await;
}

#[tokio::test]
async fn refusals_and_limits_do_not_make_a_provider_one_that_is_away() {
    on_each(async |world| {
        let flows = world.more(6).await;
        world.pass(4_000);
        world.faults(Faults::before(Trouble::invalid_grant()));
        for flow in &flows {
            let refused = world.token_of(flow).await.unwrap_err();
            assert!(matches!(refused, Error::ReauthorizationRequired { .. }), "{refused:?}");
        }
        world.faults(Faults::default());
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 2);
    })
    .await;
}

#[tokio::test]
async fn a_limit_on_one_connection_holds_back_all_of_the_same_credentials_on_every_replica() {
    on_each(async |world| {
        let flows = world.more(1).await;
        world.pass(DUE);
        let limited = Trouble::RateLimited { retry_after_s: 20 };
        world.faults(Faults::before(limited).times(1));
        assert!(is_degraded(&world.token(BEST_EFFORT).await.unwrap()));
        let (other, job) = (world.replica(), world.job());
        for keeper in [&*world.keeper, &other] {
            let token = keeper.retrieve_token(&job, Some(&flows[0]), BEST_EFFORT).await.unwrap();
            assert!(is_degraded(&token), "the token in hand");
            let refused = keeper.retrieve_token(&job, Some(&flows[0]), at_least(600)).await.unwrap_err();
            let Error::ProviderUnavailable { retry_after, .. } = refused else { panic!("{refused:?}") };
            assert!((10..=21).contains(&retry_after), "{retry_after}");
        }
        // An import lifts the connection's own back-off, and no more.
        let grant = world.grant("alice").await;
        world.import(grant, true).await.unwrap();
        assert!(is_degraded(&world.token(BEST_EFFORT).await.unwrap()));
        assert_eq!(world.refreshes(), 1, "{}", world.db.name);
        world.pass(21);
        assert_eq!(world.token_of(&flows[0]).await.unwrap().generation.0, 2);
        assert_eq!(world.token(BEST_EFFORT).await.unwrap().generation.0, 3);
    })
    .await;
}

#[tokio::test]
async fn a_limit_holds_back_others_for_a_minute_at_most_whoever_wrote_it() {
    on_each(async |world| {
        let flows = world.more(1).await;
        world.pass(4_000);
        world.faults(Faults::before(Trouble::RateLimited { retry_after_s: 3_000 }).times(1));
        assert!(world.token(BEST_EFFORT).await.is_err());
        assert!(world.token_of(&flows[0]).await.is_err());
        world.pass(61);
        assert_eq!(world.token_of(&flows[0]).await.unwrap().generation.0, 2);
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        assert!(matches!(refused, Error::ProviderUnavailable { .. }), "its own limit lasts: {refused:?}");
        world.db.sql("UPDATE connector_credentials SET held_until = 4102444800000000").await;
        world.pass(4_000);
        assert_eq!(world.token_of(&flows[0]).await.unwrap().generation.0, 3);
    })
    .await;
}

#[tokio::test]
async fn how_often_one_connection_has_failed_holds_back_no_other_of_the_same_credentials() {
    on_each(async |world| {
        let flows = world.more(1).await;
        world.pass(4_000);
        world.db.sql("UPDATE connection SET failures = 9 WHERE flow = 'default'").await;
        world.faults(Faults::before(Trouble::RateLimited { retry_after_s: 2 }).times(1));
        let refused = world.token(BEST_EFFORT).await.unwrap_err();
        let Error::ProviderUnavailable { retry_after, .. } = refused else { panic!("{refused:?}") };
        assert!(retry_after > 60, "its own back-off: {retry_after}");
        assert!(world.token_of(&flows[0]).await.is_err(), "limited");
        world.pass(3);
        assert_eq!(world.token_of(&flows[0]).await.unwrap().generation.0, 2);
    })
    .await;
}
