//! Do we have the faults that were seen in others of our kind? One test each, named by the fault.
//!
//! Elsewhere: a state that is not bound to the browser (`refusals`), secrets in logs (`canary`), ciphertexts moved by
//! SQL (`errors::broken`), fifty callers (`handout`), what a token for another audience does (`guard`).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jeton::sandbox::{Client, Faults, Profile, Rotation, Settings, Standard, TokenAuth, Trouble, start};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::Home;
use crate::support::house::{CLIENT, CLIENT_SECRET, House};
use crate::support::jar::Jar;
use crate::support::peer::skipped;
use crate::support::postgres;
use crate::support::problem::read;
use crate::support::sql::Sql;

const ROUTE: &str = "/acme/sandbox/binb-token";

async fn get(house: &House, query: &str) -> (u16, Value) {
    let answer = house.ask(Method::GET, &format!("{ROUTE}{query}"), None).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

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

/// Ada, whose app Acme reads Alice's account.
async fn connected(house: &House) -> Jar {
    house.app("acme", "Acme").await;
    house.credentials("sandbox", Some("acme")).await;
    let mut ada = Jar::new();
    ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
    consent(house, &mut ada).await;
    ada
}

async fn consent(house: &House, ada: &mut Jar) {
    let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
    let back = ada.decide(&authorize, "alice", "approve").await;
    let done = ada.get(back.as_str()).await;
    assert_eq!(done.status, 303, "{}", done.body);
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
async fn a_provider_error_while_the_token_lives_does_not_take_it_away() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults::before(Trouble::Status(500)));
        house.pass(3_560);
        let (status, handed) = get(&house, "").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{}", house.home.name);
        assert_eq!(handed["degraded"]["code"], "provider_unavailable", "{handed}");
        assert!(handed["degraded"]["since"].is_string() && handed["degraded"]["detail"].is_string());
        // Whoever asked for more than it gives is told what there is.
        let answer = house.ask(Method::GET, &format!("{ROUTE}?min_ttl=600"), None).await;
        let problem: Value = answer.json().await.unwrap();
        assert!(["provider_unavailable", "refresh_in_progress"].contains(&problem["code"].as_str().unwrap()));
        assert!((1..=40).contains(&problem["current_expires_in"].as_i64().unwrap()), "{problem}");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_forced_refresh_that_fails_does_not_take_the_token_from_the_others() {
    for house in House::each().await {
        let profile = json!({"refresh": {"rotates": false}, "identity": null});
        house.app("acme", "Acme").await;
        house.connector("plain", &profile).await;
        house.credentials("plain", Some("acme")).await;
        house.import("acme", "plain", &json!({})).await;
        house.faults(Faults::before(Trouble::Status(500)));
        let answer = house.ask(Method::GET, "/acme/plain/binb-token?rejected=1", None).await;
        read(answer, "provider_unavailable").await;
        let (status, handed) = house.binb_token("acme", "plain").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{}: {handed}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_token_of_ten_minutes_is_not_refreshed_on_every_read() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults { lifetime_s: Some(600), ..Faults::default() });
        house.pass(3_590);
        assert_eq!(get(&house, "").await.0, 200);
        for _ in 0..4 {
            house.pass(100);
            let (status, handed) = get(&house, "").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}", house.home.name);
        }
        assert_eq!(house.refreshes(), 1, "the first one; none of the four reads");
        house.stop().await;
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
async fn a_dead_grant_is_tried_once_and_kept_with_its_evidence() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.sandbox.handle().revoke_grants_of("alice");
        house.pass(7_200);
        for _ in 0..60 {
            let (status, problem) = get(&house, "").await;
            assert_eq!((status, &problem["code"]), (409, &json!("reauthorization_required")));
            assert_eq!((&problem["action"], &problem["reason"]), (&json!("reauthorize"), &json!("revoked")));
        }
        assert_eq!(house.refreshes(), 1, "{}", house.home.name);
        let sql = Sql::open(&house.home).await;
        assert_eq!(
            sql.count("token_set WHERE sealed_refresh IS NOT NULL AND sealed_access IS NOT NULL").await,
            1
        );
        let list = house.ask(Method::GET, "/admin/v1/connections?state=reauthorization_required", None).await;
        let list: Value = list.json().await.unwrap();
        assert_eq!(list["items"][0]["last_error"]["code"], "invalid_grant", "{list}");
        house.stop().await;
    }
}

