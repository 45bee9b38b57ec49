//! Which consents and imports become a connection?

use super::*;

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
