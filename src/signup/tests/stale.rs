//! What happens to a consent whose judgement is no longer so when it is confirmed?

use serde_json::json;
use uuid::Uuid;

use super::world::{World, account, revoked, tokens};
use crate::keeper;
use crate::model::connection::Flow;
use crate::model::principal::Membership;
use crate::outbound::scripted::Step;
use crate::signup::{Error, Outcome, Visitor, Wish};
use crate::store::testing::databases;

/// A consent of one account after the other, and then only revocations.
fn consents(accounts: &[&str]) -> Vec<Step> {
    let sets = accounts.iter().enumerate().flat_map(|(at, id)| [tokens(&(at + 1).to_string()), account(id)]);
    sets.chain([revoked(), revoked(), revoked(), revoked()]).collect()
}

async fn chief(world: &World) -> Visitor {
    world.person("chief", None, &[("acme", Membership::AppAdmin)]).await.0
}

/// Comes back with a consent for a flow of acme.
async fn back(world: &World, by: &Visitor, connector: &str, flow: &str, owner: Option<&str>) -> Outcome {
    let wish = Wish { flow: Flow::parse(flow).unwrap(), ..Wish::default() };
    let url = world.try_start(by, "acme", connector, wish).await.unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    world.back(by, connector, owner, &state).await.unwrap()
}

async fn asked(world: &World, by: &Visitor, connector: &str, flow: &str, owner: Option<&str>) -> Uuid {
    match back(world, by, connector, flow, owner).await {
        Outcome::Confirm(id) => id,
        done @ (Outcome::Connected(_) | Outcome::Return(..)) => panic!("nobody was asked: {done:?}"),
    }
}

fn changed<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Keeper(keeper::Error::ConnectionChanged)))
}

fn sorted(mut tokens: Vec<String>) -> Vec<String> {
    tokens.sort();
    tokens
}

#[tokio::test]
async fn a_yes_to_one_account_does_not_replace_another() {
    for db in databases().await {
        let world = World::new(db, consents(&["u1", "u2", "u3"])).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        // Ada is shown that u2 replaces u1; before she says yes, an admin replaces u1 by u3.
        let id = world.asked(&ada, "acme", "honest", Some("acme")).await;
        let chief = chief(&world).await;
        let other = world.asked(&chief, "acme", "honest", Some("acme")).await;
        world.signup.confirm(&chief, other).await.unwrap();
        let question = world.signup.question(&ada, id).await;
        assert!(changed(&question), "{question:?}");
        let refused = world.signup.confirm(&ada, id).await;
        assert!(changed(&refused), "{refused:?}");
        assert_eq!(world.connections(&ada, "acme").await[0].account.as_deref(), Some("u3@provider.example"));
        assert_eq!(sorted(world.revocations()), ["at-2", "rt-2"], "{}", world.db.name);
        assert_eq!(world.audited().await, ["ok", "ok", "connection_changed", "given_up"]);
        let again = world.signup.confirm(&ada, id).await;
        assert!(matches!(again, Err(Error::NothingPending)), "{again:?}");
    }
}

#[tokio::test]
async fn a_refresh_meanwhile_does_not_stop_a_yes() {
    for db in databases().await {
        let script = vec![tokens("1"), account("u1"), tokens("2"), account("u2"), tokens("fresh")];
        let world = World::new(db, script).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        world.db.clock.advance(time::Duration::minutes(58));
        let id = world.asked(&ada, "acme", "honest", Some("acme")).await;
        world.db.clock.advance(time::Duration::minutes(5));
        let app = crate::model::app::AppId::parse("acme").unwrap();
        let connector = crate::model::connector::ConnectorId::parse("honest").unwrap();
        let job = crate::identity::testing::receiver(&app, &connector);
        let lifetime = keeper::Lifetime {
            request: crate::model::connection::Request { min_ttl: None, rejected: None },
            wait: std::time::Duration::from_secs(20),
        };
        assert!(world.keeper.retrieve_token(&job, None, lifetime).await.unwrap().refreshed);
        world.signup.confirm(&ada, id).await.unwrap();
        let live = world.connections(&ada, "acme").await;
        assert_eq!((live[0].account.as_deref(), live[0].generation.0), (Some("u2@provider.example"), 3));
    }
}

#[tokio::test]
async fn a_yes_in_an_app_that_was_disabled_meanwhile_stores_nothing_and_gives_the_set_back() {
    for db in databases().await {
        let world = World::new(db, consents(&["u1", "u2"])).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        let id = world.asked(&ada, "acme", "honest", Some("acme")).await;
        world.db.sql("UPDATE app SET state = 'disabled' WHERE id = 'acme'").await;
        let question = world.signup.question(&ada, id).await;
        assert!(matches!(question, Err(Error::AppDisabled)), "{question:?}");
        let refused = world.signup.confirm(&ada, id).await;
        assert!(matches!(refused, Err(Error::AppDisabled)), "{refused:?}");
        assert_eq!(world.connections(&ada, "acme").await[0].account.as_deref(), Some("u1@provider.example"));
        assert_eq!(sorted(world.revocations()), ["at-2", "rt-2"], "{}", world.db.name);
    }
}

