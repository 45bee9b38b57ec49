//! Client secrets: replaced under load, and cheap to refuse. A13.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::replicas::Twins;
use super::{Client, World, ask, error, refusal, text};
use crate::support::app::Broker;
use crate::support::sql::Sql;

const FORM: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// The secret a program uses now, its id, and how often tokens came for the newest.
struct InUse {
    client: Client,
    id: String,
    minted: AtomicUsize,
}

/// Whoever mints holds the secret meanwhile, so that it is never deleted under a request.
async fn mint(broker: &Broker, in_use: &RwLock<InUse>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let held = in_use.read().await;
        let answer = ask(broker, "/o/token/", &held.client, &FORM).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        held.minted.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each new secret counts on both replicas from the moment it is told.
async fn replace(twins: &Twins, in_use: &RwLock<InUse>, over: &AtomicBool) {
    let house = &twins.world.house;
    let path = format!("/clients/{}/secrets", in_use.read().await.client.0);
    for _ in 0..10 {
        let made = house.write(Method::POST, &path, &json!({})).await;
        let old = {
            let mut held = in_use.write().await;
            let client = (held.client.0.clone(), text(&made["client_secret"]).to_owned());
            let new = InUse { client, id: text(&made["secret_id"]).to_owned(), minted: AtomicUsize::new(0) };
            std::mem::replace(&mut *held, new)
        };
        let gone = house.ask(Method::DELETE, &format!("/admin/v1{path}/{}", old.id), None).await;
        assert_eq!(gone.status(), 204);
        for broker in [&house.broker, &twins.other] {
            let refused = refusal(ask(broker, "/o/token/", &old.client, &FORM).await).await;
            assert_eq!(refused, error(401, "invalid_client"), "the old one is over");
        }
        while in_use.read().await.minted.load(Ordering::Relaxed) < 4 {
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
}

#[tokio::test]
async fn secrets_are_replaced_under_load_and_the_new_one_is_never_refused() {
    let Some(twins) = Twins::start().await else { return };
    let body = json!({"identifier": "pipeline", "kind": "service", "scopes": ["apps:read"]});
    let made = twins.world.house.write(Method::POST, "/clients", &body).await;
    let client = (text(&made["client_id"]).to_owned(), text(&made["client_secret"]).to_owned());
    let path = format!("/admin/v1/clients/{}", client.0);
    let shown: Value = twins.world.house.ask(Method::GET, &path, None).await.json().await.unwrap();
    let id = text(&shown["secrets"][0]["secret_id"]).to_owned();
    let in_use = RwLock::new(InUse { client, id, minted: AtomicUsize::new(0) });
    let over = AtomicBool::new(false);
    let (here, there) = (twins.world.broker(), &twins.other);
    tokio::join!(
        replace(&twins, &in_use, &over),
        mint(here, &in_use, &over),
        mint(there, &in_use, &over),
        mint(here, &in_use, &over),
        mint(there, &in_use, &over),
    );
    twins.stop().await;
}

/// The tables in which anything differs.
fn differing(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let tables = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
    tables.into_iter().filter(|table| before.get(*table) != after.get(*table)).cloned().collect()
}

#[tokio::test]
async fn a_wrong_secret_writes_nothing_to_the_database() {
    for world in World::each().await {
        // Two secrets live: the use of the older one is noted, the only write that comes with a secret.
        let (id, older) = world.shop.clone();
        world.house.write(Method::POST, &format!("/clients/{id}/secrets"), &json!({})).await;
        let sql = Sql::open(&world.house.home).await;
        let before = sql.contents().await;
        assert!(before.len() > 20 && before["client_secret"].len() > 2, "{:?}", before.keys());
        let wrong = |secret: &str| (id.clone(), secret.to_owned());
        let turned: String = older.chars().rev().collect();
        for client in [wrong("wrong"), wrong(&turned), ("A".repeat(22), "unknown".to_owned())] {
            for path in ["/o/token/", "/o/introspect/", "/o/revoke_token/", "/acme/sandbox/token"] {
                let form = [FORM[0], ("token", "x")];
                let basic = ask(world.broker(), path, &client, &form).await;
                let post = [("client_id", client.0.as_str()), ("client_secret", &client.1)];
                let post =
                    world.broker().http.post(world.broker().at(path)).form(&[&form[..], &post].concat());
                for answer in [basic, post.send().await.unwrap()] {
                    assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{path}");
                }
            }
        }
        let nothing: [&str; 0] = [];
        assert_eq!(differing(&before, &sql.contents().await), nothing, "{}", world.house.home.name);
        // The right one changes a row, and adds none to that table: a count would not have told.
        world.broker().token_of(&(id, older)).await;
        let after = sql.contents().await;
        assert!(differing(&before, &after).contains(&"client_secret".to_owned()));
        assert_eq!(before["client_secret"].len(), after["client_secret"].len());
        world.stop().await;
    }
}
