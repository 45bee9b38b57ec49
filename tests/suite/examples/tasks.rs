//! Do three services get a job done with tokens of their own, while nobody else can start, end or read anything?

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{call, house, house_at, prepare, tampered, token};
use crate::support::app::Home;
use crate::support::documented::Example;
use crate::support::sql::Sql;

pub(super) const SAMPLE: &str = include_str!("../../../examples/tasks/env.example");

fn uri(name: &str) -> String {
    format!("https://tasks.example.com/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn services_call_each_other_and_nobody_else_can_start_end_or_read() {
    for home in Home::each().await {
        let (house, folder) = house(home).await;
        prepare(&house, &folder, "### A coordinator and two services\n").await;
        let [coordinator, extract, load] = ["coordinator", "extract", "load"].map(uri);
        let may_start = token(&house, "a", &extract, &["tasks:start"]).await;
        let may_read = token(&house, "b", &extract, &["tasks:read"]).await;
        let may_end = token(&house, "c", &coordinator, &["tasks:end"]).await;
        let elsewhere = token(&house, "d", &load, &["tasks:start"]).await;
        let superadmin = house.broker.token_of(&house.broker.superadmin).await;
        let [signature, claims] = tampered(&may_start, &may_end);

        let own = [("JETON_URL", house.broker.url.as_str()), ("JETON_SECRETS_DIR", &folder), ("WORK_S", "2")];
        let mut example = Example::start("tasks", &own);
        let [coordinator, extract, load] =
            [example.address().await, example.address().await, example.address().await];
        let task = json!({"task": "nightly-load"});
        let start = format!("{extract}/api/start-task/");
        let read = format!("{extract}/api/read-task/nightly-load/");
        let end = format!("{coordinator}/api/end-task/");
        let ways = [(Method::POST, &start), (Method::GET, &read), (Method::POST, &end)];
        for bad in [None, Some(&superadmin), Some(&elsewhere), Some(&signature), Some(&claims)] {
            let bad = bad.map(String::as_str);
            for (method, url) in &ways {
                let status = call(&house, method.clone(), url, bad, &task).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{url}");
            }
        }
        for (method, url, token, status) in [
            // One service's token opens no other, and one scope no other.
            (Method::POST, format!("{load}/api/start-task/"), &may_start, 401),
            (Method::POST, start.clone(), &may_end, 401),
            (Method::POST, end.clone(), &may_start, 401),
            (Method::POST, start.clone(), &may_read, 403),
            (Method::GET, read.clone(), &may_start, 403),
            (Method::GET, read.clone(), &may_read, 404),
        ] {
            assert_eq!(call(&house, method, &url, Some(token), &task).await.as_u16(), status, "{url}");
        }

        // Who may say that a task has ended does not end it by that.
        let early = json!({"task": "nightly-extract"});
        assert_eq!(call(&house, Method::POST, &end, Some(&may_end), &early).await, StatusCode::NO_CONTENT);

        for expected in ["extract: ended, 42 rows", "load: ended, 42 rows", "2 tasks ended"] {
            assert_eq!(example.line().await, expected);
        }
        let (code, rest, log) = example.end().await;
        assert_eq!((code, rest.as_str()), (Some(0), ""), "{log}");
        assert!(log.contains("starts the task `nightly-load`"), "{log}");
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_once_for_its_token_for_a_service_however_often_it_calls() {
    let (house, folder) = house_at(Home::sqlite(), time::Duration::ZERO).await;
    prepare(&house, &folder, "### A coordinator and two services\n").await;
    let own = [("JETON_URL", house.broker.url.as_str()), ("JETON_SECRETS_DIR", &folder), ("WORK_S", "2")];
    let mut example = Example::start("tasks", &own);
    let (code, _, log) = example.end().await;
    assert_eq!(code, Some(0), "{log}");
    let sql = Sql::open(&house.home).await;
    // The coordinator calls two services, each twice; each of these has an audience of its own.
    for (client, tokens) in [("coordinator", 2), ("extract", 1), ("load", 1)] {
        let of = format!(
            "audit_event WHERE action = 'token.issue' AND actor = (SELECT 'client:' || client_id FROM client WHERE identifier = '{client}')"
        );
        assert_eq!(sql.count(&of).await, tokens, "{client}: {log}");
    }
    house.stop().await;
}
