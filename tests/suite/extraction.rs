//! Do the extraction jobs of `examples/` work against a real broker and a provider with its API?

use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use jeton::model::time::{Clock, ShiftedClock};
use jeton_client::{Broker, BrokerSettings, Secret};
use reqwest::Method;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::app::Home;
use crate::support::documented::Checkout;
use crate::support::house::{CLIENT_SECRET, House};
use crate::support::jar::Jar;
use crate::support::peer;
use crate::support::provider::sandbox;

#[expect(dead_code, clippy::duplicate_mod, reason = "each job has the whole of `job`, and a `main`")]
#[path = "../../examples/aircall_calls.rs"]
mod aircall_calls;
#[expect(dead_code, clippy::duplicate_mod, reason = "each job has the whole of `job`, and a `main`")]
#[path = "../../examples/github_repos.rs"]
mod github_repos;

/// An app with a connected account of `connector`, and a client of the broker confined to it.
struct Connected {
    house: House,
    job: Broker,
    /// The job's id and secret.
    credential: (String, String),
    /// The client at the provider.
    provider_client: &'static str,
    out: tempfile::TempDir,
}

impl Connected {
    async fn start(connector: &str, provider_client: &'static str, scopes: &[&str]) -> Self {
        Self::at(House::start().await, connector, provider_client, scopes).await
    }

    async fn at(house: House, connector: &str, provider_client: &'static str, scopes: &[&str]) -> Self {
        house.app("acme", "Acme").await;
        let body = json!({"client_id": provider_client, "client_secret": CLIENT_SECRET, "scopes": scopes});
        house.write(Method::PUT, &format!("/connectors/{connector}/credentials"), &body).await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@acme.example").await, "Ada").await;
        let authorize = ada.start(&house.broker.at(&format!("/acme/{connector}/signup"))).await;
        let back = ada.decide(&authorize, "alice", "approve").await;
        let done = ada.get(back.as_str()).await;
        assert_eq!(done.to().path(), "/acme/connect", "{}", done.body);

        let allow = format!("acme/{connector}");
        let client = json!({"identifier": "load", "kind": "service", "role": "superadmin",
            "scopes": ["binb:read"], "allow": [allow]});
        let (id, secret) = house.client(&client).await;
        let mut settings =
            BrokerSettings::new(&house.broker.url, id.as_str(), Secret::new(secret.as_str())).unwrap();
        settings.first_pause = std::time::Duration::from_millis(1);
        let job = Broker::new(settings).unwrap();
        let out = tempfile::tempdir().unwrap();
        Self { house, job, credential: (id, secret), provider_client, out }
    }

    /// One of the jobs, in a checkout of its own.
    fn documented(&self, example: &str) -> Checkout {
        let (id, secret) = &self.credential;
        let mut changes = vec![
            ("JETON_URL", self.house.broker.url.as_str()),
            ("JETON_CLIENT_ID", id),
            ("JETON_CLIENT_SECRET", secret),
        ];
        let provider = self.house.provider();
        changes.push(("API_BASE", &provider));
        Checkout::of(example, &changes)
    }

    fn line(&self, name: &str) -> Vec<String> {
        let out = self.out.path().join("out.jsonl").display().to_string();
        let line = [name, "--app", "acme", "--api-base", &self.house.provider(), "--out", &out];
        line.map(str::to_owned).to_vec()
    }

    fn records(&self) -> Vec<Value> {
        records(&std::fs::read_to_string(self.out.path().join("out.jsonl")).unwrap())
    }

