//! Consents against a provider that answers by script, on both databases.

mod asking;
mod callback;
mod giving_back;
mod stale;
mod turned;
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
use crate::signup::{Answer, Bounds, Error, Expired, Outcome, Wish};
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
async fn an_app_has_so_many_consents_under_way_at_most_over_all_browsers() {
    for db in databases().await {
        let bounds = Bounds { pending_per_app: 3, ..Bounds::default() };
        let world = World::bounded(db, vec![], bounds).await;
        let (ada, eve) = (world.member("ada").await, world.member("eve").await);
        for by in [&ada, &eve, &ada] {
            world.start(by, "acme", "honest").await;
        }
        for by in [&ada, &eve] {
            let refused = world.try_start(by, "acme", "honest", Wish::default()).await;
            assert!(matches!(refused, Err(Error::Overloaded)), "{refused:?}");
        }
        world.db.clock.advance(Duration::minutes(10));
        world.start(&eve, "acme", "honest").await;
    }
}

#[tokio::test]
async fn a_callback_too_many_is_told_at_once_and_can_come_again() {
    for db in databases().await {
        let bounds = Bounds { callbacks: 1, ..Bounds::default() };
        let script = vec![tokens("one"), account("u1"), tokens("two"), account("u1")];
        let world = World::bounded(db, script, bounds).await;
        let ada = world.member("ada").await;
        let first = world.start(&ada, "acme", "honest").await;
        let second = world.start(&ada, "acme", "honest").await;
        let back = |sent: &BTreeMap<String, String>| {
            let (world, ada, state) = (&world, &ada, sent["state"].clone());
            async move { world.back(ada, "honest", Some("acme"), &state).await }
        };
        let (taken, refused) = tokio::join!(back(&first), back(&second));
        assert!(matches!(taken, Ok(Outcome::Connected(_))), "{taken:?}");
        assert!(matches!(refused, Err(Error::Overloaded)), "{refused:?}");
        assert_eq!(world.provider.seen().len(), 2, "the second code was not sent");
        assert!(matches!(back(&second).await, Ok(Outcome::Connected(_))));
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
