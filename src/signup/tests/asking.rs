//! When is a person asked first, and who may answer?

use super::*;

#[tokio::test]
async fn instance_credentials_that_serve_several_apps_ask_first() {
    for db in databases().await {
        let world = World::new(db, vec![tokens("1"), account("u1"), tokens("2"), account("u1")]).await;
        world.connector(&world.definition("shared", json!({}))).await;
        world.credentials("shared", None).await;
        let ada = world.member("ada").await;
        let sent = world.start(&ada, "acme", "shared").await;
        assert_eq!(sent["redirect_uri"], "http://127.0.0.1:8080/connect/shared/callback");
        // As long as there is one app only, nothing can be meant but it.
        let alone = world.back(&ada, "shared", None, &sent["state"]).await.unwrap();
        assert!(matches!(alone, Outcome::Connected(_)), "{alone:?}");
        world.app("globex").await;
        let grace = world.person("grace", None, &[("globex", Membership::Member)]).await.0;
        let id = world.asked(&grace, "globex", "shared", None).await;
        let question = world.signup.question(&grace, id).await.unwrap();
        assert_eq!(question.app.name, "globex Ltd");
        assert_eq!(question.account.as_deref(), Some("u1@provider.example"));
        assert!(question.several_apps && question.may_confirm && question.own);
        assert!(question.replaces.is_none() && question.kills.is_none());
        assert!(world.connections(&grace, "globex").await.is_empty());
        let (a, b) = tokio::join!(world.signup.confirm(&grace, id), world.signup.confirm(&grace, id));
        assert_eq!([&a, &b].iter().filter(|one| one.is_ok()).count(), 1, "{a:?} {b:?}");
        let live = world.connections(&grace, "globex").await;
        assert_eq!((live.len(), live[0].generation.0), (1, 1));
        assert!(matches!(world.signup.question(&grace, id).await, Err(Error::NothingPending)));
    }
}

#[tokio::test]
async fn a_question_is_for_the_browser_that_started_it() {
    for db in databases().await {
        let world = World::new(db, vec![tokens("1"), account("u1")]).await;
        world.app("globex").await;
        world.connector(&world.definition("shared", json!({}))).await;
        world.credentials("shared", None).await;
        let ada = world.member("ada").await;
        let id = world.asked(&ada, "acme", "shared", None).await;
        let other_browser = world.browser(ada.principal.user().unwrap()).await.0;
        let root = world.person("root", Some(Role::Superadmin), &[]).await.0;
        for foreign in [&other_browser, &world.member("eve").await, &root] {
            assert!(matches!(world.signup.question(foreign, id).await, Err(Error::NothingPending)));
            assert!(matches!(world.signup.confirm(foreign, id).await, Err(Error::NothingPending)));
            assert!(matches!(world.signup.cancel(foreign, id).await, Err(Error::NothingPending)));
        }
        world.signup.confirm(&ada, id).await.unwrap();
    }
}

#[tokio::test]
async fn another_account_waits_for_its_owner_or_an_admin() {
    for db in databases().await {
        let script = vec![tokens("1"), account("u1"), tokens("2"), account("u2"), tokens("3"), account("u3")];
        let world = World::new(db, script).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        let eve = world.member("eve").await;
        let id = world.asked(&eve, "acme", "honest", Some("acme")).await;
        let question = world.signup.question(&eve, id).await.unwrap();
        assert!(!question.may_confirm);
        let replaces = question.replaces.unwrap();
        assert_eq!(replaces.account.as_deref(), Some("u1@provider.example"));
        assert_eq!(replaces.connected_by.as_deref(), Some("ada"));
        assert!(matches!(world.signup.confirm(&eve, id).await, Err(Error::NotEntitled)));
        assert!(matches!(
            world.signup.question(&world.member("mallory").await, id).await,
            Err(Error::NothingPending)
        ));
        assert_eq!(world.connections(&ada, "acme").await[0].account.as_deref(), Some("u1@provider.example"));
        // Ada owns what is replaced; the new account stays Eve's.
        assert!(!world.signup.question(&ada, id).await.unwrap().own);
        world.signup.confirm(&ada, id).await.unwrap();
        let now = world.connections(&ada, "acme").await;
        assert_eq!(now[0].account.as_deref(), Some("u2@provider.example"));
        assert_eq!((now[0].connected_by.as_deref(), now[0].generation.0), (Some("eve"), 2));
        // An admin of the app decides too, and for himself.
        let chief = world.person("chief", None, &[("acme", Membership::AppAdmin)]).await.0;
        let id = world.asked(&chief, "acme", "honest", Some("acme")).await;
        assert!(world.signup.question(&chief, id).await.unwrap().may_confirm);
        world.signup.confirm(&chief, id).await.unwrap();
        assert_eq!(world.connections(&ada, "acme").await[0].account.as_deref(), Some("u3@provider.example"));
    }
}

