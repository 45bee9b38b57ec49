//! What does a program see that runs with a token?

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::{broker, call, command, handed, ok, run, stderr, stdout};

#[tokio::test]
async fn exec_passes_the_token_streams_and_exit_code() {
    let server = broker(|_| ok(&handed())).await;
    let script = "cat; env | grep '^JETON_CL'; printf '%s\\n' \"$GH\" \"$1\"; exit 42";
    let line = ["exec", "acme", "github", "--env", "GH", "--", "sh", "-c", script, "sh", "--flow"];
    let output = run(&server, &line, "typed\n").await;
    assert_eq!(output.status.code(), Some(42));
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("typed\ngho_canary\n--flow\n", ""));
    assert_eq!(call(&server).0, "GET /acme/github/binb-token");
}

#[tokio::test]
async fn exec_passes_signals_on() {
    let server = broker(|_| ok(&handed())).await;
    let script = "trap 'exit 9' TERM; echo ready; while :; do :; done";
    let line = ["exec", "acme", "github", "--env", "GH", "--", "sh", "-c", script];
    let mut command = command(&server, &line);
    command.stdout(Stdio::piped());
    let terminate = move || {
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        (ready, child.wait().unwrap())
    };
    let (ready, status) = tokio::task::spawn_blocking(terminate).await.unwrap();
    assert_eq!((ready.as_str(), status.code()), ("ready\n", Some(9)));

    let line = ["exec", "acme", "github", "--env", "GH", "--", "sh", "-c", "kill -INT $$"];
    assert_eq!(run(&server, &line, "").await.status.signal(), Some(2));
}

#[tokio::test]
async fn exec_says_when_the_program_is_absent() {
    let server = broker(|_| ok(&handed())).await;
    let line = ["exec", "acme", "github", "--env", "GH", "--", "no-such-program"];
    let output = run(&server, &line, "").await;
    assert_eq!(output.status.code(), Some(127));
    assert!(stderr(&output).starts_with("jeton: cannot run `no-such-program`: "));
}

#[tokio::test]
async fn exec_starts_nothing_without_a_token() {
    let server = broker(|_| (403, "", String::new())).await;
    let line = ["exec", "acme", "github", "--env", "GH", "--", "echo", "started"];
    let output = run(&server, &line, "").await;
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(77), ""));
}
