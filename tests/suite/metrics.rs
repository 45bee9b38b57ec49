//! What do the figures tell whoever watches, and whom do they tell nothing?

use std::net::TcpListener;
use std::sync::Arc;

use jeton::sandbox::{Faults, Trouble};
use reqwest::Method;
use serde_json::json;

use crate::support::app::http;
use crate::support::house::House;
use crate::support::problem::read;
use crate::support::provider::sandbox;
use crate::support::sql::Sql;

async fn figures(house: &House) -> String {
    let answer = house.ask(Method::GET, "/metrics", None).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

/// The value of one line, as written.
#[track_caller]
pub(crate) fn value<'t>(text: &'t str, figure: &str) -> &'t str {
    let found = text.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {figure} in\n{text}"))
}

#[tokio::test]
async fn hand_outs_refreshes_and_states_are_counted() {
    for house in House::each().await {
        house.connected_app("acme").await;
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 200);
        house.pass(3_600);
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 200);
        house.pass(3_600);
        house.faults(Faults { before: Some(Trouble::RateLimited { retry_after_s: 5 }), ..Faults::default() });
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 503);
        assert_eq!(house.binb_token("acme", "nothing").await.0, 404);
        house.faults(Faults::default());
        house
            .import("acme", "sandbox", &json!({"flow": "own-flow", "refresh_token": null, "expires_in": 1}))
            .await;
        house.pass(2);

        let text = figures(&house).await;
        for (figure, expected) in [
            (r#"jeton_handouts_total{result="ok"}"#, "2"),
            (r#"jeton_handouts_total{result="provider_unavailable"}"#, "1"),
            (r#"jeton_handouts_total{result="connector_not_found"}"#, "1"),
            (r#"jeton_handouts_total{result="degraded"}"#, "0"),
            (r#"jeton_refreshes_total{connector="sandbox",result="ok"}"#, "1"),
            (r#"jeton_refreshes_total{connector="sandbox",result="rate_limited"}"#, "1"),
            (r#"jeton_refresh_duration_seconds_count{connector="sandbox"}"#, "2"),
            (r#"jeton_connections{connector="sandbox",state="active"}"#, "1"),
            // Over, and it cannot be refreshed: told as people are told it.
            (r#"jeton_connections{connector="sandbox",state="reauthorization_required"}"#, "1"),
            (r#"jeton_http_requests_total{route="/{app_id}/{connector}/binb-token",status="200"}"#, "2"),
            (r#"jeton_http_requests_total{route="/{app_id}/{connector}/binb-token",status="503"}"#, "1"),
            ("jeton_database_up", "1"),
            ("jeton_audit_waiting_records", "0"),
            ("jeton_audit_lag_seconds", "0"),
            (r#"jeton_spool_records{kind="answer"}"#, "0"),
            (r#"jeton_spool_records{kind="audit"}"#, "0"),
        ] {
            assert_eq!(value(&text, figure), expected, "{figure} on {}", house.home.name);
        }
        let open: u32 = value(&text, r#"jeton_database_connections{state="open"}"#).parse().unwrap();
        assert!(open >= 1);
        for told in ["acme", "own-flow", "alice"] {
            assert!(!text.contains(told), "{told} in\n{text}");
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn figures_are_shown_to_an_unconfined_superadmin_alone() {
    let house = House::start().await;
    let url = house.broker.at("/metrics");
    read(http().get(&url).send().await.unwrap(), "unauthenticated").await;
    let scopes = json!(["binb:read", "connections:read"]);
    for (body, code) in [
        (json!({"identifier": "nobody", "kind": "service", "scopes": scopes}), Some("forbidden")),
        (
            json!({"identifier": "job", "kind": "service", "role": "superadmin", "scopes": scopes, "allow": ["*/*"]}),
            Some("forbidden"),
        ),
        (
            json!({"identifier": "other", "kind": "service", "role": "superadmin", "scopes": ["apps:read"]}),
            Some("forbidden"),
        ),
        (
            json!({"identifier": "watch", "kind": "service", "role": "superadmin", "scopes": ["connections:read"]}),
            None,
        ),
    ] {
        let client = house.client(&body).await;
        let token = house.broker.token_of(&client).await;
        let answer = http().get(&url).bearer_auth(token).send().await.unwrap();
        match code {
            Some(code) => drop(read(answer, code).await),
            None => assert_eq!(answer.status(), 200, "{body}"),
        }
    }
    read(house.ask(Method::GET, "/metrics?x=1", None).await, "invalid_request").await;
    read(house.ask(Method::POST, "/metrics", None).await, "method_not_allowed").await;
    house.stop().await;
}

#[tokio::test]
async fn a_listener_of_their_own_shows_them_to_whoever_asks_and_the_main_one_no_more() {
    let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let home = crate::support::app::Home::sqlite();
    let keys = [("metrics.listen", own.as_str())];
    let house =
        House::with(home, sandbox(Arc::new(jeton::model::time::SystemClock)), Arc::default(), &keys).await;
    read(house.ask(Method::GET, "/metrics", None).await, "not_found").await;
    let answer = http().get(format!("http://{own}/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert_eq!(value(&text, r#"jeton_http_requests_total{route="/metrics",status="404"}"#), "1");
    for path in ["/", "/healthz", "/acme/sandbox/binb-token", "/admin/v1/apps"] {
        let answer = http().get(format!("http://{own}{path}")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (404, ""), "{path}");
    }
    house.stop().await;
    assert!(http().get(format!("http://{own}/metrics")).send().await.is_err(), "it ends with the broker");
}

#[tokio::test]
async fn figures_are_shown_while_the_database_does_not_answer() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let token = house.broker.token_of(&house.broker.superadmin).await;
        let ask = async || {
            let answer = http().get(house.broker.at("/metrics")).bearer_auth(&token).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.text().await.unwrap()
        };
        assert_eq!(value(&ask().await, r#"jeton_connections{connector="sandbox",state="active"}"#), "1");
        let sql = Sql::open(&house.home).await;
        sql.run("ALTER TABLE connection RENAME TO gone").await;
        let text = ask().await;
        assert_eq!(value(&text, "jeton_database_up"), "0");
        assert_eq!(value(&text, r#"jeton_connections{connector="sandbox",state="active"}"#), "NaN");
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 503);
        assert_eq!(value(&ask().await, r#"jeton_handouts_total{result="storage_unavailable"}"#), "1");
        sql.run("ALTER TABLE gone RENAME TO connection").await;
        assert_eq!(value(&ask().await, "jeton_database_up"), "1");
        house.stop().await;
    }
}