#[tokio::test]
async fn an_account_that_nobody_knows_is_replaced_by_its_owner_alone() {
    for db in databases().await {
        let script = vec![tokens("1"), account("u1"), tokens("2"), account("u1"), tokens("3"), account("u1")];
        let world = World::new(db, script).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        world.db.sql("UPDATE connection SET account_fingerprint = NULL").await;
        world.connect(&ada, "acme", "honest").await;
        world.db.sql("UPDATE connection SET account_fingerprint = NULL").await;
        let eve = world.member("eve").await;
        let id = world.asked(&eve, "acme", "honest", Some("acme")).await;
        assert!(!world.signup.question(&eve, id).await.unwrap().may_confirm, "{}", world.db.name);
    }
}

#[tokio::test]
async fn the_same_account_is_renewed_without_a_question() {
    for (world, ada, state) in under_way(vec![tokens("1"), account("u1"), tokens("2"), account("u1")]).await {
        world.back(&ada, "honest", Some("acme"), &state).await.unwrap();
        let eve = world.member("eve").await;
        world.connect(&eve, "acme", "honest").await;
        assert_eq!(world.connections(&ada, "acme").await[0].generation.0, 2);
    }
}

#[tokio::test]
async fn one_token_too_many_names_the_connection_that_would_die() {
    for db in databases().await {
        let set = |name| [tokens(name), account("u1")];
        let script = [set("1"), set("2"), set("3"), [revoked(), tokens("4")]].concat();
        let script = [script, vec![account("u1")]].concat();
        let world = World::new(db, script).await;
        let (ada, grace) = world.capped().await;
        let first = world.asked(&grace, "globex", "capped", None).await;
        assert!(world.signup.question(&grace, first).await.unwrap().kills.is_none());
        world.signup.confirm(&grace, first).await.unwrap();
        let second = world.asked(&ada, "acme", "capped", None).await;
        assert!(world.signup.question(&ada, second).await.unwrap().kills.is_none());
        world.signup.confirm(&ada, second).await.unwrap();
        // The third token of the account would kill the oldest: Grace's, in an app Ada does not belong to.
        let wish = Wish { flow: crate::model::connection::Flow::parse("two").unwrap(), ..Wish::default() };
        let url = world.try_start(&ada, "acme", "capped", wish.clone()).await.unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let Ok(Outcome::Confirm(third)) = world.back(&ada, "capped", None, &state).await else { panic!() };
        let victim = world.signup.question(&ada, third).await.unwrap().kills.unwrap();
        assert_eq!((victim.app, victim.flow), (None, None));
        world.signup.cancel(&ada, third).await.unwrap();
        let root = world.person("root", Some(Role::Superadmin), &[]).await.0;
        let url = world.try_start(&root, "acme", "capped", wish).await.unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let Ok(Outcome::Confirm(fourth)) = world.back(&root, "capped", None, &state).await else { panic!() };
        let victim = world.signup.question(&root, fourth).await.unwrap().kills.unwrap();
        assert_eq!((victim.app.unwrap().as_str(), victim.flow.as_deref()), ("globex", Some("default")));
    }
}
