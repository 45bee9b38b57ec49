//! Does `jeton doctor` tell what is wrong, and what to do, and leave everything as it was?

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use std::sync::Arc;

use jeton::app::Nature;
use jeton::app::doctor::examine;
use jeton::model::entropy::SystemEntropy;
use jeton::model::time::ShiftedClock;
use serde_json::Value;

use crate::support::app::Home;
use crate::support::cluster::Cluster;
use crate::support::program::{exit_code, jeton, run, stderr};
use crate::support::served::Served;
use crate::support::sql::Sql;

/// What it says, as a program reads it, and how it ends.
fn doctor<'e>(
    home: &Home,
    environment: impl IntoIterator<Item = (&'e str, &'e str)>,
    more: &[&str],
) -> (i32, Vec<Value>) {
    let mut command = jeton(home);
    let output =
        command.arg("doctor").args(home.flags()).arg("--json").args(more).envs(environment).output().unwrap();
    let told: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (exit_code(&output), told["checks"].as_array().unwrap().clone())
}

fn offline(home: &Home) -> (i32, Vec<Value>) {
    doctor(home, [], &["--offline"])
}

#[track_caller]
fn the<'c>(checks: &'c [Value], name: &str) -> &'c Value {
    let found = checks.iter().find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {checks:#?}"))
}

/// One check, its verdict, and a part of what it says or advises.
#[track_caller]
fn told(checks: &[Value], name: &str, verdict: &str, part: &str) {
    let check = the(checks, name);
    let text =
        format!("{} {}", check["says"].as_str().unwrap(), check["advice"].as_str().unwrap_or_default());
    assert!(check["verdict"] == verdict && text.contains(part), "{verdict}, {part}: {check:#}");
}

async fn instance(home: &Home) {
    let made = run(home, "init", &[]);
    assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
}

/// Every file of the data directory, with its mode and content.
fn files(home: &Home) -> Vec<(String, u32, Vec<u8>)> {
    let about = |path: &Path| {
        let mode = path.metadata().unwrap().permissions().mode();
        (path.display().to_string(), mode, std::fs::read(path).unwrap())
    };
    let entries = std::fs::read_dir(home.data_dir()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| about(&path)).collect();
    files.sort();
    files
}

#[tokio::test]
async fn an_installation_that_is_well_is_told_so_beside_its_server_and_without_it() {
    for home in Home::each().await {
        let served = Served::start(&home, &[]).await;
        served.connected_app("acme", 600).await;
        let (code, checks) = doctor(&home, served.environment(), &[]);
        assert_eq!(code, 0, "{checks:#?}");
        for name in [
            "configuration",
            "data directory",
            "spool",
            "keyring",
            "schema",
            "clock",
            "instance key",
            "signing key",
            "public URL",
        ] {
            assert_eq!(the(&checks, name)["verdict"], "ok", "{checks:#?}");
        }
        told(&checks, "data keys", "ok", "all 2 unwrap");
        told(&checks, "provider sandbox", "ok", "answers");
        let beside =
            if home.database_url.is_some() { "PostgreSQL answers" } else { "a server works with it" };
        told(&checks, "database", "ok", beside);
        if home.database_url.is_some() {
            told(&checks, "standby", "ok", "none follows");
            told(&checks, "database writes", "ok", "takes them");
        }
        let environment: Vec<(String, String)> =
            served.environment().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let Served { serving, sandbox, .. } = served;
        assert_eq!(serving.terminate().0, Some(0));
        let before = files(&home);
        sandbox.stop().await;
        let environment = environment.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let (code, checks) = doctor(&home, environment, &[]);
        assert_eq!(code, 75, "only the provider is away: {checks:#?}");
        told(&checks, "provider sandbox", "failure", "is not reached");
        let (code, checks) = offline(&home);
        assert_eq!(code, 0, "{checks:#?}");
        told(&checks, "providers", "skipped", "--offline");
        assert_eq!(files(&home), before, "nothing was changed");
    }
}