#[tokio::test]
async fn an_error_in_a_200_is_a_refusal_and_not_our_500() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults::before(Trouble::error_with_200("bad_refresh_token")));
        house.pass(7_200);
        let (status, problem) = get(&house, "").await;
        assert_eq!((status, &problem["reason"]), (409, &json!("revoked")), "{}: {problem}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn the_word_error_in_an_answer_is_no_error() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.faults(Faults { scope: Some("error.log read".into()), ..Faults::default() });
        house.pass(7_200);
        let (status, handed) = get(&house, "").await;
        assert_eq!((status, &handed["scope"]), (200, &json!("error.log read")), "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn five_rotations_in_a_row_of_a_github_app() {
    for house in House::each().await {
        house.app("acme", "Acme").await;
        let client = json!({"client_id": "sandbox-github-app", "client_secret": CLIENT_SECRET});
        house.write(Method::PUT, "/apps/acme/connectors/github-app/credentials", &client).await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        let authorize = ada.start(&house.broker.at("/acme/github-app/signup")).await;
        let back = ada.decide(&authorize, "alice", "approve").await;
        let done = ada.get(back.as_str()).await;
        assert_eq!(done.status, 303, "{}", done.body);
        let mut tokens = vec![house.binb_token("acme", "github-app").await.1["access_token"].clone()];
        for generation in 2..=6 {
            house.pass(28_790);
            let (status, handed) = house.binb_token("acme", "github-app").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(generation)), "{handed}");
            assert!(!tokens.contains(&handed["access_token"]));
            tokens.push(handed["access_token"].clone());
        }
        let spent = house.sandbox.handle().ledger().refresh_tokens;
        assert_eq!(spent.iter().map(|token| token.presented).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 0]);
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

#[tokio::test]
async fn an_unknown_client_costs_no_more_than_a_wrong_secret() {
    for house in House::each().await {
        let (id, secret) = house.broker.superadmin.clone();
        let cases = [(id.as_str(), secret.as_str()), (&id, "wrong"), ("nobody", "wrong")];
        let mut took = [const { Vec::new() }; 3];
        for _ in 0..15 {
            for ((id, secret), took) in cases.iter().zip(&mut took) {
                let request =
                    house.broker.http.post(house.broker.at("/o/token/")).basic_auth(id, Some(secret));
                let begun = Instant::now();
                request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
                took.push(begun.elapsed());
            }
        }
        let [right, wrong, unknown] = took.map(|mut took| {
            took.sort();
            took[took.len() / 2]
        });
        let told = format!("{}: {right:?} {wrong:?} {unknown:?}", house.home.name);
        assert!(
            wrong <= right + Duration::from_millis(20) && unknown <= right + Duration::from_millis(20),
            "{told}"
        );
        assert!(wrong < unknown * 4 && unknown < wrong * 4, "{told}");
        house.stop().await;
    }
}

#[tokio::test]
async fn an_omitted_refresh_token_keeps_the_old_one() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let faults = Faults { rotation: Some(Rotation::None), omit_refresh_token: true, ..Faults::default() };
        house.faults(faults.on_refresh());
        for generation in 2..=4 {
            house.pass(7_200);
            let (status, handed) = get(&house, "").await;
            assert_eq!((status, &handed["generation"]), (200, &json!(generation)), "{handed}");
        }
        let seen = house.sandbox.handle().ledger().refresh_tokens;
        assert_eq!(seen.iter().map(|token| token.presented).collect::<Vec<_>>(), [3], "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_rotated_token_is_not_overwritten_by_the_old_one() {
    for house in House::each().await {
        house.connected_app("acme").await;
        for _ in 0..3 {
            house.pass(7_200);
            assert_eq!(get(&house, "").await.0, 200);
        }
        let seen = house.sandbox.handle().ledger().refresh_tokens;
        assert_eq!(seen.iter().map(|token| token.presented).collect::<Vec<_>>(), [1, 1, 1, 0]);
        house.stop().await;
    }
}

