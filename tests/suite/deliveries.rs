//! Are credentials of clients put where they belong, found again by whoever needs them, and seen by nobody else?

mod commands;
mod crashes;
mod defaults;
mod gate;
mod pairs;
mod post;
mod races;
#[path = "../../client/tests/stores/running.rs"]
mod running;
#[path = "../../client/tests/stores/servers.rs"]
mod servers;
mod services;
mod stores;
mod trust;

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use jeton_client::secret_store::{Reference, ServiceCredential, Variables, open};
use reqwest::Method;
use serde_json::{Value, json};

use self::servers::Moto;
use crate::canary::{Canaries, everything_in};
use crate::support::app::{Home, http};
use crate::support::house::House;
use crate::support::peer;
use crate::support::problem;
use crate::support::program::{Serving, exit_code, run, stderr};

/// A house whose credentials may go into files below `file:prod/`.
async fn house(home: Home) -> (House, String) {
    let folder = home.path().join("secrets").display().to_string();
    let keys = [
        ("secret_stores.deliver_to", "file:prod/"),
        ("instance.stack", "prod"),
        ("JETON_SECRETS_DIR", folder.as_str()),
    ];
    (House::on(home, &keys).await, folder)
}

async fn held(folder: &str, reference: &str) -> ServiceCredential {
    let variables = Variables::of([("JETON_SECRETS_DIR", folder)]);
    let reference: Reference = reference.parse().unwrap();
    let stored = open(&reference, &variables).unwrap().get().await.unwrap().unwrap();
    ServiceCredential::read(&stored.value).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test looks for it elsewhere")]
fn secret_of(held: &ServiceCredential) -> String {
    held.client_secret.expose_secret().to_owned()
}

/// A command of somebody who has nothing but the folder.
async fn command(folder: &str, line: &[&str], more: &[(&str, &str)]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_jeton"));
    command.args(line).env_clear().env("PATH", "/usr/bin:/bin").env("JETON_SECRETS_DIR", folder);
    command.envs(more.iter().copied()).stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn stdout(output: &Output) -> String {
    assert_eq!(exit_code(output), 0, "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reads_its_credential_and_mints_a_token_that_is_kept() {
    for home in Home::each().await {
        let (house, folder) = house(home).await;
        let resource =
            json!({"uri": "https://terms.example", "name": "Terms", "scopes": ["terms:read", "terms:write"]});
        house.write(Method::POST, "/resources", &resource).await;
        let body = json!({
            "identifier": "pipeline", "kind": "service", "deliver_to": "file:", "scopes": ["terms:write"],
            "resources": ["https://terms.example"],
        });
        let made = house.write(Method::POST, "/clients", &body).await;
        assert!(made["client_secret"].is_null(), "{made}");
        assert_eq!(made["delivery"]["reference"], "file:prod/pipeline");
        assert_eq!(
            (&made["delivery"]["state"], &made["delivery"]["version"]),
            (&json!("delivered"), &json!(1))
        );
        let held = held(&folder, "file:prod/pipeline").await;
        assert_eq!(held.issuer.as_str().trim_end_matches('/'), house.broker.url.trim_end_matches('/'));
        assert_eq!(held.scope.as_deref(), Some("terms:write"));
        assert_eq!(held.audience.as_deref(), Some("https://terms.example"));

        let line = ["service-token", "pipeline", "--from", "file:", "--stack", "prod"];
        let token = stdout(&command(&folder, &line, &[]).await);
        assert_eq!(token.matches('.').count(), 2, "a JWT: {token}");
        assert_eq!(stdout(&command(&folder, &line, &[]).await), token, "kept while it lives");
        let anew = stdout(&command(&folder, &[&line[..], &["--renew"]].concat(), &[]).await);
        assert_ne!(anew, token);
        assert_eq!(stdout(&command(&folder, &line, &[]).await), anew);
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_commands_take_a_reference_for_a_secret_and_check_tells_what_drifted() {
    let (house, folder) = house(Home::sqlite()).await;
    let body = json!({
        "identifier": "admin", "kind": "service", "role": "superadmin", "deliver_to": "file:prod/admin",
        "scopes": ["superadmin"],
    });
    house.write(Method::POST, "/clients", &body).await;
    let credential = [("JETON_CREDENTIAL", "file:prod/admin")];
    // The credential also says where the broker is.
    let again = ["client", "add-service", "pipeline", "--deliver-to", "file:", "--json"];
    let made: Value = serde_json::from_str(&stdout(&command(&folder, &again, &credential).await)).unwrap();
    assert_eq!(made["delivery"]["reference"], "file:prod/pipeline");
    let line = ["client", "add-programmatic", "notebook", "--json"];
    let script: Value = serde_json::from_str(&stdout(&command(&folder, &line, &credential).await)).unwrap();
    assert_eq!((&script["kind"], &script["client_secret"]), (&json!("programmatic"), &Value::Null));
    let seen = stdout(&command(&folder, &["client", "check"], &credential).await);
    assert!(seen.contains("file:prod/pipeline") && !seen.contains("notebook"), "{seen}");

    std::fs::remove_file(format!("{folder}/prod/pipeline.sealed")).unwrap();
    let seen = command(&folder, &["client", "check"], &credential).await;
    assert_eq!(exit_code(&seen), 78);
    assert!(stderr(&seen).contains("1 credential(s) are not as delivered"), "{}", stderr(&seen));
    assert!(String::from_utf8_lossy(&seen.stdout).contains("missing"));
    let id = made["client_id"].as_str().unwrap();
    let remedy =
        format!("`file:prod/pipeline`: nothing is there: deliver it again: `jeton client deliver {id}`");
    assert!(stderr(&seen).contains(&remedy), "{}", stderr(&seen));
    stdout(&command(&folder, &["client", "deliver", id], &credential).await);
    stdout(&command(&folder, &["client", "check"], &credential).await);
    let gone = command(&folder, &["client", "delete", id], &credential).await;
    let left = "is still at `file:prod/pipeline`: remove it there (the file prod/pipeline.sealed in the server's folder";
    assert!(stdout(&gone).is_empty() && stderr(&gone).contains(left), "{}", stderr(&gone));
    std::fs::remove_file(format!("{folder}/prod/pipeline.sealed")).unwrap();
    let again: Value = serde_json::from_str(&stdout(&command(&folder, &again, &credential).await)).unwrap();
    std::fs::remove_file(format!("{folder}/prod/pipeline.sealed")).unwrap();
    let id = again["client_id"].as_str().unwrap();
    let gone = command(&folder, &["client", "delete", id], &credential).await;
    assert!(stderr(&gone).is_empty(), "nothing is left: {}", stderr(&gone));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_gives_no_credential_is_told_in_one_line() {
    let (house, folder) = house(Home::sqlite()).await;
    for (reference, code, told) in [
        ("file:prod/other", 78, "secret files, `file:prod/other`: there is no such secret"),
        ("env:NOTHING", 78, "the environment, `env:NOTHING`: there is no such secret"),
        ("gcp-sm:prod/x", 78, "`gcp-sm:prod/x` names no secret store known here"),
        ("vault:secret/x#y", 78, "Vault or OpenBao, `vault:secret/x#y`: set BAO_ADDR or VAULT_ADDR"),
        (
            "aws-sm:eu-west-1/x",
            77,
            "AWS Secrets Manager, `aws-sm:eu-west-1/x`: the store does not know this program",
        ),
        ("azure-kv:corp/x", 77, "Azure Key Vault, `azure-kv:corp/x`: the store does not know this program"),
    ] {
        let more = [
            ("JETON_CREDENTIAL", reference),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AZURE_CLIENT_SECRET", "x"),
        ];
        let refused = command(&folder, &["app", "list"], &more).await;
        assert_eq!(exit_code(&refused), code, "{reference}: {}", stderr(&refused));
        assert!(
            stderr(&refused).contains(told) && stderr(&refused).lines().count() == 1,
            "{}",
            stderr(&refused)
        );
    }
    let broken = [("JETON_CREDENTIAL", "env:BROKEN"), ("BROKEN", r#"{"client_id": "canary"}"#)];
    let refused = command(&folder, &["app", "list"], &broken).await;
    assert_eq!(exit_code(&refused), 78);
    assert!(
        stderr(&refused).contains("`env:BROKEN`: what is kept there is no credential"),
        "{}",
        stderr(&refused)
    );
    assert!(!stderr(&refused).contains("canary"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reads_no_store_is_started_with_a_token_and_without_the_reference() {
    let (house, folder) = house(Home::sqlite()).await;
    let job = json!({
        "identifier": "job", "kind": "service", "role": "superadmin", "deliver_to": "file:", "scopes": ["binb:read"],
    });
    house.write(Method::POST, "/clients", &job).await;
    house.app("acme", "Acme").await;
    house.credentials("sandbox", Some("acme")).await;
    let sent = house.import("acme", "sandbox", &json!({})).await;
    let program = ["sh", "-c", "printf %s $TOKEN $JETON_CREDENTIAL"];
    let line = [&["exec", "acme", "sandbox", "--env", "TOKEN", "--"], &program[..]].concat();
    let told = command(&folder, &line, &[("JETON_CREDENTIAL", "file:prod/job")]).await;
    assert_eq!(stdout(&told), sent["access_token"].as_str().unwrap());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_failed_half_way_is_told_seen_and_finished() {
    let (house, folder) = house(Home::sqlite()).await;
    // Others may put files there, so nothing is written.
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    let body = json!({"identifier": "pipeline", "kind": "service", "deliver_to": "file:"});
    let answer = house.ask(Method::POST, "/admin/v1/clients", Some(&body)).await;
    let told = problem::read(answer, "provider_misconfigured").await;
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("`file:prod/pipeline`") && detail.contains("run `chmod go= "), "{detail}");
    let id = detail.split_whitespace().nth(2).unwrap();
    let path = format!("/clients/{id}/delivery");
    let admin = format!("/admin/v1{path}");
    let look = async || house.ask(Method::GET, &admin, None).await.json::<Value>().await.unwrap();
    assert_eq!(
        (&look().await["state"], &look().await["drift"]["code"]),
        (&json!("pending"), &json!("pending"))
    );
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    let done = house.write(Method::POST, &path, &json!({})).await;
    assert_eq!((&done["state"], &done["reference"]), (&json!("delivered"), &json!("file:prod/pipeline")));
    assert!(look().await["drift"].is_null());
    let client =
        house.ask(Method::GET, &format!("/admin/v1/clients/{id}"), None).await.json::<Value>().await.unwrap();
    assert_eq!(client["secrets"].as_array().unwrap().len(), 1);
    house.stop().await;
}

#[tokio::test]
async fn credentials_go_nowhere_else() {
    let (house, folder) = house(Home::sqlite()).await;
    let ask = async |changes: &Value, code: &str| {
        let mut body = json!({"identifier": "x", "kind": "service", "deliver_to": "file:"});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        problem::read(house.ask(Method::POST, "/admin/v1/clients", Some(&body)).await, code).await["detail"]
            .to_string()
    };
    for (to, told) in [
        (
            "file:elsewhere/x",
            "is not among the places that `secret_stores.deliver_to` in the broker's configuration",
        ),
        ("env:X", "is not among the places"),
        ("aws-sm:eu-west-1/x", "is not among the places"),
        ("gcp-sm:prod/x", "`gcp-sm:prod/x` names no secret store known here: write file:NAME"),
        ("vault:secret/x", "write vault:MOUNT/PATH#FIELD"),
        ("nonsense", "this is no secret store reference"),
    ] {
        let detail = ask(&json!({"deliver_to": to}), "invalid_request").await;
        assert!(detail.contains(told), "{to}: {detail}");
    }
    ask(&json!({"kind": "programmatic"}), "invalid_request").await;
    // What is there is not overwritten.
    house
        .write(
            Method::POST,
            "/clients",
            &json!({"identifier": "x", "kind": "service", "deliver_to": "file:"}),
        )
        .await;
    let before = secret_of(&held(&folder, "file:prod/x").await);
    assert!(
        ask(&json!({"identifier": "y", "deliver_to": "file:prod/x"}), "already_exists")
            .await
            .contains("file:prod/x")
    );
    assert_eq!(secret_of(&held(&folder, "file:prod/x").await), before);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_secret_is_in_no_log_and_no_database() {
    for home in Home::each().await {
        let folder = home.path().join("secrets").display().to_string();
        let made = run(&home, "init", &["--json"]);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let serving = Serving::start_with(
            &home,
            &[
                ("JETON_SECRET_STORES__DELIVER_TO", "file:"),
                ("JETON_SECRETS_DIR", &folder),
                ("RUST_LOG", "trace"),
            ],
        );
        let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
        let own =
            [("JETON_URL", serving.url.as_str()), ("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", secret)];
        let line = ["client", "add-service", "pipeline", "--deliver-to", "file:prod/pipeline", "--json"];
        let told = command(&folder, &line, &own).await;
        let answer: Value = serde_json::from_str(&stdout(&told)).unwrap();
        let first = secret_of(&held(&folder, "file:prod/pipeline").await);
        let client_id = answer["client_id"].as_str().unwrap();
        stdout(&command(&folder, &["client", "deliver", client_id], &own).await);
        let second = secret_of(&held(&folder, "file:prod/pipeline").await);
        assert_ne!(first, second);
        let seen = command(&folder, &["client", "check", "--json"], &own).await;
        assert_eq!(serde_json::from_str::<Value>(&stdout(&seen)).unwrap()[0]["drift"], Value::Null);

        // Both live, and a token is got by the one that is there.
        for secret in [&first, &second] {
            let form =
                [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)];
            let asked = http().post(format!("{}/o/token/", serving.url)).form(&form).send().await.unwrap();
            assert_eq!(asked.status(), 200);
        }
        let (_, log) = serving.terminate();
        assert!(log.contains("/admin/v1/clients"), "it says much: {} bytes", log.len());
        let mut secrets = Canaries::default();
        secrets.add("what was delivered first", first);
        secrets.add("what was delivered then", second);
        secrets.absent_from("the log", &log);
        for output in [&told, &seen] {
            let stdout = String::from_utf8_lossy(&output.stdout);
            secrets.absent_from("what the commands say", &format!("{stdout}{}", stderr(output)));
        }
        let database = everything_in(&home).await;
        assert!(database.contains("file:prod/pipeline"), "{}: it is read", home.name);
        secrets.absent_from("the database", &database);
        for entry in std::fs::read_dir(home.data_dir()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            secrets.absent_from(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}

const READ: &str = "import boto3, sys; print(boto3.client('secretsmanager', region_name='eu-west-1').get_secret_value(SecretId='prod/pipeline', VersionStage=sys.argv[1])['SecretString'])";

#[tokio::test(flavor = "multi_thread")]
async fn amazons_own_library_reads_what_was_delivered_and_what_was_before() {
    let Some(moto) = Moto::start() else { return };
    let own = [("secret_stores.deliver_to", "aws-sm:eu-west-1/prod/"), ("instance.stack", "prod")];
    let house = House::on(Home::sqlite(), &[&own[..], &moto.may()].concat()).await;
    let body = json!({"identifier": "pipeline", "kind": "service", "deliver_to": "aws-sm:eu-west-1/"});
    let made = house.write(Method::POST, "/clients", &body).await;
    assert_eq!(made["delivery"]["reference"], "aws-sm:eu-west-1/prod/pipeline");
    let path = format!("/clients/{}/delivery", made["client_id"].as_str().unwrap());
    house.write(Method::POST, &path, &json!({})).await;
    for (stage, version) in [("AWSCURRENT", 2), ("AWSPREVIOUS", 1)] {
        let mut read = peer::python("-c").unwrap();
        read.args([READ, stage]).envs(moto.may());
        let output = tokio::task::spawn_blocking(move || read.output().unwrap()).await.unwrap();
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        assert_eq!(
            (&document["version"], &document["flow"]),
            (&json!(version), &json!("client_credentials"))
        );
        assert_eq!(document["client_id"], made["client_id"]);
        let form = ["client_id", "client_secret"].map(|key| (key, document[key].as_str().unwrap()));
        let form = [form[0], form[1], ("grant_type", "client_credentials")];
        let asked = house.broker.http.post(document["token_endpoint"].as_str().unwrap()).form(&form);
        assert_eq!(asked.send().await.unwrap().status(), 200, "{stage}");
    }
    house.stop().await;
}
