//! Are the manuals for operators true? Their commands are run as they stand, and their tables hold what there is.

use std::process::Output;

use jeton::model::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::Home;
use crate::support::house::{CLIENT, House};
use crate::support::peer::{is_here, skipped};
use crate::support::program::{exit_code, jeton, stderr};
use crate::support::provider::consent;
use crate::support::served::Served;

const MIGRATE: &str = include_str!("../../docs/migrate.md");
const CLIENTS: &str = include_str!("../../docs/clients.md");
const CONNECTORS: &str = include_str!("../../docs/connectors.md");
const SECRET_STORES: &str = include_str!("../../docs/secret-stores.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The blocks in a language, as they stand or indented in a list.
fn blocks(manual: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let inside = manual.split(open.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap());
    inside.map(|block| block.lines().map(|line| format!("{}\n", line.trim_start())).collect()).collect()
}

/// First cells of the tables' rows, without what is no code.
fn cells(manual: &str) -> Vec<&str> {
    manual.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect()
}

/// Runs lines of a manual; ours is the provider alone.
fn follow(served: &Served, home: &Home, block: &str) -> Output {
    let built = std::path::Path::new(env!("CARGO_BIN_EXE_jeton")).parent().unwrap();
    let mut shell = std::process::Command::new("bash");
    shell.env_clear().current_dir(home.path());
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", built.display()));
    shell.env("JETON_URL", &served.serving.url);
    shell.env("JETON_CLIENT_ID", &served.superadmin.0).env("JETON_CLIENT_SECRET", &served.superadmin.1);
    let script = block.replace("Iv1.0123456789abcdef", CLIENT).replace("github ", "sandbox ");
    shell.args(["-euo", "pipefail", "-c", &script]).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_attention_is_listed_as_the_manual_says() {
    const COMMAND: &str = "jeton connection list --needs-attention";
    assert!(OPERATIONS.contains(&format!("`{COMMAND}`")));
    let stdout = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    for home in Home::each().await {
        let served = Served::start(&home, &[]).await;
        served.connected_app("acme", 3_600).await;
        let listed = follow(&served, &home, COMMAND);
        assert_eq!((exit_code(&listed), stdout(&listed)), (0, "none\n".to_owned()), "{listed:?}");
        let over = json!({"access_token": "canary", "expires_at": "2020-01-01T00:00:00Z", "flow": "old"});
        let path = "/admin/v1/apps/acme/connections/sandbox/import";
        assert!(served.ask(Method::POST, path, Some(&over)).await.status().is_success());
        let listed = follow(&served, &home, COMMAND);
        assert_eq!(exit_code(&listed), 78, "{listed:?}");
        let row = stdout(&listed).lines().nth(1).unwrap().to_owned();
        for word in ["acme", "sandbox", "old", "reauthorization_required", "/acme/sandbox/signup?flow=old"] {
            assert!(row.contains(word), "{word} in {row}");
        }
        assert!(!stdout(&listed).contains("canary"));
        let Served { serving, sandbox, .. } = served;
        serving.terminate();
        sandbox.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_can_be_moved_as_the_manual_says() {
    let [credentials, keeper, dry_run, import, look] = &blocks(MIGRATE, "sh")[..] else {
        panic!("other blocks than were tested")
    };
    let home = Home::sqlite();
    let served = Served::start(&home, &[]).await;
    std::fs::write(home.path().join("github-secret.txt"), "sandbox-secret\n").unwrap();
    // The manual's lines, with grants that the provider knows.
    let mut lines = Vec::new();
    for block in blocks(MIGRATE, "json") {
        let mut line: Value = serde_json::from_str(&block).unwrap();
        let granted = consent(&served.sandbox, CLIENT).await;
        for field in ["access_token", "refresh_token", "scope"] {
            line[field] = granted[field].clone();
        }
        line["connector"] = json!("sandbox");
        lines.push(line);
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(home.path().join("tokens.jsonl"), text).unwrap();

    for (block, said) in [
        (credentials, ""),
        (
            dry_run,
            "jeton: 2 connection(s) well formed; nothing was sent, and whether the apps and connectors exist was not asked\n",
        ),
        (import, "jeton: 2 connection(s) imported\n"),
        (look, ""),
    ] {
        let output = follow(&served, &home, block);
        assert_eq!((exit_code(&output), stderr(&output).as_str()), (0, said), "{block}");
    }
    let again = follow(&served, &home, import);
    assert!(String::from_utf8(again.stdout.clone()).unwrap().contains("already_spent"), "{again:?}");
    let answer = served.ask(Method::GET, "/acme/sandbox/binb-token?auth_flow_id=61c9-7", None).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    if !is_here("jq") {
        skipped::<()>("the conversion of a keeper's file: no jq here");
    } else {
        let kept =
            json!({"61c9-8": {"access_token": "t", "expires_at": 1_795_514_400}, "61c9-9": {"state": "s"}});
        std::fs::write(home.path().join("secrets.json"), kept.to_string()).unwrap();
        let made = follow(&served, &home, &format!("{keeper}{dry_run}"));
        let table = String::from_utf8(made.stdout.clone()).unwrap();
        assert_eq!(exit_code(&made), 1, "{table}");
        assert!(table.contains("61c9-8") && table.contains("was the consent ever finished?"), "{table}");
    }
    assert_eq!(served.serving.terminate().0, Some(0));
    served.sandbox.stop().await;
}

/// What stands as code in the first cells of the tables.
fn words(manual: &str) -> Vec<String> {
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut words: Vec<String> = cells(manual).into_iter().flat_map(code).collect();
    words.sort_unstable();
    words
}

#[test]
fn every_key_of_a_definition_is_in_the_manual_and_every_one_of_the_manual_is_a_key() {
    let api: Value = serde_json::from_str(include_str!("../../api-spec/openapi.json")).unwrap();
    let keys = |schema: &str| {
        let fields = api["components"]["schemas"][schema]["properties"].as_object().unwrap();
        fields.keys().cloned().collect::<Vec<_>>()
    };
    let mut keys = [keys("Definition"), keys("Refresh"), keys("Identity")].concat();
    // These have a table each.
    keys.retain(|key| key != "refresh" && key != "identity");
    keys.sort_unstable();
    assert_eq!(words(CONNECTORS), keys);
}

#[test]
fn every_scope_is_in_the_manual_and_every_one_of_the_manual_is_a_scope() {
    let mut scopes: Vec<String> = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect();
    scopes.sort_unstable();
    assert_eq!(words(CLIENTS.split("## Scopes").nth(1).unwrap()), scopes);
}

#[tokio::test]
async fn every_figure_is_in_the_manual_and_every_one_of_the_manual_is_a_figure() {
    let house = House::start().await;
    house.connected_app("acme").await;
    house.pass(3_600);
    assert_eq!(house.binb_token("acme", "sandbox").await.0, 200);
    house.ask(Method::DELETE, "/admin/v1/apps/acme/connections/sandbox", None).await;
    let mut text = String::new();
    // The broker tells a change within seconds.
    let telling = async {
        while !text.contains("jeton_connection_changes_total") {
            text = house.ask(Method::GET, "/metrics", None).await.text().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), telling).await.expect("a deletion is told");
    let mut told: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    told.sort_unstable();
    told.dedup();
    let table = OPERATIONS.split("### Alerts").next().unwrap();
    let mut written: Vec<&str> = cells(table)
        .into_iter()
        .flat_map(|cell| cell.split('`'))
        .filter(|word| word.starts_with("jeton_"))
        .collect();
    written.sort_unstable();
    assert_eq!(told, written);
    let alerts = OPERATIONS.split("### Alerts").nth(1).unwrap();
    let words = alerts
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("jeton_"));
    let unknown: Vec<&str> = words.filter(|word| !told.contains(word)).collect();
    assert_eq!(unknown, [""; 0]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_for_jobs_and_for_other_services_are_got_as_the_manual_says() {
    if !is_here("curl") {
        return skipped("the manual of clients: no curl here").unwrap_or_default();
    }
    for home in Home::each().await {
        let served = Served::start(&home, &[]).await;
        let commands = blocks(CLIENTS, "sh");
        let [job, services, _, link, ..] = commands.as_slice() else { panic!("{commands:?}") };
        let got = follow(&served, &home, job);
        let token: Value = serde_json::from_slice(&got.stdout).unwrap_or_else(|_| panic!("{got:?}"));
        assert_eq!((&token["expires_in"], &token["scope"]), (&json!(3600), &json!("superadmin")));
        let script = format!("TOKEN={}\n{services}", token["access_token"].as_str().unwrap());
        let made = follow(&served, &home, &script);
        assert!(made.status.success(), "{made:?}");
        let answers = String::from_utf8(made.stdout).unwrap();
        assert!(answers.contains("\"terms:write\"") && answers.contains("client_secret"), "{answers}");
        served.connected_app("acme", 3_600).await;
        let link =
            link.replace("\"github\"", "\"sandbox\"").replace("https://shop.example/done", "/acme/connect");
        let script = format!("TOKEN={}\n{link}", token["access_token"].as_str().unwrap());
        let sent = follow(&served, &home, &script);
        let link: Value = serde_json::from_slice(&sent.stdout).unwrap_or_else(|_| panic!("{sent:?}"));
        assert!(link["url"].as_str().unwrap().contains("/connect/links/"), "{link}");
    }
}

#[tokio::test]
async fn every_check_of_the_doctor_is_in_the_manual() {
    let table: Vec<&str> = cells(OPERATIONS).into_iter().flat_map(|cell| cell.split(", ")).collect();
    for home in Home::each().await {
        let served = Served::start(&home, &[]).await;
        let mut command = jeton(&home);
        let output = command.arg("doctor").args(home.flags()).args(["--json", "--offline"]).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        for check in told["checks"].as_array().unwrap() {
            let name = check["check"].as_str().unwrap();
            assert!(name == "providers" || table.contains(&name), "{name} is not in {table:?}");
        }
        served.serving.terminate();
        served.sandbox.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_are_rotated_and_taken_out_as_the_manual_says() {
    let (_, section) = OPERATIONS.split_once("## Signing keys").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let [rotate, retire] = &blocks(section, "sh")[..] else { panic!("other blocks than were tested") };
    let stdout = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    for home in Home::each().await {
        let served = Served::start(&home, &[]).await;
        let said = follow(&served, &home, rotate);
        assert_eq!(exit_code(&said), 0, "{said:?}");
        let said = stdout(&said);
        let active = said.lines().find(|line| line.contains(" active ")).unwrap();
        let active = active.split_whitespace().next().unwrap();
        let said_of_new: Vec<&str> = said.lines().filter(|line| line.ends_with(" pending")).collect();
        assert_eq!(said_of_new, ["state         pending"], "{said}");

        let taken_out = follow(&served, &home, &retire.replace("KID", active));
        assert_eq!((exit_code(&taken_out), stdout(&taken_out).as_str()), (0, ""), "{taken_out:?}");
        let left = follow(&served, &home, "jeton keys status --json");
        let left: Value = serde_json::from_str(&stdout(&left)).unwrap();
        let states: Vec<&Value> = left.as_array().unwrap().iter().map(|key| &key["state"]).collect();
        assert_eq!(states, ["pending", "active"], "{left}");
        assert!(!left.to_string().contains(active), "{left}");
        let Served { serving, sandbox, .. } = served;
        serving.terminate();
        sandbox.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_made_and_gets_its_token_as_the_manual_says() {
    let home = Home::sqlite();
    let settings = blocks(SECRET_STORES, "toml").concat();
    let settings: toml::Table = settings.parse().unwrap();
    let places = settings["secret_stores"]["deliver_to"].as_array().unwrap();
    let places: Vec<_> = places.iter().map(|place| place.as_str().unwrap()).collect();
    let variables = [
        ("JETON_SECRET_STORES__DELIVER_TO", places.join(",")),
        ("JETON_INSTANCE__STACK", settings["instance"]["stack"].as_str().unwrap().to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let served = Served::start(&home, &variables).await;
    let [make, use_it] = blocks(SECRET_STORES, "sh").try_into().unwrap();
    let made = follow(&served, &home, &make);
    assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
    let folder = home.data_dir().join("secrets").display().to_string();
    let token = follow(&served, &home, &use_it.replace("$PWD/jeton-data/secrets", &folder));
    assert_eq!(exit_code(&token), 0, "{}", stderr(&token));
    assert_eq!(String::from_utf8(token.stdout).unwrap().matches('.').count(), 2);
}
