//! What do a shell and a scheduler see of the commands that speak to a broker?
//!
//! Here: the token and what failures look like. `administration`: each verb is its call. `exec`: the program that is run. `login`: a person's sign-in.

mod administration;
mod exec;
mod login;
mod notes;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::scripted::{Scripted, ScriptedServer, Seen};
use crate::support::house::House;

const SECRET: &str = "s3cret-canary";

/// A broker that signs everybody in and plays `script`.
async fn broker(script: impl Fn(&Seen) -> Scripted + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(move |seen, _| match seen.target.as_str() {
        "/o/token/" => ok(&json!({"access_token": "bearer-canary", "expires_in": 3600})),
        _ => script(seen),
    })
    .await
}

fn ok(body: &Value) -> Scripted {
    (200, "", body.to_string())
}

fn handed() -> Value {
    json!({
        "access_token": "gho_canary", "token_type": "bearer", "expires_in": 3312,
        "expires_at": "2026-11-24T10:00:00Z", "guaranteed_until": "2026-11-24T09:59:30Z", "scope": "repo",
        "app_id": "acme", "connector": "github", "flow": "default", "generation": 17, "refreshed": true,
        "extra": {}, "degraded": null,
    })
}

fn command(server: &ScriptedServer, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    command.args(line).env("JETON_URL", &server.url).env("JETON_CLIENT_ID", "job");
    command.env("JETON_CLIENT_SECRET", SECRET).env_remove("JETON_CLIENT_SECRET_FILE");
    command
}

/// Runs the command to its end with this standard input.
async fn run(server: &ScriptedServer, line: &[&str], stdin: &'static str) -> Output {
    let mut command = command(server, line);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error, which never holds a secret.
fn stderr(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!text.contains("canary"), "{text}");
    text
}

/// The one call that was made after signing in.
fn call(server: &ScriptedServer) -> (String, Value) {
    let calls: Vec<_> = server.seen().into_iter().filter(|seen| seen.target != "/o/token/").collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].headers["authorization"], "Bearer bearer-canary");
    let body = serde_json::from_str(&calls[0].body).unwrap_or(Value::Null);
    (format!("{} {}", calls[0].method, calls[0].target), body)
}

#[tokio::test]
async fn token_prints_the_token_and_nothing_else() {
    for (format, expected) in [
        ("raw", "gho_canary\n"),
        ("header", "Authorization: Bearer gho_canary\n"),
        ("env", "GITHUB_TOKEN=gho_canary\n"),
    ] {
        let server = broker(|_| ok(&handed())).await;
        let line = ["token", "acme", "github", "--format", format, "--min-ttl", "30m", "--flow", "b"];
        let output = run(&server, &line, "").await;
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (expected, ""));
        assert_eq!(call(&server).0, "GET /acme/github/binb-token?flow=b&min_ttl=1800");
    }
    let server = broker(|_| ok(&handed())).await;
    let output = run(&server, &["token", "acme", "github", "--json"], "").await;
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), handed());
}

#[tokio::test]
async fn an_ailing_connection_is_told_on_standard_error() {
    let mut body = handed();
    body["degraded"] = json!({"code": "provider_unavailable", "since": null, "detail": "GitHub is down"});
    let server = broker(move |_| ok(&body)).await;
    let output = run(&server, &["token", "acme", "github"], "").await;
    assert_eq!(stdout(&output), "gho_canary\n");
    assert_eq!(stderr(&output), "jeton: the token lives, but: GitHub is down (provider_unavailable)\n");
}

#[tokio::test]
async fn a_failure_is_one_line_and_an_exit_code() {
    let problem = |code: &str, action: &str, more: Value| {
        let mut body = json!({"code": code, "action": action, "detail": "It failed.", "trace_id": "ab12"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    let signup = json!({"reason": "revoked", "signup_url": "https://b.example/acme/github/signup"});
    let cases = [
        (503, problem("provider_unavailable", "retry", json!({})), 75, "try again in 3000 s"),
        (
            409,
            problem("reauthorization_required", "reauthorize", signup),
            78,
            "connect the account again: https://b.example/acme/github/signup",
        ),
        (422, problem("credentials_missing", "fix_configuration", json!({})), 78, "jeton credentials set"),
        (
            404,
            problem("connection_not_found", "reauthorize", json!({})),
            78,
            "must connect an account [trace",
        ),
        (403, problem("forbidden", "request_access", json!({})), 77, "--allow are what counts"),
        (422, problem("ttl_unsatisfiable", "change_request", json!({"max_ttl": 600})), 1, "at most 600 s"),
        (
            409,
            problem("ambiguous_connection", "change_request", json!({"flows": ["a", "b"]})),
            1,
            "choose one with --flow: a, b",
        ),
    ];
    for (status, body, exit_code, advice) in cases {
        let server = broker(move |_| (status, "retry-after: 3000\r\n", body.clone())).await;
        let output = run(&server, &["token", "acme", "github"], "").await;
        let line = stderr(&output);
        assert_eq!(output.status.code(), Some(exit_code), "{line}");
        assert!(line.starts_with("jeton: cannot get a token of acme/github: It failed ("), "{line}");
        assert!(line.contains(advice) && line.ends_with(" [trace ab12]\n"), "{line}");
        assert_eq!((line.lines().count(), output.stdout.len()), (1, 0));
    }
}

#[tokio::test]
async fn a_broker_that_is_away_is_worth_another_try() {
    let mut server = broker(|_| ok(&handed())).await;
    // Nothing listens on the discard port of loopback.
    server.url = "http://127.0.0.1:9".to_owned();
    let output = run(&server, &["app", "list"], "").await;
    assert_eq!(output.status.code(), Some(75));
    assert!(stderr(&output).contains("check JETON_URL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_speaks_no_tls_is_not_worth_another_try() {
    let house = House::start().await;
    let mut server = broker(|_| ok(&handed())).await;
    server.url = house.broker.url.replace("http://", "https://");
    let output = run(&server, &["token", "acme", "github"], "").await;
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(
        told.contains("that port speaks no TLS: does the address of the broker begin with http://?"),
        "{told}"
    );
    assert!(!told.contains("later"), "{told}");
    house.stop().await;
}

#[tokio::test]
async fn unset_variables_are_named() {
    let server = broker(|_| ok(&handed())).await;
    for name in ["JETON_URL", "JETON_CLIENT_ID", "JETON_CLIENT_SECRET"] {
        let output = command(&server, &["token", "acme", "github"]).env_remove(name).output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        assert!(stderr(&output).contains(&format!("variable {name} is not set")));
    }
    let mut far = command(&server, &["token", "acme", "github"]);
    let output = far.env("JETON_URL", "http://broker.example").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("use https"));
}
