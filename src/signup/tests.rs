//! Consents against a provider that answers by script, on both databases.

mod stale;
pub(crate) mod world;

use std::collections::BTreeMap;

use serde_json::json;
use time::Duration;

use self::world::{World, account, answer, form, revoked, tokens};
use crate::model::client::Role;
use crate::model::connection::State;
use crate::model::principal::Membership;
use crate::model::secret::Secret;
use crate::outbound::scripted::Step;
use crate::registry::own::CustomConnector;
use crate::signup::{Answer, Error, Expired, Outcome, Wish};
use crate::store::testing::databases;

/// A member of acme who has clicked "connect" once, with the state that is on its way.
async fn under_way(script: Vec<Step>) -> Vec<(World, crate::signup::Visitor, String)> {
    let mut worlds = Vec::new();
    for db in databases().await {
        let world = World::new(db, script.clone()).await;
        let ada = world.member("ada").await;
        let state = world.start(&ada, "acme", "honest").await["state"].clone();
        worlds.push((world, ada, state));
    }
    worlds
}

#[tokio::test]
async fn a_consent_becomes_a_live_connection() {
    for db in databases().await {
        let world = World::new(db, vec![tokens("1"), account("u1")]).await;
        let ada = world.member("ada").await;
        let sent = world.start(&ada, "acme", "honest").await;
        assert_eq!(sent["redirect_uri"], "http://127.0.0.1:8080/connect/honest/callback/acme");
        assert_eq!((sent["code_challenge_method"].as_str(), sent["scope"].as_str()), ("S256", "read"));
        let wish = Wish { return_to: Some("https://app.example.com/done".into()), ..Wish::default() };
        let url = world.try_start(&ada, "acme", "honest", wish).await.unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let outcome = world.back(&ada, "honest", Some("acme"), &state).await.unwrap();
        let Outcome::Connected(done) = outcome else { panic!("{outcome:?}") };
        assert_eq!(done.return_to.as_deref(), Some("https://app.example.com/done"));
        let exchange = form(&world.provider.seen()[0]);
        assert!(exchange.contains(&("code".into(), "the-code".into())), "{exchange:?}");
        assert!(exchange.contains(&("redirect_uri".into(), sent["redirect_uri"].clone())), "{exchange:?}");
        let connections = world.connections(&ada, "acme").await;
        assert_eq!(connections.len(), 1);
        assert_eq!(connections[0].state, State::Active);
        assert_eq!(connections[0].account.as_deref(), Some("u1@provider.example"));
        assert_eq!(connections[0].connected_by.as_deref(), Some("ada"));
        assert_eq!(world.audited().await, ["ok"]);
    }
}

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
        world.app("globex").await;
        world.connector(&world.definition("capped", json!({"max_tokens_per_account": 2}))).await;
        world.credentials("capped", None).await;
        let ada = world.member("ada").await;
        let grace = world.person("grace", None, &[("globex", Membership::Member)]).await.0;
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

#[tokio::test]
async fn a_set_moved_to_another_row_does_not_open() {
    for db in databases().await {
        let script = vec![tokens("1"), account("u1"), tokens("2"), account("u2")];
        let world = World::new(db, script).await;
        world.app("globex").await;
        world.connector(&world.definition("shared", json!({}))).await;
        world.credentials("shared", None).await;
        let ada = world.member("ada").await;
        let first = world.asked(&ada, "acme", "shared", None).await;
        world.asked(&ada, "acme", "shared", None).await;
        world.db.sql(
            "UPDATE signup SET sealed_grant = (SELECT o.sealed_grant FROM signup o WHERE o.id <> signup.id \
             AND o.sealed_grant IS NOT NULL)",
        ).await;
        let refused = world.signup.confirm(&ada, first).await;
        assert!(matches!(refused, Err(Error::Vault(_))), "{refused:?}");
        let told = world.db.texts("SELECT app FROM audit_event WHERE action = 'secret.unreadable'").await;
        assert_eq!(told, ["acme"]);
        assert!(world.connections(&ada, "acme").await.is_empty());
    }
}

