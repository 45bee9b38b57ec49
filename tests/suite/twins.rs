//! Does the contract of the hand-out hold when every request goes to the other replica than the one before?

use std::cell::Cell;

use futures_util::future::join_all;
use jeton::sandbox::{Faults, Trouble};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::app::{Broker, Home};
use crate::support::house::{CLIENT, House};
use crate::support::peer::skipped;
use crate::support::postgres;
use crate::support::problem::read;

const ROUTE: &str = "/acme/sandbox/binb-token";

/// Two replicas on one PostgreSQL, asked by turns; Acme is connected.
struct Twins {
    house: House,
    other: Broker,
    turn: Cell<bool>,
    bearer: String,
}

impl Twins {
    async fn start() -> Option<Self> {
        if !postgres::is_here() {
            return skipped("the contract on two replicas: JETON_TEST_POSTGRES_URL names no PostgreSQL");
        }
        let house = House::on(Home::postgres().await, &[]).await;
        let other = house.replica(&[]).await;
        house.connected_app("acme").await;
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        Some(Self { house, other, turn: Cell::new(false), bearer })
    }

    /// The replica whose turn it is.
    fn next(&self) -> &Broker {
        self.turn.set(!self.turn.get());
        if self.turn.get() { &self.house.broker } else { &self.other }
    }

    /// Lets time pass, and has a token that is still good then.
    async fn pass(&mut self, seconds: i64) {
        self.house.pass(seconds);
        self.bearer = self.next().token_of(&self.house.broker.superadmin).await;
    }

    async fn get(&self, path: &str) -> Response {
        let broker = self.next();
        broker.http.get(broker.at(path)).bearer_auth(&self.bearer).send().await.unwrap()
    }

