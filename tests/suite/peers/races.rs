//! Who comes at the same moment, and spends or takes what another needs?

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jeton::sandbox::{Faults, Trouble};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ROUTE, connected, get};
use crate::support::app::Home;
use crate::support::house::House;
use crate::support::peer::skipped;
use crate::support::postgres;
use crate::support::problem::read;

async fn until_sent(house: &House, times: usize) {
    while house.refreshes() < times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_provider_slower_than_the_lock_does_not_get_the_token_twice() {
    if !postgres::is_here() {
        return skipped("two brokers on one PostgreSQL: JETON_TEST_POSTGRES_URL names none")
            .unwrap_or_default();
    }
    let keys = [("refresh.lease_s", "6"), ("refresh.timeout_s", "1"), ("refresh.connect_timeout_s", "1")];
    let house = House::on(Home::postgres().await, &keys).await;
    let replica = house.replica(&keys).await;
    house.connected_app("acme").await;
    house.pass(7_200);
    // The provider does its work, later than anybody waits for it.
    house.faults(Faults { delay_ms: Some(2_500), ..Faults::default() });
    let bearer = house.broker.token_of(&house.broker.superadmin).await;
    let ask = async |url: &str| {
        let url = format!("{url}{ROUTE}?wait=3");
        let answer = house.broker.http.get(url).bearer_auth(&bearer).send().await.unwrap();
        read(answer, "refresh_in_progress").await
    };
    tokio::join!(ask(&house.broker.url), ask(&replica.url));
    // The lock has lapsed; what the provider did nobody knows.
    house.pass(60);
    tokio::join!(ask(&house.broker.url), ask(&replica.url));
    assert_eq!(house.refreshes(), 1);
    replica.stop().await;
    house.stop().await;
}

#[tokio::test]
async fn a_slow_provider_gets_the_token_once_from_two_brokers() {
    if !postgres::is_here() {
        return skipped("two brokers on one PostgreSQL: JETON_TEST_POSTGRES_URL names none")
            .unwrap_or_default();
    }
    let house = House::on(Home::postgres().await, &[]).await;
    let replica = house.replica(&[]).await;
    house.connected_app("acme").await;
    house.pass(7_200);
    house.faults(Faults { delay_ms: Some(11_000), ..Faults::default() });
    let bearer = house.broker.token_of(&house.broker.superadmin).await;
    let ask = async |url: &str| -> Value {
        let answer =
            house.broker.http.get(format!("{url}{ROUTE}")).bearer_auth(&bearer).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    };
    let callers = (0..100).map(|number| ask(if number % 2 == 0 { &house.broker.url } else { &replica.url }));
    let answers = join_all(callers).await;
    assert!(answers.iter().all(|answer| answer["access_token"] == answers[0]["access_token"]));
    assert_eq!(answers[0]["generation"], 2);
    assert_eq!(house.refreshes(), 1);
    replica.stop().await;
    house.stop().await;
}

#[tokio::test]
async fn a_reconnect_while_a_refresh_is_under_way_stays() {
    for trouble in [None, Some(Trouble::invalid_grant())] {
        for house in House::each().await {
            let mut ada = connected(&house).await;
            house.pass(3_590);
            let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
            let back = ada.decide(&authorize, "alice", "approve").await;
            let faults = Faults { delay_ms: Some(800), before: trouble.clone(), ..Faults::default() };
            house.faults(faults.on_refresh());
            let (refreshed, ()) = tokio::join!(get(&house, "?min_ttl=600"), async {
                until_sent(&house, 1).await;
                assert_eq!(ada.get(back.as_str()).await.status, 303);
            });
            house.faults(Faults::default());
            assert_eq!(refreshed.0, 200, "{}: {}", house.home.name, refreshed.1);
            let (status, handed) = get(&house, "").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}: {handed}", house.home.name);
            assert_eq!(handed["degraded"], Value::Null);
            // It is the consent's own: refreshing it works.
            house.pass(7_200);
            assert_eq!(get(&house, "").await.0, 200, "{}", house.home.name);
            house.stop().await;
        }
    }
}

#[tokio::test]
async fn a_fresh_token_does_not_wait_behind_a_refresh() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.connected_app("globex").await;
        house.faults(Faults { delay_ms: Some(3_000), ..Faults::default() });
        house.pass(600);
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let read = async |path: &str| -> Value {
            let url = house.broker.at(path);
            let answer = house.broker.http.get(url).bearer_auth(&bearer).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.json().await.unwrap()
        };
        let reads = async || {
            let mut took = Vec::new();
            for path in [ROUTE, "/globex/sandbox/binb-token", "/acme/sandbox/status"].repeat(7) {
                let begun = Instant::now();
                let answer = read(path).await;
                took.push(begun.elapsed());
                assert_eq!(answer["generation"], 1, "{path}");
            }
            took.sort();
            took
        };
        let idle = reads().await;
        // More life than the token in hand has: a refresh. The same connection's token is fresh for whoever asks less.
        let slow = get(&house, "?min_ttl=3200");
        let fast = async {
            until_sent(&house, 1).await;
            reads().await
        };
        let begun = Instant::now();
        let ((status, handed), took) = tokio::join!(slow, fast);
        assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{handed}");
        assert!(begun.elapsed() >= Duration::from_millis(3_000), "the refresh was slow");
        // Builds and machines differ: reads without a refresh beside them are the measure, and none waits for it.
        let (median, usual) = (took[took.len() / 2], idle[idle.len() / 2].max(Duration::from_millis(10)));
        assert!(median < usual * 4, "{}: {took:?} beside {idle:?}", house.home.name);
        assert!(took[took.len() - 1] < Duration::from_millis(1_500), "{}: {took:?}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_forced_refresh_is_not_dropped_when_another_call_is_in_flight() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        house.connector("blind", &json!({"identity": null})).await;
        house.credentials("blind", Some("acme")).await;
        house.import("acme", "blind", &json!({})).await;
        house.faults(Faults { delay_ms: Some(500), ..Faults::default() });
        let ask = async |query: &str| -> Value {
            let answer = house.ask(Method::GET, &format!("/acme/blind/binb-token?{query}"), None).await;
            assert_eq!(answer.status(), 200, "{query}");
            answer.json().await.unwrap()
        };
        let others = async {
            until_sent(&house, 1).await;
            tokio::join!(ask("rejected=1"), ask("min_ttl=60"))
        };
        let (forced, (late, reader)) = tokio::join!(ask("rejected=1"), others);
        for answer in [&forced, &late] {
            assert_eq!(answer["generation"], 2, "{answer}");
        }
        assert_eq!(reader["generation"], 1, "who rejects nothing keeps the live token");
        assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        // Of a generation that is over nothing is refreshed.
        assert_eq!(ask("rejected=1").await["generation"], 2);
        assert_eq!(house.refreshes(), 1);
        house.stop().await;
    }
}
