//! Which callbacks are taken, and which are refused before anything is sent?

use super::*;

#[tokio::test]
async fn a_replayed_callback_is_refused() {
    for (world, ada, state) in under_way(vec![tokens("1"), account("u1")]).await {
        world.back(&ada, "honest", Some("acme"), &state).await.unwrap();
        let again = world.back(&ada, "honest", Some("acme"), &state).await;
        assert!(matches!(again, Err(Error::State)), "{again:?}");
        assert_eq!(world.requests("/token"), 1);
    }
}

#[tokio::test]
async fn two_callbacks_at_once_are_one_exchange() {
    for (world, ada, state) in under_way(vec![tokens("1"), account("u1")]).await {
        let (a, b) = tokio::join!(
            world.back(&ada, "honest", Some("acme"), &state),
            world.back(&ada, "honest", Some("acme"), &state)
        );
        assert_eq!([&a, &b].iter().filter(|one| one.is_ok()).count(), 1, "{a:?} {b:?}");
        assert_eq!(world.requests("/token"), 1);
    }
}

#[tokio::test]
async fn another_browser_or_person_cannot_finish_and_does_not_use_the_state_up() {
    for (world, ada, state) in under_way(vec![tokens("1"), account("u1")]).await {
        let other_browser = world.browser(ada.principal.user().unwrap()).await.0;
        let eve = world.member("eve").await;
        for foreign in [&other_browser, &eve] {
            let refused = world.back(foreign, "honest", Some("acme"), &state).await;
            assert!(matches!(refused, Err(Error::State)), "{refused:?}");
        }
        assert_eq!(world.provider.seen().len(), 0);
        world.back(&ada, "honest", Some("acme"), &state).await.unwrap();
    }
}

#[tokio::test]
async fn a_callback_at_another_connector_or_app_is_refused_before_any_request() {
    for db in databases().await {
        let world = World::new(db, vec![]).await;
        world.app("globex").await;
        world.connector(&world.definition("other", json!({}))).await;
        world.credentials("other", Some("acme")).await;
        let both = [("acme", Membership::Member), ("globex", Membership::Member)];
        let ada = world.person("ada", None, &both).await.0;
        let wrong =
            [("other", Some("acme")), ("honest", Some("globex")), ("honest", None), ("a b", Some("acme"))];
        for (connector, app) in wrong {
            let state = world.start(&ada, "acme", "honest").await["state"].clone();
            let refused = world.back(&ada, connector, app, &state).await;
            assert!(matches!(refused, Err(Error::OtherFlow)), "{connector} {app:?}: {refused:?}");
            let later = world.back(&ada, "honest", Some("acme"), &state).await;
            assert!(matches!(later, Err(Error::State)), "{later:?}");
        }
        assert_eq!(world.provider.seen().len(), 0);
        assert_eq!(world.audited().await, vec!["wrong_callback"; 4]);
    }
}

#[tokio::test]
async fn an_evil_connector_that_bounces_to_an_honest_provider_gets_no_code() {
    for db in databases().await {
        let world = World::new(db, vec![]).await;
        world.connector(&world.definition("evil", json!({}))).await;
        world.credentials("evil", Some("acme")).await;
        let ada = world.member("ada").await;
        let to_evil = world.start(&ada, "acme", "evil").await;
        // The evil page sends the browser on to the honest provider, with its state and the honest client id;
        // the honest provider knows the honest redirect URI only.
        let refused = world.back(&ada, "honest", Some("acme"), &to_evil["state"]).await;
        assert!(matches!(refused, Err(Error::OtherFlow)), "{refused:?}");
        assert_eq!(world.provider.seen().len(), 0);
        assert!(world.connections(&ada, "acme").await.is_empty());
    }
}

