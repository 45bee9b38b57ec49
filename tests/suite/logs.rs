//! Can a line of the log be traced back to its request, by the trace id that the caller was told?

use jeton::sandbox::{Faults, Trouble};
use reqwest::Method;
use serde_json::Value;

use crate::support::app::Home;
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