    /// The provider forgets the access token that the broker hands out, and nothing else.
    async fn kill_token(&self, connector: &str) {
        let (status, handed) = self.house.binb_token("acme", connector).await;
        assert_eq!(status, 200);
        let form = [("token", handed["access_token"].as_str().unwrap())];
        let http = &self.house.broker.http;
        let revoke = http.post(format!("{}/revoke", self.house.provider())).form(&form);
        let answer = revoke.basic_auth(self.provider_client, Some(CLIENT_SECRET)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    fn counted(&self) -> (u64, u64) {
        let counters = self.house.sandbox.handle().ledger().clients[self.provider_client].clone();
        (counters.token_requests.get("refresh_token").copied().unwrap_or(0), counters.api_refusals)
    }
}

async fn repositories(at: &Connected) -> Result<Vec<Value>, u8> {
    let args = github_repos::Args::parse_from(at.line("github_repos"));
    github_repos::load(at.job.clone(), args).await.map_err(|error| error.exit_code())?;
    Ok(at.records())
}

async fn calls(at: &Connected) -> Result<Vec<Value>, u8> {
    // All the sandbox has: the four weeks before it started, and a day for good measure.
    #[expect(clippy::disallowed_methods, reason = "the sandbox lives by the machine's clock here")]
    let now = time::OffsetDateTime::now_utc();
    let day = |at: time::OffsetDateTime| at.date().to_string();
    let mut line = at.line("aircall_calls");
    let (from, to) = (day(now - time::Duration::days(30)), day(now + time::Duration::days(1)));
    line.extend(["--from".to_owned(), from, "--to".to_owned(), to]);
    let args = aircall_calls::Args::parse_from(line);
    aircall_calls::load(at.job.clone(), args).await.map_err(|error| error.exit_code())?;
    Ok(at.records())
}

fn ids(records: &[Value]) -> std::collections::BTreeSet<u64> {
    records.iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn github_repositories_are_loaded_over_pages_and_a_refused_token() {
    let at = Connected::start("github", "sandbox-github", &["repo"]).await;
    let all = repositories(&at).await.unwrap();
    assert_eq!((all.len(), ids(&all).len()), (73, 73));
    assert_eq!(all[0]["full_name"], "alice/repository-001");
    assert_eq!(at.counted(), (0, 0), "nothing was due");

    at.kill_token("github").await;
    assert_eq!(repositories(&at).await.unwrap().len(), 73, "the second token is good");
    let (refreshes, refusals) = at.counted();
    assert_eq!(refreshes, 1, "`rejected` made the broker refresh, once");
    assert!(refusals >= 1, "the job was refused before it asked again");

    at.house.sandbox.handle().revoke_grants_of("alice");
    assert_eq!(repositories(&at).await.unwrap_err(), 78, "a person must consent again");
    assert_eq!(repositories(&at).await.unwrap_err(), 78, "and again, without the provider");

    let (job, line, house) = (at.job, ["job", "--app", "acme"], at.house);
    house.stop().await;
    let args = github_repos::Args::parse_from(line);
    assert_eq!(github_repos::load(job, args).await.unwrap_err().exit_code(), 75, "the broker is away");
}

#[tokio::test]
async fn aircall_calls_are_loaded_over_weeks_and_pages_until_the_grant_is_gone() {
    let at = Connected::start("aircall", "sandbox-aircall", &["public_api"]).await;
    let all = calls(&at).await.unwrap();
    assert_eq!((all.len(), ids(&all).len()), (500, 500));
    let starts: Vec<_> = all.iter().map(|call| call["started_at"].as_i64().unwrap()).collect();
    assert!(starts.is_sorted(), "oldest first");
    assert_eq!(at.counted(), (0, 0));

    // Aircall's tokens are permanent: there is nothing to refresh when one is refused.
    at.kill_token("aircall").await;
    assert_eq!(calls(&at).await.unwrap_err(), 78);
    let (status, problem) = at.house.binb_token("acme", "aircall").await;
    assert_eq!((status, &problem["code"]), (409, &json!("reauthorization_required")));
    assert_eq!(problem["reason"], "rejected");
    at.house.stop().await;
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn github_repositories_are_loaded_by_the_documented_line() {
    let at = Connected::start("github", "sandbox-github", &["repo"]).await;
    let mut job = at.documented("github_repos").start();
    let (code, said, log) = job.end().await;
    assert_eq!((code, log.as_str()), (Some(0), ""));
    assert_eq!(said, "73 records written to repositories.jsonl\n");
    assert_eq!(ids(&records(&job.file("repositories.jsonl"))).len(), 73);

    // The smallest job has the same sample.
    let Some(python) = peer::python("-c") else { return };
    let mut smallest = at.documented("get_token");
    smallest.program("python3", &format!("exec {:?} \"$@\"", python.get_program()));
    // As `pip install ./clients/python` does it, without the network.
    smallest.environment("PYTHONPATH", &Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/src"));
    smallest.environment("PYTHONDONTWRITEBYTECODE", Path::new("1"));
    let (code, said, log) = smallest.start().end().await;
    assert_eq!((code, log.as_str()), (Some(0), ""));
    assert!(said.starts_with("a token of generation 1 that expires at 20"), "{said}");

    at.house.sandbox.handle().revoke_grants_of("alice");
    let (code, said, log) = at.documented("github_repos").start().end().await;
    assert_eq!((code, said.as_str()), (Some(78), ""), "{log}");
    assert!(log.contains("connect the account again: http"), "{log}");
    at.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aircall_calls_are_loaded_by_the_documented_line() {
    // The sandbox's calls are those of the four weeks before the last of the documented days.
    let clock = Arc::new(ShiftedClock::default());
    clock.advance(datetime!(2026-11-24 0:00 UTC) - clock.now());
    let house = House::with(Home::sqlite(), sandbox(clock.clone()), clock, &[]).await;
    let at = Connected::at(house, "aircall", "sandbox-aircall", &["public_api"]).await;
    let mut job = at.documented("aircall_calls").start();
    let (code, said, log) = job.end().await;
    assert_eq!((code, log.as_str()), (Some(0), ""));
    // 500, one every 4838.4 seconds; those of October are left out.
    assert_eq!(said, "410 records written to calls.jsonl\n");
    let calls = records(&job.file("calls.jsonl"));
    assert_eq!(ids(&calls).len(), 410);
    let first = calls[0]["started_at"].as_i64().unwrap() - datetime!(2026-11-01 0:00 UTC).unix_timestamp();
    assert!((0..4_839).contains(&first), "{first}");
    at.house.stop().await;
}