#[tokio::test]
async fn another_issuer_is_refused_before_any_request_and_the_right_one_or_none_is_taken() {
    for db in databases().await {
        let world = World::new(db, vec![tokens("1"), account("u1"), tokens("2"), account("u1")]).await;
        world.connector(&world.definition("strict", json!({"issuer": "https://issuer.example"}))).await;
        world.credentials("strict", Some("acme")).await;
        let ada = world.member("ada").await;
        let back = async |iss: Option<&str>, error: Option<&str>| {
            let state = world.start(&ada, "acme", "strict").await["state"].clone();
            let (iss, error) = (iss.map(str::to_owned), error.map(str::to_owned));
            let code = error.is_none().then(|| Secret::new("the-code"));
            world.back_with(&ada, "strict", Some("acme"), Answer { code, iss, error, ..answer(&state) }).await
        };
        for other in ["https://issuer.example/", "https://evil.example", ""] {
            assert!(matches!(back(Some(other), None).await, Err(Error::Issuer)), "{other}");
            assert!(matches!(back(Some(other), Some("access_denied")).await, Err(Error::Issuer)), "{other}");
        }
        assert_eq!(world.provider.seen().len(), 0);
        back(Some("https://issuer.example"), None).await.unwrap();
        back(None, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_denied_consent_leaves_the_old_connection_as_it_was() {
    for (world, ada, state) in under_way(vec![tokens("1"), account("u1")]).await {
        world.back(&ada, "honest", Some("acme"), &state).await.unwrap();
        let before = world.connections(&ada, "acme").await;
        let state = world.start(&ada, "acme", "honest").await["state"].clone();
        assert_eq!(world.connections(&ada, "acme").await, before);
        let denied = Answer {
            error: Some("access_denied".into()),
            error_description: Some(format!("no\u{7} {}", "x".repeat(500))),
            ..answer(&state)
        };
        let refused = world.back_with(&ada, "honest", Some("acme"), denied).await;
        let Err(Error::NoConsent { app, code, description }) = refused else { panic!("{refused:?}") };
        assert_eq!((app.as_str(), code.as_str()), ("acme", "access_denied"));
        assert!(description.is_some_and(|text| text.starts_with("no x") && text.len() == 300));
        assert_eq!(world.connections(&ada, "acme").await, before);
        assert_eq!(world.requests("/token"), 1);
        assert_eq!(world.audited().await, ["ok", "consent_denied"]);
    }
}

#[tokio::test]
async fn an_answer_without_code_or_with_a_foreign_state_is_refused() {
    for (world, ada, state) in under_way(vec![]).await {
        for other in ["", "x", "00000000000000000000000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert!(
                matches!(world.back(&ada, "honest", Some("acme"), other).await, Err(Error::State)),
                "{other}"
            );
        }
        let (id, secret) = state.split_once('.').unwrap();
        let flipped = format!("{id}.{}", secret.chars().rev().collect::<String>());
        assert!(matches!(world.back(&ada, "honest", Some("acme"), &flipped).await, Err(Error::State)));
        let empty = world.back_with(&ada, "honest", Some("acme"), answer(&state)).await;
        assert!(matches!(empty, Err(Error::NoCode)), "{empty:?}");
        assert_eq!(world.provider.seen().len(), 0);
    }
}

#[tokio::test]
async fn a_state_lives_ten_minutes() {
    for (world, ada, state) in under_way(vec![tokens("1"), account("u1")]).await {
        world.db.clock.advance(Duration::minutes(9) + Duration::seconds(50));
        let fresh = world.start(&ada, "acme", "honest").await["state"].clone();
        world.db.clock.advance(Duration::seconds(10));
        assert!(matches!(world.back(&ada, "honest", Some("acme"), &state).await, Err(Error::State)));
        world.back(&ada, "honest", Some("acme"), &fresh).await.unwrap();
    }
}

#[tokio::test]
async fn credentials_or_a_definition_changed_meanwhile_stop_the_code() {
    for (world, ada, state) in under_way(vec![]).await {
        world.db.sql("UPDATE connector_credentials SET version = 2").await;
        let refused = world.back(&ada, "honest", Some("acme"), &state).await;
        assert!(matches!(refused, Err(Error::Changed)), "{refused:?}");
        let state = world.start(&ada, "acme", "honest").await["state"].clone();
        let store = world.db.store();
        let tx = store.begin().await.unwrap();
        let moved =
            world.definition("honest", json!({"token_url": format!("{}elsewhere", world.provider.base)}));
        let origins = moved.origins();
        let moved = CustomConnector { definition: moved, confirmed_origins: origins, version: 2 };
        tx.conn().update_connector(&moved.sign(&world.db.vault()).unwrap(), 1).await.unwrap();
        tx.commit().await.unwrap();
        world.registry.forget();
        let refused = world.back(&ada, "honest", Some("acme"), &state).await;
        assert!(matches!(refused, Err(Error::Changed)), "{refused:?}");
        assert_eq!(world.provider.seen().len(), 0);
    }
}

#[tokio::test]
async fn who_lost_the_membership_meanwhile_connects_nothing() {
    for db in databases().await {
        let world = World::new(db, vec![]).await;
        let (ada, cookie) = world.person("ada", None, &[("acme", Membership::Member)]).await;
        let state = world.start(&ada, "acme", "honest").await["state"].clone();
        world.db.sql("DELETE FROM membership").await;
        let ada = world.visitor(&cookie).await;
        let refused = world.back(&ada, "honest", Some("acme"), &state).await;
        assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
        assert_eq!(world.provider.seen().len(), 0);
    }
}

#[tokio::test]
async fn a_refused_code_or_a_silent_identity_endpoint_leaves_nothing_behind() {
    for db in databases().await {
        let refusal = Step::json(400, &json!({"error": "invalid_grant"}));
        let script = vec![refusal, tokens("1"), Step::answer(500, &[], "oops"), revoked(), revoked()];
        let world = World::new(db, script).await;
        let ada = world.member("ada").await;
        let state = world.start(&ada, "acme", "honest").await["state"].clone();
        let refused = world.back(&ada, "honest", Some("acme"), &state).await;
        assert!(
            matches!(&refused, Err(Error::CodeRefused { code }) if code == "invalid_grant"),
            "{refused:?}"
        );
        let state = world.start(&ada, "acme", "honest").await["state"].clone();
        let refused = world.back(&ada, "honest", Some("acme"), &state).await;
        assert!(matches!(refused, Err(Error::NotIdentified)), "{refused:?}");
        let mut given_back = world.revocations();
        given_back.sort();
        assert_eq!(given_back, ["at-1", "rt-1"]);
        assert!(world.connections(&ada, "acme").await.is_empty());
        let sealed = world.db.texts("SELECT stage FROM signup WHERE sealed_grant IS NOT NULL").await;
        assert!(sealed.is_empty(), "{sealed:?}");
    }
}
