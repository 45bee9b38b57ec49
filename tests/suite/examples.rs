//! Does each program of `examples/` that needs nothing but a broker start with its sample of an environment, and end with its result?

mod tasks;
mod terms;

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use jeton::model::time::ShiftedClock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::Home;
use crate::support::house::House;
use crate::support::program::built;
use crate::support::provider::sandbox;

const README: &str = include_str!("../../examples/README.md");
const OIDC_PROXIED: &str = include_str!("../../examples/oidc_proxied/env.example");

/// A house that puts credentials into files below `file:prod/`, and the folder of them. By the machine's clock its
/// tokens of a minute end within two seconds: it is so far behind that the half minute which verifiers forgive is over.
async fn house(home: Home) -> (House, String) {
    house_at(home, -Duration::seconds(88)).await
}

/// One whose clock is this far from the machine's.
async fn house_at(home: Home, shift: Duration) -> (House, String) {
    let folder = home.path().join("secrets").display().to_string();
    let clock = Arc::new(ShiftedClock::default());
    clock.advance(shift);
    let keys = [
        ("secret_stores.deliver_to", "file:prod/"),
        ("instance.stack", "prod"),
        ("JETON_SECRETS_DIR", folder.as_str()),
    ];
    (House::with(home, sandbox(clock.clone()), clock, &keys).await, folder)
}

/// An admin runs the lines of the README below this heading, where tokens live a minute.
async fn prepare(house: &House, folder: &str, heading: &str) {
    let block = |heading: &str| {
        let rest = README.split_once(heading).unwrap().1.split_once("```sh\n").unwrap().1;
        rest.split("```").next().unwrap().to_owned()
    };
    let lines = block(heading).replace("--deliver-to", "--token-lifetime 60s --deliver-to");
    let script = format!("{}{lines}", block("## Programs that call each other\n"));
    let mut shell = Command::new("bash");
    let program = Path::new(env!("CARGO_BIN_EXE_jeton")).parent().unwrap();
    shell.args(["-euo", "pipefail", "-c", &script]).env_clear().stdin(Stdio::null());
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", program.display()));
    shell.env("HOME", folder).env("JETON_URL", house.broker.url.trim_end_matches('/'));
    shell.env("JETON_CLIENT_ID", &house.broker.superadmin.0);
    shell.env("JETON_CLIENT_SECRET", &house.broker.superadmin.1);
    let output = tokio::task::block_in_place(|| shell.output().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A token of somebody else's, which lives long enough.
async fn token(house: &House, identifier: &str, resource: &str, scopes: &[&str]) -> String {
    let client =
        json!({"identifier": identifier, "kind": "service", "resources": [resource], "scopes": scopes});
    house.broker.token_of(&house.client(&client).await).await
}

/// An example that runs, ended when the test ends.
struct Example {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    log: Option<std::thread::JoinHandle<String>>,
    _folder: tempfile::TempDir,
}

impl Example {
    /// By its line of the README, beside an `.env` that is its sample, filled in so.
    fn start(name: &str, sample: &str, changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let filled = |(name, value): (&str, &str)| format!("{name}={value:?}\n");
        let env: String = variables(sample).chain(changes.iter().copied()).map(filled).collect();
        std::fs::write(folder.path().join(".env"), env).unwrap();
        // What cargo does once the example is built.
        let cargo = format!("cargo() {{ shift 2; exec {:?} \"${{@:2}}\"; }}", built(name));
        let example = format!("exec cargo run --example {name})");
        let line = README.lines().find(|line| line.ends_with(&example)).expect("its line in the README");
        let line = line.trim_start_matches('(').trim_end_matches(')').replace("exec cargo", "cargo");
        let mut command = Command::new("bash");
        command.args(["-euc", &format!("{cargo}; {line}")]).env_clear().current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Self { child, said, log: Some(log), _folder: folder }
    }

    /// The next line of its standard output.
    async fn line(&mut self) -> String {
        tokio::task::block_in_place(|| self.said.next()).unwrap_or_else(|| panic!("{}", self.rest())).unwrap()
    }

    /// The address in its next line.
    async fn address(&mut self) -> String {
        self.line().await.rsplit(' ').next().unwrap().trim_end_matches('/').to_owned()
    }

    /// Its exit code, and what it logged.
    async fn end(mut self) -> (Option<i32>, String) {
        let code = tokio::task::block_in_place(|| self.child.wait().unwrap().code());
        (code, self.rest())
    }

    fn rest(&mut self) -> String {
        self.log.take().map(|log| log.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whoever leaves a line of a sample out gets what it says: the defaults, which the README tells too.
#[test]
fn the_samples_say_the_defaults() {
    for (name, sample, expected) in [
        ("terms", terms::SAMPLE, &[("TERMS", "5"), ("WORK_S", "1")][..]),
        ("tasks", tasks::SAMPLE, &[("WORK_S", "1")]),
        ("oidc_proxied", OIDC_PROXIED, &[("INTERVAL_S", "20"), ("CALLS", "12")]),
    ] {
        let output = Command::new(built(name)).arg("--help").env_clear().output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let default = |variable: &str| {
            let (_, rest) = help.split_once(&format!("[env: {variable}=]"))?;
            let (_, rest) = rest.lines().next()?.split_once("[default: ")?;
            Some(rest.trim_end_matches(']').to_owned())
        };
        let told: Vec<_> = variables(sample).filter(|(variable, _)| default(variable).is_some()).collect();
        assert_eq!(told, expected, "{name}: {help}");
        for (variable, value) in told {
            assert_eq!(default(variable).as_deref(), Some(value), "{name}: {variable}");
        }
    }
    assert!(README.contains("every 20 seconds (`INTERVAL_S`), twelve times (`CALLS`)"));
    assert!(README.contains("\n    5 terms created, 5 listed, with "));
}

/// What the sample of an environment sets.
pub(crate) fn variables(sample: &str) -> impl Iterator<Item = (&str, &str)> {
    sample.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
}

/// What a service answers to a call with this token.
async fn call(house: &House, method: Method, url: &str, token: Option<&str>, body: &Value) -> StatusCode {
    let request = house.broker.http.request(method, url).json(body);
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    request.send().await.unwrap().status()
}

/// The same token with another signature, and with other claims.
fn tampered(token: &str, other: &str) -> [String; 2] {
    let [head, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let [_, claims, others] = other.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    [format!("{head}.{body}.{others}"), format!("{head}.{claims}.{signature}")]
}
