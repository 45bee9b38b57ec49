//! moto's Secrets Manager, which checks signatures and policies.

use jeton_client::secret_store::{Expected, StoreFault, Variables};
use jeton_client::{Action, Secret};

use crate::life::{fault, lives, one_line, replace, store, value};
use crate::scripted::ScriptedServer;
use crate::servers::{Moto, keys};

const REFERENCE: &str = "aws-sm:eu-west-1/prod/pipeline";

fn variables(url: &str, id: &str, secret: &str) -> Variables {
    Variables::of(keys(url, id, secret))
}

#[tokio::test]
async fn a_secret_lives_in_aws() {
    let Some(moto) = Moto::start() else { return };
    let keys = Variables::of(moto.may());
    let secret = store(REFERENCE, &keys);
    lives(&*secret, true).await;

    let elsewhere = store("aws-sm:us-east-1/prod/pipeline", &keys);
    assert_eq!(value(elsewhere.get().await.unwrap()), None, "another region has secrets of its own");

    secret.delete().await.unwrap();
    assert_eq!(fault(secret.get().await), StoreFault::Deleted);
    let error = secret.put(&Secret::new("canary"), &Expected::Absent).await.unwrap_err();
    assert_eq!(error.fault(), Some(&StoreFault::Deleted));
    assert!(one_line(&error, REFERENCE).ends_with("restore or purge it, or choose another name"), "{error}");
    assert_eq!(error.action(), Action::FixConfiguration);
}

#[tokio::test]
async fn who_may_not_is_told_which_right_is_missing() {
    let Some(moto) = Moto::start() else { return };
    replace(&*store(REFERENCE, &Variables::of(moto.may())), "canary", &Expected::Absent).await;
    let secret = store(REFERENCE, &Variables::of(moto.may_not()));
    let error = secret.get().await.unwrap_err();
    let line = one_line(&error, REFERENCE);
    assert!(line.contains("permission is missing: allow `secretsmanager:GetSecretValue`"), "{line}");
    assert_eq!(error.action(), Action::RequestAccess);
    let error = secret.put(&Secret::new("canary"), &Expected::Absent).await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("`secretsmanager:CreateSecret`"), "{error}");

    // A signature by another secret, and keys that nobody has.
    let forged = store(REFERENCE, &variables(&moto.url, moto.may()[1].1, "canary"));
    assert!(matches!(fault(forged.get().await), StoreFault::Unauthenticated(_)));
    let unknown = store(REFERENCE, &variables(&moto.url, "AKIANOBODYHASTHISKEY", "canary"));
    let error = unknown.get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("check AWS_ACCESS_KEY_ID"), "{error}");
    assert_eq!(error.action(), Action::RequestAccess);
}

#[tokio::test]
async fn a_busy_aws_is_asked_again_and_not_for_ever() {
    let throttled = || (400, "retry-after: 0\r\n", r#"{"__type":"ThrottlingException"}"#.to_owned());
    let answer = r#"{"VersionId":"v1","SecretString":"one"}"#;
    let server =
        ScriptedServer::start(move |_, nth| if nth < 2 { throttled() } else { (200, "", answer.to_owned()) })
            .await;
    let secret = store(REFERENCE, &variables(&server.url, "A", "canary"));
    assert_eq!(value(secret.get().await.unwrap()).as_deref(), Some("one"));
    assert_eq!(server.seen().len(), 3);
    assert!(server.seen()[0].headers["authorization"].starts_with("AWS4-HMAC-SHA256 Credential=A/"));

    let server = ScriptedServer::start(move |_, _| throttled()).await;
    let error = store(REFERENCE, &variables(&server.url, "A", "canary")).get().await.unwrap_err();
    assert_eq!((error.fault(), error.action()), (Some(&StoreFault::Throttled), Action::Retry));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_hostile_answer_is_refused_and_not_repeated() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"VersionId":7,"SecretString":"canary"}"#,
        r#"{"SecretString":"canary"}"#,
        "canary",
    ] {
        let server = ScriptedServer::start(move |_, _| (200, "", body.to_owned())).await;
        let error = store(REFERENCE, &variables(&server.url, "A", "canary")).get().await.unwrap_err();
        assert_eq!(error.fault(), Some(&StoreFault::Garbled), "{body}");
        one_line(&error, REFERENCE);
    }
    let binary = r#"{"VersionId":"v1","SecretBinary":"Y2FuYXJ5"}"#;
    let server = ScriptedServer::start(move |_, _| (200, "", binary.to_owned())).await;
    let error = store(REFERENCE, &variables(&server.url, "A", "canary")).get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).ends_with("what is kept there is binary: store it again"), "{error}");
}

#[tokio::test]
async fn an_aws_that_is_not_there_is_named() {
    let error = store(REFERENCE, &variables("http://127.0.0.1:9", "A", "canary")).get().await.unwrap_err();
    let line = one_line(&error, REFERENCE);
    assert!(line.contains("no answer from http://127.0.0.1:9 (Connection refused (os error 111)): check the network, the region"), "{line}");
    let nobody = Variables::of([("AWS_EC2_METADATA_DISABLED", "true")]);
    let error = jeton_client::secret_store::open(&REFERENCE.parse().unwrap(), &nobody).unwrap_err();
    assert!(
        one_line(&error, REFERENCE).contains("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        "{error}"
    );
}
