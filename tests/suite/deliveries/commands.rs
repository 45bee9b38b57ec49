//! Do the commands of a service work with a real store of others, and end in one line and the right exit code where they cannot?

use jeton_client::Secret;
use jeton_client::secret_store::{Expected, Reference, Variables, open};
use serde_json::{Value, json};

use super::servers::Moto;
use super::{command, house, stdout};
use crate::support::app::Home;
use crate::support::house::House;
use crate::support::program::{exit_code, stderr};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_lives_by_aws_at_the_command_line_and_is_told_what_is_wrong_there() {
    let Some(moto) = Moto::start() else { return };
    let (may, may_not) = (moto.may(), moto.may_not());
    let folder = tempfile::tempdir().unwrap();
    // Tokens are kept there.
    let folder = folder.path().display().to_string();

    let own = [("secret_stores.deliver_to", "aws-sm:eu-west-1/prod/"), ("instance.stack", "prod")];
    let house = House::on(Home::sqlite(), &[&own[..], &may[..]].concat()).await;
    let (id, secret) = &house.broker.superadmin;
    let admin =
        [("JETON_URL", house.broker.url.as_str()), ("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", secret)];
    let add = ["client", "add-service", "pipeline", "--deliver-to", "aws-sm:eu-west-1/", "--json"];
    let made: Value = serde_json::from_str(&stdout(&command(&folder, &add, &admin).await)).unwrap();
    assert_eq!(made["delivery"]["reference"], "aws-sm:eu-west-1/prod/pipeline");

    let token = |from: &'static str| ["service-token", "pipeline", "--from", from, "--stack", "prod"];
    let own = token("aws-sm:eu-west-1/");
    assert_eq!(stdout(&command(&folder, &own, &may).await).matches('.').count(), 2, "a JWT");
    for (from, keys, code, told) in [
        (own, &may_not, 77, "permission is missing: allow `secretsmanager:GetSecretValue`"),
        (token("aws-sm:us-east-1/"), &may, 78, "another region, or another account's keys"),
    ] {
        let refused = command(&folder, &from, keys).await;
        let line = stderr(&refused);
        assert_eq!((exit_code(&refused), line.trim_end().lines().count()), (code, 1), "{line}");
        assert!(line.contains(&format!("AWS Secrets Manager, `{}prod/pipeline`: ", from[3])), "{line}");
        assert!(line.contains(told), "{line}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_delivered_used_and_checked() {
    let (house, folder) = house(Home::sqlite()).await;
    let (id, secret) = &house.broker.superadmin;
    let url = house.broker.url.as_str();
    let admin = [("JETON_URL", url), ("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", secret)];
    let add =
        ["client", "add-service", "old-tool", "--deliver-to", "file:", "--deliver-as", "pair", "--json"];
    let made: Value = serde_json::from_str(&stdout(&command(&folder, &add, &admin).await)).unwrap();
    assert_eq!((&made["delivery"]["form"], &made["client_secret"]), (&json!("pair"), &Value::Null), "{made}");
    let held = stored(&folder).get().await.unwrap().unwrap();
    let held: Value = serde_json::from_str(&text(&held.value)).unwrap();
    let mut names: Vec<_> = held.as_object().unwrap().keys().cloned().collect();
    names.sort_unstable();
    assert_eq!(
        (names.join(" "), &held["client-id"]),
        ("client-id client-secret".to_owned(), &made["client_id"])
    );

    let token = ["service-token", "old-tool", "--from", "file:", "--stack", "prod"];
    let refused = command(&folder, &token, &[]).await;
    assert_eq!(exit_code(&refused), 78);
    assert!(stderr(&refused).contains("`file:prod/old-tool`") && stderr(&refused).contains("JETON_URL"));
    assert_eq!(stdout(&command(&folder, &token, &[("JETON_URL", url)]).await).matches('.').count(), 2);
    let seen = stdout(&command(&folder, &["client", "check"], &admin).await);
    assert!(seen.contains("file:prod/old-tool"), "{seen}");

    let elsewhere = command(&folder, &["service-token", "old-tool", "--from", "file:"], &[]).await;
    let said = stderr(&elsewhere);
    assert!(said.contains("in the stack jeton (--stack or JETON_STACK names another)"), "{said}");
    assert!(
        said.contains(&format!("`file:jeton/old-tool`: there is no such secret in {folder}: ")),
        "{said}"
    );

    for verb in ["show", "update", "deliver", "check", "delete"] {
        let refused = command(&folder, &["client", verb, "old-tool"], &admin).await;
        let said = stderr(&refused);
        assert_eq!(exit_code(&refused), 78, "{said}");
        assert!(
            said.contains("a client id is wanted, not an identifier: see `jeton client list`"),
            "{verb}: {said}"
        );
    }

    // The client is gone, what was delivered is still there.
    let client_id = made["client_id"].as_str().unwrap();
    stdout(&command(&folder, &["client", "delete", client_id], &admin).await);
    let credential = [("JETON_URL", url), ("JETON_CREDENTIAL", "file:prod/old-tool")];
    stored(&folder).put(&Secret::new(held.to_string()), &Expected::Absent).await.ok();
    let renew = [&token[..], &["--renew"]].concat();
    for (line, more) in [(&renew[..], &credential[..1]), (&["app", "list"], &credential)] {
        let refused = command(&folder, line, more).await;
        let said = stderr(&refused);
        assert_eq!(exit_code(&refused), 77, "{said}");
        assert!(said.contains("the credential at `file:prod/old-tool` is refused: "), "{said}");
        assert!(said.contains("jeton client check") && !said.contains("JETON_CLIENT_"), "{said}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_leads_nowhere_or_says_nothing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display().to_string();
    let document = json!({
        "flow": "client_credentials", "issuer": "http://127.0.0.1:9", "token_endpoint": "http://127.0.0.1:9/o/token/",
        "client_id": "c", "client_secret": "canary-4b7f", "scope": null, "audience": null, "version": 1,
    });
    for (kept, code, told) in [
        (
            document.to_string(),
            75,
            "the issuer http://127.0.0.1:9/, named by the credential at `file:prod/old-tool`, was not reached",
        ),
        ("{\"client_secret\": \"canary-4b7f\"}".to_owned(), 78, "`file:prod/old-tool`: what is kept there"),
        ("canary-4b7f".to_owned(), 78, "`file:prod/old-tool`: what is kept there"),
    ] {
        let store = stored(&folder);
        let seen =
            store.get().await.unwrap().map_or(Expected::Absent, |stored| Expected::Version(stored.version));
        store.put(&Secret::new(kept), &seen).await.unwrap();
        for (line, more) in [
            (&["service-token", "old-tool", "--from", "file:", "--stack", "prod"][..], &[][..]),
            (&["app", "list"], &[("JETON_CREDENTIAL", "file:prod/old-tool")]),
        ] {
            let refused = command(&folder, line, more).await;
            let said = stderr(&refused);
            assert_eq!((exit_code(&refused), said.trim_end().lines().count()), (code, 1), "{line:?}: {said}");
            let mend = "; try again later, or store the credential again with the right issuer";
            assert_eq!(said.contains(mend), code == 75, "{said}");
            assert!(
                said.contains(told) && !said.contains("canary") && !said.contains("check JETON_URL"),
                "{said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_store_ends_alike_in_every_command() {
    // Nobody is asked: nobody is there.
    let admin = [
        ("JETON_URL", "http://127.0.0.1:9"),
        ("JETON_CLIENT_ID", "c"),
        ("JETON_CLIENT_SECRET", "canary-4b7f"),
    ];
    for (to, told) in [
        ("gcp-sm:x/y", "`gcp-sm:x/y` names no secret store known here: write file:NAME, env:NAME, "),
        ("nonsense", "this is no secret store reference: write file:NAME, "),
        ("aws-sm:", "AWS Secrets Manager, `aws-sm:`: write aws-sm:REGION/ID"),
        ("vault:secret/x", "Vault or OpenBao, `vault:secret/x`: write vault:MOUNT/PATH#FIELD"),
    ] {
        for line in [
            &["client", "add-service", "pipeline", "--deliver-to", to][..],
            &["client", "create", "pipeline", "--deliver-to", to],
            &["client", "deliver", "c", "--deliver-to", to],
            &["service-token", "pipeline", "--from", to],
        ] {
            let refused = command("/nowhere", line, &admin).await;
            let said = stderr(&refused);
            assert_eq!((exit_code(&refused), said.trim_end().lines().count()), (78, 1), "{line:?}: {said}");
            assert!(said.contains(&format!(": {told}")), "{line:?}: {said}");
        }
    }
}

fn stored(folder: &str) -> std::sync::Arc<dyn jeton_client::secret_store::SecretStore> {
    let reference: Reference = "file:prod/old-tool".parse().unwrap();
    open(&reference, &Variables::of([("JETON_SECRETS_DIR", folder)])).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test reads what is kept")]
fn text(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}
