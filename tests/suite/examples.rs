//! Does each program of `examples/` that needs nothing but a broker start with its sample of an environment, and end with its result?

mod tasks;
mod terms;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use jeton::model::time::ShiftedClock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::Home;
use crate::support::documented::{README, lines};
use crate::support::house::House;
use crate::support::program::built;
use crate::support::provider::sandbox;

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

/// One command each, in the README; that they run is told by the tests that start them.
#[test]
fn every_example_is_started_by_a_documented_line() {
    let manifest = include_str!("../../Cargo.toml").split("[[example]]\nname = \"").skip(1);
    let programs = manifest.map(|rest| rest.split('"').next().unwrap());
    let scripts = ["temporary_credentials", "get_token"];
    for example in programs.chain(scripts) {
        let [copy, line] = lines(example);
        assert!(copy.starts_with("cp examples/") && copy.contains("/env.example .env "), "{copy}");
        assert_eq!(README.matches(line).count(), 1, "{line}");
    }
    assert_eq!(README.matches("cargo run --example").count(), 5, "no other lines");
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
fn variables(sample: &str) -> impl Iterator<Item = (&str, &str)> {
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