#[tokio::test]
async fn a_token_too_many_that_nobody_was_shown_is_not_stored() {
    for db in databases().await {
        let world = World::new(db, consents(&["u1", "u1", "u1"])).await;
        let (ada, grace) = world.capped().await;
        let first = world.asked(&grace, "globex", "capped", None).await;
        let second = asked(&world, &ada, "capped", "one", None).await;
        let third = asked(&world, &ada, "capped", "two", None).await;
        // Nobody would lose a token yet; with the first two live, the third would end Grace's.
        assert!(world.signup.question(&ada, third).await.unwrap().kills.is_none());
        world.signup.confirm(&grace, first).await.unwrap();
        world.signup.confirm(&ada, second).await.unwrap();
        let refused = world.signup.confirm(&ada, third).await;
        assert!(changed(&refused), "{refused:?}");
        assert_eq!(world.connections(&ada, "acme").await.len(), 1, "{}", world.db.name);
        assert_eq!(world.revocations(), ["at-3"]);
    }
}

#[tokio::test]
async fn the_last_places_of_an_account_are_taken_once() {
    for db in databases().await {
        let world = World::new(db, consents(&["u1", "u1"])).await;
        world.app("globex").await;
        world.connector(&world.definition("capped", json!({"max_tokens_per_account": 1}))).await;
        world.credentials("capped", None).await;
        let ada = world.member("ada").await;
        let one = asked(&world, &ada, "capped", "one", None).await;
        let two = asked(&world, &ada, "capped", "two", None).await;
        let (a, b) = tokio::join!(world.signup.confirm(&ada, one), world.signup.confirm(&ada, two));
        assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1, "{a:?} {b:?}");
        assert!(changed(&a) || changed(&b), "{a:?} {b:?}");
        assert_eq!(world.connections(&ada, "acme").await.len(), 1, "{}", world.db.name);
    }
}

#[tokio::test]
async fn a_first_default_beside_others_says_that_jobs_will_use_it() {
    for db in databases().await {
        let world = World::new(db, consents(&["u1", "u2", "u3"])).await;
        let ada = world.member("ada").await;
        let done = back(&world, &ada, "honest", "two", Some("acme")).await;
        assert!(matches!(done, Outcome::Connected(_)), "{done:?}");
        let id = asked(&world, &ada, "honest", "default", Some("acme")).await;
        let question = world.signup.question(&ada, id).await.unwrap();
        assert!(question.takes_over && question.may_confirm && question.replaces.is_none());
        world.signup.confirm(&ada, id).await.unwrap();
        // Another flow beside it changes nothing for them.
        let done = back(&world, &ada, "honest", "three", Some("acme")).await;
        assert!(matches!(done, Outcome::Connected(_)), "{done:?}");
    }
}

#[tokio::test]
async fn the_audit_trail_names_who_confirmed_and_whose_consent_it_was() {
    for db in databases().await {
        let world = World::new(db, consents(&["u1", "u2"])).await;
        let ada = world.member("ada").await;
        world.connect(&ada, "acme", "honest").await;
        let eve = world.member("eve").await;
        let id = world.asked(&eve, "acme", "honest", Some("acme")).await;
        let chief = chief(&world).await;
        world.signup.confirm(&chief, id).await.unwrap();
        let told = "SELECT actor || ' for ' || COALESCE(subject, 'themselves') FROM audit_event \
                    WHERE action = 'connection.connect' ORDER BY seq";
        let (ada, eve, chief) = (ada.principal.actor(), eve.principal.actor(), chief.principal.actor());
        let expected = [format!("{ada} for themselves"), format!("{chief} for {eve}")];
        assert_eq!(world.db.texts(told).await, expected, "{}", world.db.name);
    }
}

#[tokio::test]
async fn a_set_that_was_not_judged_yet_cannot_be_confirmed() {
    for db in databases().await {
        let down = Step::answer(503, &[], "down");
        let world = World::new(db, vec![tokens("1"), down.clone(), down.clone(), down]).await;
        let ada = world.member("ada").await;
        let state = world.start(&ada, "acme", "honest").await["state"].clone();
        let id = Uuid::try_parse(state.split_once('.').unwrap().0).unwrap();
        assert!(matches!(world.back(&ada, "honest", Some("acme"), &state).await, Err(Error::NotIdentified)));
        // As if the process had died while it asked whose account it is.
        world.db.sql("UPDATE signup SET stage = 'exchanged'").await;
        for refused in [
            world.signup.question(&ada, id).await.map(|_| ()),
            world.signup.confirm(&ada, id).await.map(|_| ()),
        ] {
            assert!(matches!(refused, Err(Error::NothingPending)), "{refused:?}");
        }
        assert!(world.connections(&ada, "acme").await.is_empty(), "{}", world.db.name);
    }
}
