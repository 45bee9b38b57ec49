//! What becomes of a set that nobody wants?

use super::*;

#[tokio::test]
async fn no_means_that_the_set_is_given_back_and_nothing_else() {
    for db in databases().await {
        let script = vec![tokens("1"), account("u1"), tokens("2"), account("u2"), revoked(), revoked()];
        let world = World::new(db, script).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        let before = world.connections(&ada, "acme").await;
        let id = world.asked(&ada, "acme", "honest", Some("acme")).await;
        world.signup.cancel(&ada, id).await.unwrap();
        let mut given_back = world.revocations();
        given_back.sort();
        assert_eq!(given_back, ["at-2", "rt-2"]);
        assert_eq!(world.connections(&ada, "acme").await, before);
        assert!(matches!(world.signup.confirm(&ada, id).await, Err(Error::NothingPending)));
        assert_eq!(world.audited().await, ["ok", "cancelled", "given_up"]);
    }
}

#[tokio::test]
async fn an_abandoned_set_is_revoked_after_ten_minutes_and_an_adopted_one_never() {
    for db in databases().await {
        let script = vec![tokens("1"), account("u1"), tokens("2"), account("u2"), revoked(), revoked()];
        let world = World::new(db, script).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        let id = world.asked(&ada, "acme", "honest", Some("acme")).await;
        assert_eq!(world.signup.expire_abandoned().await.unwrap(), Expired::default());
        world.db.clock.advance(Duration::minutes(10));
        assert!(matches!(world.signup.confirm(&ada, id).await, Err(Error::NothingPending)));
        let (a, b) = tokio::join!(world.signup.expire_abandoned(), world.signup.expire_abandoned());
        assert_eq!(a.unwrap().revoked + b.unwrap().revoked, 1);
        let mut given_back = world.revocations();
        given_back.sort();
        assert_eq!(given_back, ["at-2", "rt-2"]);
        let live = world.connections(&ada, "acme").await;
        assert_eq!((live[0].state, live[0].generation.0), (State::Active, 1));
        world.db.clock.advance(Duration::hours(25));
        assert_eq!(world.signup.expire_abandoned().await.unwrap(), Expired::default());
        assert!(world.db.texts("SELECT stage FROM signup").await.is_empty());
    }
}

#[tokio::test]
async fn a_refresh_token_whose_grant_a_live_connection_may_share_is_not_revoked() {
    for db in databases().await {
        let script = vec![tokens("1"), account("u1"), tokens("2"), account("u1"), revoked()];
        let world = World::new(db, script).await;
        world.app("globex").await;
        world.connector(&world.definition("shared", json!({}))).await;
        world.credentials("shared", None).await;
        let ada = world.member("ada").await;
        let first = world.asked(&ada, "acme", "shared", None).await;
        world.signup.confirm(&ada, first).await.unwrap();
        let second = world.asked(&ada, "acme", "shared", None).await;
        world.signup.cancel(&ada, second).await.unwrap();
        assert_eq!(world.revocations(), ["at-2"]);
        assert_eq!(world.connections(&ada, "acme").await[0].generation.0, 1);
    }
}

#[tokio::test]
async fn a_failed_revocation_is_tried_again_and_given_up_after_a_day() {
    for db in databases().await {
        let down = Step::answer(503, &[], "down");
        let script = vec![tokens("1"), account("u1"), down.clone(), down.clone(), down.clone(), down];
        let world = World::new(db, script).await;
        world.app("globex").await;
        world.connector(&world.definition("shared", json!({}))).await;
        world.credentials("shared", None).await;
        let ada = world.member("ada").await;
        let id = world.asked(&ada, "acme", "shared", None).await;
        world.signup.cancel(&ada, id).await.unwrap();
        assert_eq!(world.signup.expire_abandoned().await.unwrap(), Expired::default());
        world.db.clock.advance(Duration::minutes(5));
        assert_eq!(world.signup.expire_abandoned().await.unwrap().deferred, 1);
        world.db.clock.advance(Duration::hours(24));
        world.signup.expire_abandoned().await.unwrap();
        assert_eq!(world.audited().await, ["cancelled", "revocation_failed"]);
        assert!(world.db.texts("SELECT stage FROM signup WHERE sealed_grant IS NOT NULL").await.is_empty());
    }
}