#[tokio::test]
async fn strangers_and_unknown_apps_are_refused_alike_and_a_disabled_app_connects_nothing() {
    for db in databases().await {
        let world = World::new(db, vec![]).await;
        world.app("globex").await;
        let ada = world.member("ada").await;
        for app in ["globex", "nowhere"] {
            let refused = world.try_start(&ada, app, "honest", Wish::default()).await;
            assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
        }
        let unknown = world.try_start(&ada, "acme", "nothing", Wish::default()).await;
        assert!(matches!(unknown, Err(Error::ConnectorNotFound)), "{unknown:?}");
        let bare = world.try_start(&ada, "acme", "github", Wish::default()).await;
        assert!(matches!(bare, Err(Error::CredentialsMissing)), "{bare:?}");
        let root = world.person("root", Some(Role::Superadmin), &[]).await.0;
        let missing = world.try_start(&root, "nowhere", "honest", Wish::default()).await;
        assert!(matches!(missing, Err(Error::AppNotFound)), "{missing:?}");
        let away = Wish { return_to: Some("//evil".into()), ..Wish::default() };
        let refused = world.try_start(&ada, "acme", "honest", away).await;
        assert!(matches!(refused, Err(Error::ReturnTo)), "{refused:?}");
        world.db.sql("UPDATE app SET state = 'disabled' WHERE id = 'acme'").await;
        let refused = world.try_start(&ada, "acme", "honest", Wish::default()).await;
        assert!(matches!(refused, Err(Error::AppDisabled)), "{refused:?}");
        assert!(world.db.texts("SELECT stage FROM signup").await.is_empty());
    }
}

#[tokio::test]
async fn url_variables_are_asked_for_and_judged() {
    for db in databases().await {
        let world = World::new(db, vec![]).await;
        let base = world.provider.base.as_str().trim_end_matches('/');
        let tenants = json!({
            "authorization_url": format!("{base}/{{tenant}}/authorize"),
            "token_url": format!("{base}/{{tenant}}/token"), "url_variables": {"tenant": "^[a-z]+$"},
        });
        world.connector(&world.definition("tenants", tenants)).await;
        world.credentials("tenants", Some("acme")).await;
        let ada = world.member("ada").await;
        let start = async |values: &[(&str, &str)]| {
            let variables = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            world.try_start(&ada, "acme", "tenants", Wish { variables, ..Wish::default() }).await
        };
        for wrong in [&[][..], &[("tenant", "../x")], &[("tenant", "ok"), ("host", "x")], &[("tenant", "UP")]]
        {
            assert!(matches!(start(wrong).await, Err(Error::Variables(_))), "{wrong:?}");
        }
        let sent = start(&[("tenant", "north")]).await.unwrap();
        assert_eq!(sent.path(), "/north/authorize");
        // Nor do they change on the way: the code and the secret go where the person said.
        world.db.sql("UPDATE signup SET variables = '{\"tenant\":\"south\"}'").await;
        let state = sent.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let refused = world.back(&ada, "tenants", Some("acme"), &state).await;
        assert!(matches!(refused, Err(Error::Changed)), "{refused:?}");
        assert_eq!(world.provider.seen().len(), 0);
    }
}

#[tokio::test]
async fn a_browser_has_fifty_consents_under_way_at_most() {
    for db in databases().await {
        let world = World::new(db, vec![]).await;
        let ada = world.member("ada").await;
        for _ in 0..50 {
            world.start(&ada, "acme", "honest").await;
        }
        let refused = world.try_start(&ada, "acme", "honest", Wish::default()).await;
        assert!(matches!(refused, Err(Error::TooManyPending)), "{refused:?}");
        world.start(&world.member("eve").await, "acme", "honest").await;
        world.db.clock.advance(Duration::minutes(10));
        world.start(&ada, "acme", "honest").await;
    }
}

#[tokio::test]
async fn nothing_secret_of_a_consent_stands_in_the_database_or_in_debug_output() {
    for db in databases().await {
        let world = World::new(db, vec![tokens("canary"), account("u1")]).await;
        world.app("globex").await;
        world.connector(&world.definition("shared", json!({}))).await;
        world.credentials("shared", None).await;
        let ada = world.member("ada").await;
        let sent: BTreeMap<String, String> = world.start(&ada, "acme", "shared").await;
        let secret = sent["state"].split_once('.').unwrap().1.to_owned();
        world.back(&ada, "shared", None, &sent["state"]).await.unwrap();
        let row = world
            .db
            .store()
            .conn()
            .find_signup(uuid::Uuid::try_parse(sent["state"].split_once('.').unwrap().0).unwrap())
            .await
            .unwrap()
            .unwrap();
        let told = format!("{row:?} {:?}", answer(&sent["state"]));
        let sealed = row.sealed_grant.unwrap().bytes;
        for canary in ["at-canary", "rt-canary", secret.as_str()] {
            assert!(!told.contains(canary), "{canary}");
            assert!(!sealed.windows(canary.len()).any(|window| window == canary.as_bytes()), "{canary}");
        }
    }
}