#[tokio::test]
async fn an_abandoned_or_denied_consent_changes_nothing() {
    for house in House::each().await {
        let mut ada = connected(&house).await;
        let before = get(&house, "").await;
        let status = async || -> Value {
            house.ask(Method::GET, "/acme/sandbox/status", None).await.json().await.unwrap()
        };
        let stood = status().await;
        ada.start(&house.broker.at("/acme/sandbox/signup")).await;
        let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
        let back = ada.decide(&authorize, "alice", "deny").await;
        assert!(ada.get(back.as_str()).await.status.is_client_error());
        house.pass(700);
        let after = get(&house, "").await;
        assert_eq!(
            (&after.1["access_token"], &after.1["generation"]),
            (&before.1["access_token"], &before.1["generation"])
        );
        assert_eq!(status().await, stood);
        house.pass(7_200);
        assert_eq!(get(&house, "").await.1["generation"], 2, "{}: and it is refreshed", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_provider_that_takes_one_way_of_authentication_survives_its_first_refresh() {
    for (auth, name) in [(TokenAuth::Post, "post"), (TokenAuth::Basic, "basic")] {
        for home in Home::each().await {
            let clock = std::sync::Arc::new(jeton::model::time::ShiftedClock::default());
            let client = Client {
                any_loopback_redirect: true,
                token_auth: auth,
                ..Client::new(CLIENT, Profile::Standard(Standard::default()))
            };
            let settings = Settings { clients: vec![client], ..Settings::new(([127, 0, 0, 1], 0).into()) };
            let entropy = std::sync::Arc::new(jeton::model::entropy::SystemEntropy);
            let sandbox = start(settings, clock.clone(), entropy).unwrap();
            let house = House::with(home, sandbox, clock, &[]).await;
            house.app("acme", "Acme").await;
            house.connector("strict", &json!({"token_auth": name})).await;
            house.credentials("strict", Some("acme")).await;
            let mut ada = Jar::new();
            ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
            let authorize = ada.start(&house.broker.at("/acme/strict/signup")).await;
            let back = ada.decide(&authorize, "alice", "approve").await;
            assert_eq!(ada.get(back.as_str()).await.status, 303, "{name}");
            for generation in 2..=3 {
                house.pass(7_200);
                let (status, handed) = house.binb_token("acme", "strict").await;
                assert_eq!((status, &handed["generation"]), (200, &json!(generation)), "{name}: {handed}");
            }
            house.stop().await;
        }
    }
}

#[tokio::test]
async fn status_tells_a_revoked_grant_once_it_is_known() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.sandbox.handle().revoke_grants_of("alice");
        let status = async || -> Value {
            house.ask(Method::GET, "/acme/sandbox/status", None).await.json().await.unwrap()
        };
        assert_eq!(status().await["state"], "active", "nobody has asked the provider yet");
        // A job does; its token is refused, so is the refresh.
        let (code, problem) = get(&house, "?rejected=1").await;
        assert_eq!((code, &problem["code"]), (409, &json!("reauthorization_required")), "{problem}");
        let told = status().await;
        assert_eq!(
            (&told["state"], &told["reason"]),
            (&json!("reauthorization_required"), &json!("revoked"))
        );
        assert_eq!(told["last_error"]["code"], "invalid_grant", "{told}");
        let list: Value = house.ask(Method::GET, "/admin/v1/connections", None).await.json().await.unwrap();
        assert_eq!(list["items"][0]["state"], "reauthorization_required", "{}", house.home.name);
        house.stop().await;
    }
}
