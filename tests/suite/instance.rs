//! How does an instance come into being, start, refuse to start, and let its owner in again?

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::{Broker, Home, http};
use crate::support::program::{Serving, exit_code, jeton, run, stderr};
use crate::support::sql::Sql;

/// The usual port may be somebody else's.
const ANYWHERE: &[&str] = &["--listen", "127.0.0.1:0"];

fn made(output: &std::process::Output) -> Value {
    assert_eq!(exit_code(output), 0, "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn token(url: &str, client: &Value) -> reqwest::Response {
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    http().post(format!("{url}/o/token/")).form(&form).send().await.unwrap()
}

/// Every file below a directory, with its bytes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap())
    };
    std::fs::read_dir(dir).unwrap().map(|entry| file(entry.unwrap())).collect()
}

#[tokio::test]
async fn a_new_instance_serves_its_superadmin_and_ends_when_told() {
    for home in Home::each().await {
        let client = made(&run(&home, "init", &["--json"]));
        let serving = Serving::start(&home);
        let answer = token(&serving.url, &client).await;
        assert_eq!(answer.status(), 200, "{}", home.name);
        let token: Value = answer.json().await.unwrap();
        let bearer = token["access_token"].as_str().unwrap();
        let answer = http()
            .post(format!("{}/admin/v1/apps", serving.url))
            .bearer_auth(bearer)
            .json(&json!({"id": "acme", "name": "Acme"}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        let invitation = http()
            .get(client["invitation_url"].as_str().unwrap().replace("http://127.0.0.1:8080", &serving.url));
        assert_eq!(invitation.send().await.unwrap().status(), 200);
        let (code, log) = serving.terminate();
        assert_eq!(code, Some(0), "{log}");
        for secret in [client["client_secret"].as_str().unwrap(), bearer] {
            assert!(!log.contains(secret), "{}: a secret is in the log", home.name);
        }
    }
}

#[tokio::test]
async fn tokens_are_signed_with_the_algorithm_that_init_was_given_and_another_one_is_warned_of() {
    for home in Home::each().await {
        let mut init = jeton(&home);
        init.args(["init", "--json"]).args(home.flags()).env("JETON_ISSUER__ALGORITHM", "RS256");
        let client = made(&init.output().unwrap());
        let serving = Serving::start_with(&home, &[("JETON_ISSUER__ALGORITHM", "RS256")]);
        let answer: Value = token(&serving.url, &client).await.json().await.unwrap();
        let bearer = answer["access_token"].as_str().unwrap();
        let keys = http().get(format!("{}/.well-known/jwks.json", serving.url)).send().await.unwrap();
        let keys: jeton_guard::KeySet = keys.text().await.unwrap().parse().unwrap();
        let issuer = serving.url.as_str();
        let guard = jeton_guard::Guard::builder(issuer).audience(issuer);
        let guard = guard.algorithms([jeton_guard::Algorithm::Rs256]).keys(jeton_guard::GivenKeys::new(keys));
        let now = jeton::model::time::Clock::now(&jeton::model::time::SystemClock);
        assert!(guard.build().unwrap().verify(bearer, now).await.is_ok(), "{}", home.name);
        let apps = http().get(format!("{issuer}/admin/v1/apps")).bearer_auth(bearer).send().await.unwrap();
        assert_eq!(apps.status(), 200);
        let warning = "run `jeton keys rotate`";
        let (_, log) = serving.terminate();
        assert!(!log.contains(warning), "{log}");

        let serving = Serving::start_with(&home, &[("JETON_ISSUER__ALGORITHM", "ES256")]);
        assert_eq!(token(&serving.url, &client).await.status(), 200);
        let (_, log) = serving.terminate();
        assert!(log.contains(warning), "{log}");
    }
}

#[tokio::test]
async fn a_key_of_an_earlier_schema_signs_on_and_counts_since_it_was_made() {
    for home in Home::each().await {
        let client = made(&run(&home, "init", &["--json"]));
        let sql = Sql::open(&home).await;
        sql.run("DROP INDEX signing_key_state").await;
        for column in ["activates_at", "activated_at"] {
            sql.run(&format!("ALTER TABLE signing_key DROP COLUMN {column}")).await;
        }
        sql.run("DELETE FROM seaql_migrations WHERE version LIKE 'm0009%'").await;
        drop(sql);
        let migrated = run(&home, "migrate", &[]);
        assert_eq!(exit_code(&migrated), 0, "{}", stderr(&migrated));
        let sql = Sql::open(&home).await;
        let kept = sql.count("signing_key WHERE state = 'active' AND activated_at = created_at").await;
        assert_eq!(kept, 1, "{}", home.name);
        drop(sql);
        let serving = Serving::start(&home);
        assert_eq!(token(&serving.url, &client).await.status(), 200);
        serving.terminate();
    }
}

#[tokio::test]
async fn what_init_makes_is_for_its_owner_alone() {
    let home = Home::sqlite();
    let out = home.path().join("credentials.json");
    let output = run(&home, "init", &["--json", "--out", out.to_str().unwrap()]);
    assert_eq!((exit_code(&output), output.stdout.len()), (0, 0));
    let written: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert!(written["client_secret"].as_str().unwrap().len() == 43);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&out), 0o600);
    assert_eq!(mode(&home.data_dir()), 0o700);
    for entry in std::fs::read_dir(home.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_second_init_changes_nothing_and_says_what_to_do() {
    for home in Home::each().await {
        made(&run(&home, "init", &["--json"]));
        let before = contents(&home.data_dir());
        let again = run(&home, "init", &["--json"]);
        assert_eq!((exit_code(&again), again.stdout.len()), (78, 0), "{}", home.name);
        assert!(stderr(&again).contains("jeton recover"), "{}", stderr(&again));
        let tolerant = run(&home, "init", &["--json", "--if-needed"]);
        assert_eq!((exit_code(&tolerant), tolerant.stdout.len()), (0, 0), "{}", home.name);
        assert_eq!(contents(&home.data_dir()), before, "{}", home.name);
    }
}

#[tokio::test]
async fn who_is_in_the_wrong_directory_is_told_which_it_is() {
    for home in Home::each().await {
        for command in ["serve", "migrate", "recover"] {
            let more = if command == "serve" { ANYWHERE } else { &[] };
            let lost = run(&home, command, more);
            let place = home.data_dir().display().to_string();
            let place = if home.database_url.is_some() { "the database of `database_url`" } else { &place };
            assert_eq!(exit_code(&lost), 78, "{command} on {}: {}", home.name, stderr(&lost));
            let told = format!("nothing is here yet, in {place}: run `jeton init`");
            assert!(stderr(&lost).contains(&told), "{command} on {}: {}", home.name, stderr(&lost));
        }
    }
    let home = Home::sqlite();
    for (line, place) in [
        (&["migrate"][..], "jeton-data"),
        (&["migrate", "--data-dir", "./other/"], "other"),
        (&["migrate", "--database-url", "sqlite:elsewhere.db"], "elsewhere.db"),
    ] {
        let lost = stderr(&jeton(&home).args(line).output().unwrap());
        let place = std::fs::canonicalize(home.path()).unwrap().join(place).display().to_string();
        assert!(lost.contains(&format!(", in {place}")), "{line:?}: {lost}");
    }
}

#[tokio::test]
async fn credentials_of_an_earlier_init_are_not_overwritten_and_the_error_says_so() {
    let home = Home::sqlite();
    let out = home.path().join("credentials.json");
    std::fs::write(&out, "of earlier").unwrap();
    let refused = run(&home, "init", &["--out", out.to_str().unwrap()]);
    assert_eq!(exit_code(&refused), 1);
    let told = stderr(&refused);
    assert!(told.contains(&format!("cannot write {}: ", out.display())), "{told}");
    assert!(told.contains("an earlier `jeton init`") && told.contains("another with --out"), "{told}");
    assert_eq!(std::fs::read(&out).unwrap(), b"of earlier");
}

#[tokio::test]
async fn a_first_start_can_be_repeated_though_its_credentials_were_not_fetched_yet() {
    for home in Home::each().await {
        let out = home.path().join("credentials.json");
        let init = || run(&home, "init", &["--if-needed", "--json", "--out", out.to_str().unwrap()]);
        assert_eq!(exit_code(&init()), 0, "{}", home.name);
        let written = std::fs::read(&out).unwrap();
        let again = init();
        assert_eq!(exit_code(&again), 0, "{}: {}", home.name, stderr(&again));
        assert!(stderr(&again).contains("there is an instance already"), "{}", stderr(&again));
        assert_eq!(std::fs::read(&out).unwrap(), written, "{}", home.name);
    }
}

#[tokio::test]
async fn a_container_without_a_shell_can_ask_whether_its_broker_is_ready() {
    let home = Home::sqlite();
    made(&run(&home, "init", &["--json"]));
    let serving = Serving::start(&home);
    let address = serving.direct.strip_prefix("http://").unwrap().to_owned();
    let ready = || run(&home, "ready", &["--listen", &address]);
    assert_eq!(exit_code(&ready()), 0, "{}", stderr(&ready()));
    std::fs::remove_dir(home.data_dir().join("spool")).unwrap();
    std::fs::write(home.data_dir().join("spool"), "in the way").unwrap();
    // The disk is tried once a second at most.
    let begun = Instant::now();
    let mut why = ready();
    while exit_code(&why) == 0 && begun.elapsed() < Duration::from_secs(10) {
        why = ready();
    }
    assert_eq!(exit_code(&why), 75);
    assert!(stderr(&why).contains("not ready: the spool"), "{}", stderr(&why));
    serving.terminate();
    let nobody = ready();
    assert_eq!(exit_code(&nobody), 75);
    assert!(stderr(&nobody).contains(&format!("no answer from {address}")), "{}", stderr(&nobody));
}

#[tokio::test]
async fn a_wrong_or_missing_keyring_refuses_to_start_and_changes_no_byte() {
    for home in Home::each().await {
        made(&run(&home, "init", &["--json"]));
        let other = Home::sqlite();
        made(&run(&other, "init", &["--json"]));
        let keyring = home.data_dir().join("keyring.toml");
        std::fs::copy(other.data_dir().join("keyring.toml"), &keyring).unwrap();
        let before = contents(&home.data_dir());
        for (command, flags) in [("serve", ANYWHERE), ("recover", &[]), ("migrate", &[])] {
            let refused = run(&home, command, flags);
            assert_eq!(exit_code(&refused), 78, "{command}: {}", stderr(&refused));
            assert!(stderr(&refused).contains("keyring is not the one"), "{}", stderr(&refused));
        }
        assert_eq!(contents(&home.data_dir()), before, "{}", home.name);
        std::fs::remove_file(&keyring).unwrap();
        let before = contents(&home.data_dir());
        let refused = run(&home, "serve", ANYWHERE);
        assert_eq!(exit_code(&refused), 78);
        assert!(stderr(&refused).contains("keyring of this instance is missing"), "{}", stderr(&refused));
        assert_eq!(contents(&home.data_dir()), before, "{}", home.name);
    }
}

#[tokio::test]
async fn a_crash_leaves_a_journal_that_the_check_of_the_keyring_reads_too() {
    let home = Home::sqlite();
    let client = made(&run(&home, "init", &["--json"]));
    let serving = Serving::start(&home);
    assert_eq!(token(&serving.url, &client).await.status(), 200);
    // Killed, not ended: its last writes are in the journal alone.
    drop(serving);
    let journal = home.data_dir().join("jeton.db-wal");
    assert!(std::fs::metadata(&journal).unwrap().len() > 0);
    let keyring = home.data_dir().join("keyring.toml");
    let right = std::fs::read(&keyring).unwrap();
    let text = String::from_utf8(right.clone()).unwrap();
    let (head, _) = text.rsplit_once("= \"").unwrap();
    std::fs::write(&keyring, format!("{head}= \"{}=\"\n", "A".repeat(43))).unwrap();
    let before = contents(&home.data_dir());
    let refused = run(&home, "serve", ANYWHERE);
    assert!(stderr(&refused).contains("keyring is not the one"), "{}", stderr(&refused));
    assert_eq!(contents(&home.data_dir()), before);
    std::fs::write(&keyring, right).unwrap();
    let serving = Serving::start(&home);
    assert_eq!(token(&serving.url, &client).await.status(), 200);
}

#[tokio::test]
async fn recovery_gives_a_new_secret_and_keeps_at_most_two() {
    for home in Home::each().await {
        let first = made(&run(&home, "init", &["--json"]));
        let second = made(&run(&home, "recover", &["--json"]));
        let third = made(&run(&home, "recover", &["--json"]));
        assert_eq!(first["client_id"], third["client_id"], "{}", home.name);
        let serving = Serving::start(&home);
        for (client, status) in [(&first, 401), (&second, 200), (&third, 200)] {
            assert_eq!(token(&serving.url, client).await.status(), status, "{}", home.name);
        }
    }
}

#[tokio::test]
async fn without_an_instance_serving_names_init_and_makes_nothing() {
    for home in Home::each().await {
        let refused = run(&home, "serve", ANYWHERE);
        assert_eq!(exit_code(&refused), 78, "{}", home.name);
        assert!(stderr(&refused).contains("jeton init"), "{}", stderr(&refused));
        assert!(!home.data_dir().exists(), "{}", home.name);
    }
}

#[tokio::test]
async fn two_processes_never_share_a_sqlite_file_and_each_command_says_what_to_do() {
    let home = Home::sqlite();
    made(&run(&home, "init", &["--json"]));
    let serving = Serving::start(&home);
    for (command, more) in [("serve", ANYWHERE), ("init", &[]), ("recover", &[]), ("migrate", &[])] {
        let second = run(&home, command, more);
        let (code, told) = (exit_code(&second), stderr(&second));
        assert!(
            code == 75 && told.contains("another process uses the data directory ("),
            "{command}: {told}"
        );
        assert!(told.contains("); end the `jeton serve` that runs there, or choose another with --data-dir (`data_dir` in the configuration)"), "{told}");
    }
    assert_eq!(serving.terminate().0, Some(0));
}

#[test]
fn a_wrong_configuration_ends_with_78_and_a_line_for_each_fault() {
    let home = Home::sqlite();
    std::fs::write(home.path().join("jeton.toml"), "[outbound]\nallow_loopbak = true\n").unwrap();
    let output = jeton(&home).arg("serve").env("JETON_LISTEN", "everywhere").output().unwrap();
    assert_eq!(exit_code(&output), 78);
    insta::assert_snapshot!(stderr(&output), @r"
    jeton: configuration key `listen` (set by JETON_LISTEN) must be an address and port, such as 127.0.0.1:8080 or [::1]:8080
    jeton: configuration key `outbound.allow_loopbak` (set in jeton.toml) is not known; did you mean `outbound.allow_loopback`?
    ");
    let usage = jeton(&home).args(["serve", "--prot", "1"]).output().unwrap();
    assert_eq!(exit_code(&usage), 2);
}

#[test]
fn what_this_release_does_not_do_is_refused_and_not_ignored() {
    let home = Home::sqlite();
    let output = jeton(&home).arg("serve").env("JETON_FENCE__STRICT", "true").output().unwrap();
    assert_eq!(exit_code(&output), 78);
    insta::assert_snapshot!(stderr(&output), @"jeton: configuration key `fence.strict` (set by JETON_FENCE__STRICT) is not supported by this release: remove it");
}

#[tokio::test]
async fn the_public_url_may_have_a_path_and_requests_come_with_and_without_it() {
    let home = Home::sqlite();
    let broker = Broker::start(&home, &[("public_url", "https://api.example.com/laputa")]).await;
    for path in ["/healthz", "/laputa/healthz", "/.well-known/jwks.json", "/laputa/.well-known/jwks.json"] {
        let answer = broker.http.get(format!("{}{path}", broker.direct)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers().contains_key("strict-transport-security"), "{path}");
    }
    for path in ["/laputahealthz", "/laputa/laputa/healthz", "/other/healthz"] {
        let answer = broker.http.get(format!("{}{path}", broker.direct)).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert!(broker.invitation_url.starts_with("https://api.example.com/laputa/invitations/"));
    broker.stop().await;
}

#[tokio::test]
async fn unknown_routes_wrong_methods_and_oversized_requests_get_problems() {
    let home = Home::sqlite();
    let broker = Broker::start(&home, &[]).await;
    let get = |path: String| broker.http.get(broker.at(&path));
    let long = "x".repeat(8 * 1024);
    for (request, status, code) in [
        (get("/nowhere/at/all/really".into()), 404, "not_found"),
        (broker.http.post(broker.at("/healthz")), 405, "method_not_allowed"),
        (broker.http.delete(broker.at("/acme/github/binb-token")), 405, "method_not_allowed"),
        (get(format!("/healthz?x={long}")), 413, "too_large"),
        (get("/healthz".into()).header("x-long", "y".repeat(17 * 1024)), 413, "too_large"),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let allow = answer.headers().get("allow").map(|allow| allow.to_str().unwrap());
        assert!(if status == 405 { allow.unwrap().starts_with("GET") } else { allow.is_none() });
        assert!(!answer.headers().contains_key("server"));
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code);
        assert!(problem["trace_id"].is_string());
    }
    let page = get("/problems/too_large".into()).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.unwrap().contains("64 KiB"));
    assert_eq!(get("/problems/%3Cscript%3E".into()).send().await.unwrap().status(), 404);
    broker.stop().await;
}

#[tokio::test]
async fn health_and_readiness_answer_anybody() {
    for home in Home::each().await {
        let broker = Broker::start(&home, &[]).await;
        for path in ["/healthz", "/readyz"] {
            assert_eq!(broker.http.get(broker.at(path)).send().await.unwrap().status(), 200, "{}", home.name);
        }
        broker.stop().await;
    }
}