    /// A hand-out that must succeed.
    async fn handed(&self, query: &str) -> Value {
        let answer = self.get(&format!("{ROUTE}{query}")).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{query}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn refused(&self, query: &str, code: &str) -> Value {
        read(self.get(&format!("{ROUTE}{query}")).await, code).await
    }

    /// Refreshes, and other calls, that reached the provider.
    fn spent(&self) -> (usize, u64) {
        (self.house.refreshes(), self.house.counted().api_calls)
    }

    async fn stop(self) {
        self.other.stop().await;
        self.house.stop().await;
    }
}

#[tokio::test]
async fn a_flow_is_chosen_alike_by_both() {
    let Some(twins) = Twins::start().await else { return };
    for flow in ["a", "b"] {
        twins.house.import("acme", "github", &json!({"flow": flow})).await;
    }
    for _ in 0..2 {
        let answer = twins.get("/acme/github/binb-token").await;
        assert_eq!(read(answer, "ambiguous_connection").await["flows"], json!(["a", "b"]));
        for query in ["flow=a", "auth_flow_id=b"] {
            let handed: Value =
                twins.get(&format!("/acme/github/binb-token?{query}")).await.json().await.unwrap();
            assert_eq!(handed["flow"], query[query.len() - 1..], "{handed}");
        }
        assert_eq!(twins.handed("").await["flow"], "default");
        read(twins.get(&format!("{ROUTE}?flow=none")).await, "connection_not_found").await;
    }
    assert_eq!(twins.spent(), (0, 0));
    twins.stop().await;
}

#[tokio::test]
async fn a_lifetime_is_met_or_refused_and_costs_one_refresh_of_both() {
    let Some(mut twins) = Twins::start().await else { return };
    // Of an import the lifetime is not known yet.
    twins.pass(7_200).await;
    assert_eq!(twins.handed("").await["generation"], 2);
    let longest = twins.refused("?min_ttl=86400", "ttl_unsatisfiable").await;
    assert_eq!(twins.refused("?min_ttl=86400", "ttl_unsatisfiable").await["max_ttl"], longest["max_ttl"]);
    for _ in 0..2 {
        assert_eq!(twins.handed("?min_ttl=1800").await["generation"], 2);
    }
    assert_eq!(twins.spent(), (1, 0), "decided without a call");
    twins.pass(2_400).await;
    for _ in 0..2 {
        assert_eq!(twins.handed("").await["generation"], 2, "good for whoever asks for nothing");
    }
    let answers = join_all((0..10).map(|_| twins.handed("?min_ttl=1800"))).await;
    assert!(answers.iter().all(|answer| answer["generation"] == 3), "{answers:?}");
    let token = &answers[0]["access_token"];
    for query in ["", "?min_ttl=1800"] {
        let handed = twins.handed(query).await;
        assert_eq!((&handed["access_token"], &handed["refreshed"]), (token, &json!(false)), "{handed}");
    }
    let longest = longest["max_ttl"].as_i64().unwrap();
    assert!(twins.handed(&format!("?min_ttl={longest}")).await["expires_in"].as_i64().unwrap() >= longest);
    assert_eq!(twins.spent(), (2, 0));
    twins.stop().await;
}

#[tokio::test]
async fn a_rejected_token_is_judged_once_for_both_and_a_loop_burns_nothing() {
    let Some(mut twins) = Twins::start().await else { return };
    twins.pass(7_200).await;
    assert_eq!(twins.handed("").await["generation"], 2);
    for _ in 0..4 {
        let handed = twins.handed("?rejected=1").await;
        assert_eq!((&handed["generation"], &handed["degraded"]), (&json!(2), &Value::Null), "{handed}");
    }
    assert_eq!(twins.spent(), (1, 0), "the token of an old generation costs no call");
    let mut told = Vec::new();
    for _ in 0..7 {
        let handed = twins.handed("?rejected=2").await;
        assert_eq!(handed["generation"], 2, "{handed}");
        told.push(handed["degraded"]["code"].as_str().unwrap().to_owned());
    }
    let (asked, throttled) = told.split_at(3);
    assert_eq!(asked, ["rejection_not_confirmed"; 3], "the provider says that the token works");
    assert_eq!(throttled, ["rejection_throttled"; 4], "counted over both");
    assert_eq!(twins.spent(), (1, 3), "three looks at the provider, no refresh");
    twins.stop().await;
}

#[tokio::test]
async fn who_does_not_wait_begins_one_refresh_that_the_other_replica_waits_for() {
    let Some(mut twins) = Twins::start().await else { return };
    twins.house.faults(Faults { slow_head_ms: Some(1_500), ..Faults::default() });
    twins.pass(7_200).await;
    for _ in 0..4 {
        let answer = twins.get(&format!("{ROUTE}?wait=0")).await;
        assert!(answer.headers().contains_key("retry-after"));
        let problem = read(answer, "refresh_in_progress").await;
        assert_eq!(problem["current_expires_in"], Value::Null, "{problem}");
    }
    let answers = join_all((0..6).map(|_| twins.handed(""))).await;
    assert!(answers.iter().all(|answer| answer["access_token"] == answers[0]["access_token"]), "{answers:?}");
    assert_eq!((twins.spent(), &answers[0]["generation"]), ((1, 0), &json!(2)));
    twins.stop().await;
}

#[tokio::test]
async fn both_tell_the_same_status_and_spend_nothing_for_it() {
    let Some(mut twins) = Twins::start().await else { return };
    let status = async |twins: &Twins| -> Value {
        let told: Value = twins.get("/acme/sandbox/status").await.json().await.unwrap();
        let again: Value = twins.get("/acme/sandbox/status").await.json().await.unwrap();
        assert_eq!(told, again);
        told
    };
    assert_eq!(status(&twins).await["state"], "active");
    twins.pass(7_200).await;
    assert_eq!((&status(&twins).await["generation"], twins.spent()), (&json!(1), (0, 0)));
    twins.house.sandbox.handle().revoke_grants_of("alice");
    for _ in 0..4 {
        let problem = twins.refused("", "reauthorization_required").await;
        assert_eq!(problem["reason"], "revoked", "{problem}");
    }
    assert_eq!(status(&twins).await["reason"], "revoked");
    assert_eq!(twins.spent(), (1, 0), "parked for both after one call");
    twins.stop().await;
}

#[tokio::test]
async fn an_outage_leaves_the_living_token_and_one_back_off_for_both() {
    let Some(mut twins) = Twins::start().await else { return };
    twins.house.faults(Faults::before(Trouble::Status(500)));
    twins.pass(3_570).await;
    for _ in 0..4 {
        let handed = twins.handed("").await;
        assert_eq!(
            (&handed["generation"], &handed["degraded"]["code"]),
            (&json!(1), &json!("provider_unavailable"))
        );
    }
    for _ in 0..2 {
        let answer = twins.get(&format!("{ROUTE}?min_ttl=600")).await;
        assert!(answer.headers().contains_key("retry-after"));
        let problem: Value = answer.json().await.unwrap();
        assert_eq!((&problem["status"], &problem["action"]), (&json!(503), &json!("retry")), "{problem}");
        assert!((1..=30).contains(&problem["current_expires_in"].as_i64().unwrap()), "{problem}");
    }
    let sent = twins.house.counted().token_requests["refresh_token"];
    assert_eq!(sent, 1, "one call of both, then the connection is left alone");
    twins.stop().await;
}

#[tokio::test]
async fn tools_that_speak_oauth_alone_are_served_by_both() {
    let Some(mut twins) = Twins::start().await else { return };
    twins.pass(7_200).await;
    let (id, secret) = twins.house.broker.superadmin.clone();
    let form = [("grant_type", "client_credentials"), ("min_ttl", "60")];
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let broker = twins.next();
        let request = broker.http.post(broker.at("/acme/sandbox/token")).basic_auth(&id, Some(&secret));
        let answer = request.form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let given: Value = answer.json().await.unwrap();
        tokens.push(given["access_token"].clone());
    }
    assert_eq!(vec![twins.handed("").await["access_token"].clone(); 4], tokens);
    assert_eq!(twins.house.sandbox.handle().ledger().clients[CLIENT].token_requests["refresh_token"], 1);
    let broker = twins.next();
    let wrong = broker.http.post(broker.at("/acme/sandbox/token")).basic_auth(&id, Some("wrong")).form(&form);
    let refused = wrong.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_client");
    twins.stop().await;
}

#[tokio::test]
async fn a_write_at_one_replica_is_seen_by_the_next_hand_out_of_the_other() {
    let Some(twins) = Twins::start().await else { return };
    assert_eq!(twins.handed("").await["generation"], 1);
    let sent = twins.house.import("acme", "sandbox", &json!({"replace": true})).await;
    for _ in 0..2 {
        let handed = twins.handed("").await;
        assert_eq!((&handed["generation"], &handed["access_token"]), (&json!(2), &sent["access_token"]));
    }
    let path = "/admin/v1/apps/acme/connections/sandbox";
    assert!(twins.house.ask(Method::DELETE, path, None).await.status().is_success());
    for _ in 0..2 {
        twins.refused("", "connection_not_found").await;
    }
    twins.stop().await;
}
