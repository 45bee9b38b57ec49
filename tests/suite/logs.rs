//! Can a line of the log be traced back to its request, by the trace id that the caller was told?

use jeton::sandbox::{Faults, Trouble};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Home, http};
use crate::support::house::CLIENT;
use crate::support::problem::read;
use crate::support::served::Served;

#[tokio::test]
async fn every_line_of_a_failed_refresh_carries_the_trace_id_of_the_answer() {
    let home = Home::sqlite();
    let served = Served::start(&home, &[("JETON_LOG_FORMAT", "json"), ("JETON_LOG", "info")]).await;
    served.connected_app("acme", 1).await;
    served
        .sandbox
        .handle()
        .set_faults(
            CLIENT,
            Faults { before: Some(Trouble::RateLimited { retry_after_s: 5 }), ..Faults::default() },
        )
        .unwrap();
    let answer = served.ask(Method::GET, "/acme/sandbox/binb-token?min_ttl=600", None).await;
    let problem = read(answer, "provider_unavailable").await;
    let lost = read(served.ask(Method::GET, "/nobody/sandbox/binb-token", None).await, "app_not_found").await;
    served.sandbox.handle().set_faults(CLIENT, Faults::default()).unwrap();
    let (code, log) = served.serving.terminate();
    assert_eq!(code, Some(0));

    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}"));
    let lines: Vec<Value> = log.lines().map(parse).collect();
    for line in &lines {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
    let of = |problem: &Value| -> Vec<&Value> {
        lines.iter().filter(|line| line["trace_id"] == problem["trace_id"]).collect()
    };
    let with = |message: &str| {
        let found = of(&problem).into_iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("no {message:?} of {} in\n{log}", problem["trace_id"]))
    };
    let answered = with("GET /{app_id}/{connector}/binb-token answered 503");
    assert_eq!((&answered["code"], &answered["status"]), (&"provider_unavailable".into(), &503.into()));
    // The refresh ran as a task of its own.
    let failed = with("a refresh did not succeed");
    assert_eq!((&failed["flow"], &failed["level"]), (&"default".into(), &"WARN".into()));
    for line in of(&problem) {
        assert_eq!((&line["app.id"], &line["connector"]), (&"acme".into(), &"sandbox".into()), "{line}");
    }
    let lost = of(&lost);
    assert_eq!((lost.len(), &lost[0]["code"]), (1, &"app_not_found".into()));
    assert_eq!(lost[0].get("app.id"), None, "what a caller made up is not repeated");
}

#[tokio::test]
async fn a_client_that_is_refused_is_named_with_the_code() {
    let served = Served::start(&Home::sqlite(), &[("JETON_LOG_FORMAT", "json"), ("JETON_LOG", "info")]).await;
    let url = format!("{}/o/token/", served.serving.url);
    let id = served.superadmin.0.clone();
    let unknown = "u".repeat(22);
    // What is no id of ours may be a secret that took its place.
    let secret = "canary".repeat(7);
    let form = [("grant_type", "client_credentials")];
    for (client, status) in [(&id, 401), (&unknown, 401), (&secret, 401)] {
        let asked = http().post(&url).basic_auth(client, Some("canary")).form(&form).send().await.unwrap();
        assert_eq!(asked.status().as_u16(), status);
    }
    let asked = http().post(&url).form(&[("grant_type", "canary")]).send().await.unwrap();
    assert_eq!(asked.status(), 400);
    let right =
        http().post(&url).basic_auth(&id, Some(&served.superadmin.1)).form(&form).send().await.unwrap();
    assert_eq!(right.status(), 200);
    let (_, log) = served.serving.terminate();
    assert!(!log.contains("canary"), "{log}");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ended: Vec<_> = lines
        .filter(|line| line["route"] == "/o/token/")
        .map(|line| (line["status"].clone(), line["code"].clone(), line["client.id"].clone()))
        .collect();
    let refused = |client: Value| (json!(401), json!("invalid_client"), client);
    let expected = [
        refused(json!(id)),
        refused(json!(unknown)),
        refused(Value::Null),
        (json!(400), json!("unsupported_grant_type"), Value::Null),
        (json!(200), Value::Null, Value::Null),
    ];
    assert_eq!(ended, expected, "{log}");
}