#[tokio::test]
async fn a_line_a_check_that_a_person_can_act_on() {
    let home = Home::sqlite();
    instance(&home).await;
    std::fs::set_permissions(home.data_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(home.data_dir().join("spool")).unwrap();
    std::fs::write(home.data_dir().join("spool/answer-1.spool"), "x").unwrap();
    let output: Output = run(&home, "doctor", &["--offline", "--public-url", "https://new.example.com"]);
    assert_eq!((exit_code(&output), stderr(&output).as_str()), (0, ""), "warnings are no failures");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        assert!(["ok ", "warning ", "skipped "].iter().any(|verdict| line.starts_with(verdict)), "{line}");
        assert!(line.ends_with('.') && !line.contains(".."), "{line}");
    }
    let dir = home.data_dir();
    assert!(
        text.contains(&format!("open to other users (mode 0755). Run: chmod 700 {}.\n", dir.display())),
        "{text}"
    );
    assert!(text.contains("1 files wait in"), "{text}");
    assert!(text.contains("public URL        people and programs use https://new.example.com"), "{text}");
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_told() {
    let home = Home::sqlite();
    let wrong = [("JETON_LISTEN", "0.0.0.0:1"), ("JETON_DATABASE__MAX_CONECTIONS", "7")];
    let (code, checks) = doctor(&home, wrong, &[]);
    let faults: Vec<_> = checks.iter().filter(|check| check["check"] == "configuration").collect();
    assert_eq!((code, faults.len()), (78, 2), "{checks:#?}");
    let said = |fault: &&Value| fault["says"].as_str().unwrap().contains("`JETON_DATABASE__MAX_CONNECTIONS`");
    assert!(faults.iter().copied().any(|fault| said(&fault)));
    told(&checks, "everything else", "skipped", "configuration");
    let (code, checks) = offline(&home);
    assert_eq!(code, 78);
    told(&checks, "data directory", "failure", "jeton init");
    told(&checks, "database", "failure", "jeton init");
}

#[tokio::test]
async fn a_database_that_does_not_answer_may_pass() {
    let home = Home::sqlite();
    instance(&home).await;
    let away = ["--offline", "--database-url", "postgres://nobody:canary-password@127.0.0.1:9/jeton"];
    let mut command = jeton(&home);
    let dir = home.data_dir().display().to_string();
    let output = command.args(["doctor", "--data-dir", &dir]).args(away).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(exit_code(&output), 75, "{text}");
    assert!(text.contains("failure  database ") && text.contains("skipped  keys "), "{text}");
    assert!(text.contains("nothing is reached at 127.0.0.1:9: Connection refused"), "{text}");
    assert!(!text.contains("canary") && !stderr(&output).contains("canary"), "{text}");
    assert_eq!(stderr(&output), "jeton: 1 check(s) failed: see the list\n");
}

#[tokio::test]
async fn why_postgresql_is_not_reached_is_told() {
    for home in Home::each().await {
        let Some(url) = home.database_url.as_deref() else { continue };
        let mut absent = url::Url::parse(url).unwrap();
        absent.set_path("/absent_database");
        absent.set_password(Some("canary-password")).unwrap();
        let mut stranger = absent.clone();
        stranger.set_username("absent_user").unwrap();
        for (url, cause) in
            [(absent, "has no database `absent_database`"), (stranger, "refuses the user `absent_user`")]
        {
            let dir = home.data_dir().display().to_string();
            let mut command = jeton(&home);
            command.args(["doctor", "--offline", "--data-dir", &dir, "--database-url", url.as_str()]);
            let output = command.output().unwrap();
            let text = String::from_utf8(output.stdout.clone()).unwrap();
            assert_eq!(exit_code(&output), 78, "{text}");
            assert!(text.contains(cause) && !text.contains("canary"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_damaged_database_does_not_pass() {
    let home = Home::sqlite();
    instance(&home).await;
    let file = home.data_dir().join("jeton.db");
    assert!(file.exists(), "{:?}", files(&home).iter().map(|(name, ..)| name).collect::<Vec<_>>());
    std::fs::write(&file, "this is no database, ".repeat(1_000)).unwrap();
    let (code, checks) = offline(&home);
    assert_eq!(code, 78, "{checks:#?}");
    told(&checks, "database", "failure", "from a backup");
    let refused = run(&home, "serve", &[]);
    assert_eq!(exit_code(&refused), 78, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("from a backup"), "{}", stderr(&refused));
}

/// Looks again until a check is so: sessions learn of a changed setting one by one.
#[track_caller]
fn becomes(home: &Home, name: &str, verdict: &str, part: &str) -> i32 {
    let begun = std::time::Instant::now();
    loop {
        let (code, checks) = offline(home);
        if the(&checks, name)["verdict"] == verdict || begun.elapsed() > std::time::Duration::from_secs(20) {
            told(&checks, name, verdict, part);
            return code;
        }
    }
}

#[tokio::test]
async fn a_database_that_only_reads_or_would_forget_is_told() {
    let Some(cluster) = Cluster::start_or_skip().await else { return };
    let home = Home::at(Cluster::url_at(cluster.address()));
    instance(&home).await;
    let follower = cluster.follow();
    let code = becomes(&home, "standby", "warning", "1 follow, and a commit waits for none");
    assert_eq!(code, 0, "a warning is no failure");
    cluster.set_synchronous("*").await;
    assert_eq!(becomes(&home, "standby", "ok", "1 follow, and a commit waits for one"), 0);
    cluster.set_synchronous("").await;
    drop(follower);
    becomes(&home, "standby", "ok", "none follows");
    cluster.set_read_only(true).await;
    let code = becomes(&home, "database writes", "failure", "Point `database_url` at the primary");
    assert_eq!(code, 78, "somebody has to change something");
}

#[tokio::test]
async fn clocks_that_are_apart_are_told() {
    for home in Home::each().await {
        instance(&home).await;
        let clock = Arc::new(ShiftedClock::default());
        let nature = Nature { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        // The database's clock is the machine's, which a test does not move: it moves the program's.
        let mut shifted = 0;
        for (seconds, verdict, says) in [(0, "ok", "0."), (10, "warning", "10."), (100, "failure", "100.")] {
            clock.advance(time::Duration::seconds(seconds - shifted));
            shifted = seconds;
            let checks = examine(Ok(home.config("127.0.0.1:0", &[])), &nature, true).await;
            let checks: Vec<Value> =
                checks.iter().map(|check| serde_json::to_value(check).unwrap()).collect();
            if home.database_url.is_some() {
                told(&checks, "clock", verdict, &format!("are {says}"));
            } else {
                told(&checks, "clock", "ok", "this machine's clock");
            }
        }
    }
}

#[tokio::test]
async fn a_signing_key_of_another_algorithm_or_age_is_told_until_its_successor_waits() {
    for home in Home::each().await {
        instance(&home).await;
        let clock = Arc::new(ShiftedClock::default());
        let nature = Nature { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        let look = async |more: &[(&'static str, &str)]| {
            let checks = examine(Ok(home.config("127.0.0.1:0", more)), &nature, true).await;
            checks.iter().map(|check| serde_json::to_value(check).unwrap()).collect::<Vec<Value>>()
        };
        told(&look(&[]).await, "signing key", "ok", "one is active and opens; ES256, for 0 days");
        let rsa = [("issuer.algorithm", "RS256")];
        told(&look(&rsa).await, "signing key", "warning", "is RS256 Run `jeton keys rotate`");
        clock.advance(time::Duration::days(92));
        told(
            &look(&[]).await,
            "signing key",
            "warning",
            "has signed for 92 days, and `issuer.rotation_days` is 90",
        );
        told(&look(&[("issuer.rotation_days", "0")]).await, "signing key", "ok", "ES256, for 92 days");
        let sql = Sql::open(&home).await;
        let columns = "sealed_private, key_id, public_jwk, public_mac, created_at, activates_at";
        sql.run(&format!(
            "INSERT INTO signing_key (kid, algorithm, state, {columns}) \
             SELECT '00000000000070008000000000000001', 'RS256', 'pending', {columns} FROM signing_key"
        ))
        .await;
        told(
            &look(&[("issuer.rotation_days", "0"), rsa[0]]).await,
            "signing key",
            "ok",
            "one is active and opens",
        );
        sql.run("DROP INDEX signing_key_state").await;
        sql.run("ALTER TABLE signing_key DROP COLUMN activates_at").await;
        sql.run("DELETE FROM seaql_migrations WHERE version LIKE 'm0009%'").await;
        drop(sql);
        told(&look(&[]).await, "signing key", "skipped", "the schema lacks");
    }
}

#[tokio::test]
async fn keys_that_do_not_fit_are_told() {
    for home in Home::each().await {
        let served = Served::start(&home, &[]).await;
        served.connected_app("acme", 600).await;
        served.serving.terminate();
        let sql = Sql::open(&home).await;
        sql.run("UPDATE data_key SET wrapped = (SELECT wrapped FROM data_key WHERE id = (SELECT data_key_id FROM instance)) WHERE id = (SELECT data_key_id FROM app)").await;
        sql.run("UPDATE signing_key SET state = 'retired'").await;
        sql.run("DELETE FROM seaql_migrations WHERE version = (SELECT max(version) FROM seaql_migrations)")
            .await;
        drop(sql);
        let (code, checks) = offline(&home);
        assert_eq!(code, 78, "{checks:#?}");
        told(&checks, "instance key", "ok", "opens that of `jeton`");
        told(&checks, "data keys", "failure", "1 of 2 do not unwrap, those of: acme");
        told(&checks, "signing key", "failure", "no signing key is active");
        told(&checks, "schema", "warning", "lacks 1 changes");

        let keyring = home.data_dir().join("keyring.toml");
        std::fs::set_permissions(&keyring, std::fs::Permissions::from_mode(0o644)).unwrap();
        told(&offline(&home).1, "keyring", "failure", "may be read by others Run: chmod 600");
        let other = Home::sqlite();
        instance(&other).await;
        std::fs::copy(other.data_dir().join("keyring.toml"), &keyring).unwrap();
        let (code, checks) = offline(&home);
        assert_eq!(code, 78);
        told(&checks, "instance key", "failure", "keyring that `init` made");
    }
}
