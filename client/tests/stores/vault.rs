//! OpenBao itself, as PyPI carries it.

use jeton_client::secret_store::{Expected, StoreFault, Variables};
use jeton_client::{Action, Secret};
use serde_json::json;

use crate::life::{fault, lives, one_line, replace, store, value};
use crate::scripted::ScriptedServer;
use crate::servers::Bao;

const REFERENCE: &str = "vault:secret/prod/pipeline#credential";

fn at(bao: &Bao, more: &[(&str, &str)]) -> Variables {
    Variables::of([("BAO_ADDR", bao.url.as_str())].into_iter().chain(more.iter().copied()))
}

#[tokio::test]
async fn a_secret_lives_in_openbao() {
    let Some(bao) = Bao::start() else { return };
    let root = at(&bao, &[("BAO_TOKEN", Bao::ROOT)]);
    let secret = store(REFERENCE, &root);
    lives(&*secret, false).await;

    // Other fields of the secret stay, and a change of theirs is one.
    let other = store("vault:secret/prod/pipeline#other", &root);
    let seen = Expected::Version(secret.get().await.unwrap().unwrap().version);
    replace(&*other, "another", &Expected::Absent).await;
    assert_eq!(fault(secret.put(&Secret::new("x"), &seen).await), StoreFault::Changed);
    assert_eq!(value(secret.get().await.unwrap()).as_deref(), Some("canary-4"));

    // Whoever may touch nothing of others adds no field, and goes on with its own.
    let own =
        |reference: &str| jeton_client::secret_store::open_own(&reference.parse().unwrap(), &root).unwrap();
    let third = own("vault:secret/prod/pipeline#third");
    assert_eq!(fault(third.get().await), StoreFault::Shared);
    let error = third.put(&Secret::new("canary"), &Expected::Absent).await.unwrap_err();
    assert!(one_line(&error, "vault:secret/prod/pipeline#third").contains("choose another path"), "{error}");
    assert_eq!((error.fault(), error.action()), (Some(&StoreFault::Shared), Action::ChangeRequest));
    let seen = Expected::Version(own(REFERENCE).get().await.unwrap().unwrap().version);
    replace(&*own(REFERENCE), "canary-4", &seen).await;
    replace(&*own("vault:secret/prod/free#credential"), "canary", &Expected::Absent).await;

    // Deleted: the name is not free.
    other.delete().await.unwrap();
    assert_eq!(value(secret.get().await.unwrap()).as_deref(), Some("canary-4"));
    secret.delete().await.unwrap();
    assert_eq!(fault(secret.get().await), StoreFault::Deleted);
    assert_eq!(fault(secret.put(&Secret::new("x"), &Expected::Absent).await), StoreFault::Deleted);
}

#[tokio::test]
async fn a_role_and_a_token_without_rights_are_told_what_they_lack() {
    let Some(bao) = Bao::start() else { return };
    let put = reqwest::Method::PUT;
    let policy = r#"path "secret/data/prod/*" { capabilities = ["read", "create", "update"] }"#;
    bao.call(put.clone(), "sys/policies/acl/deliver", &json!({"policy": policy})).await;
    bao.call(put.clone(), "sys/auth/approle", &json!({"type": "approle"})).await;
    bao.call(put.clone(), "auth/approle/role/jeton", &json!({"token_policies": ["deliver"]})).await;
    let id = bao.call(reqwest::Method::GET, "auth/approle/role/jeton/role-id", &json!({})).await;
    let secret = bao.call(put.clone(), "auth/approle/role/jeton/secret-id", &json!({})).await;
    let role = ("VAULT_ROLE_ID", id["data"]["role_id"].as_str().unwrap());
    let proof = ("VAULT_SECRET_ID", secret["data"]["secret_id"].as_str().unwrap());
    replace(&*store(REFERENCE, &at(&bao, &[role, proof])), "canary", &Expected::Absent).await;

    let wrong = store(REFERENCE, &at(&bao, &[role, ("VAULT_SECRET_ID", "canary")]));
    let error = wrong.get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("VAULT_ROLE_ID and VAULT_SECRET_ID are refused"), "{error}");
    assert_eq!(error.action(), Action::RequestAccess);

    let made = bao.call(put, "auth/token/create", &json!({"policies": ["default"]})).await;
    let token = made["auth"]["client_token"].as_str().unwrap();
    let error = store(REFERENCE, &at(&bao, &[("VAULT_TOKEN", token)])).get().await.unwrap_err();
    let line = one_line(&error, REFERENCE);
    assert!(line.contains("permission is missing: allow `read` on `secret/data/prod/pipeline`"), "{line}");
    assert_eq!(error.action(), Action::RequestAccess);
}

#[tokio::test]
async fn a_sealed_store_gives_and_takes_nothing() {
    let Some(bao) = Bao::start() else { return };
    let secret = store(REFERENCE, &at(&bao, &[("BAO_TOKEN", Bao::ROOT)]));
    replace(&*secret, "canary", &Expected::Absent).await;
    bao.call(reqwest::Method::PUT, "sys/seal", &json!({})).await;
    let error = secret.get().await.unwrap_err();
    assert!(
        one_line(&error, REFERENCE).ends_with("the store is sealed: unseal it, then try again"),
        "{error}"
    );
    assert_eq!(error.action(), Action::Retry);
    assert_eq!(fault(secret.put(&Secret::new("x"), &Expected::Absent).await), StoreFault::Sealed);
}

#[tokio::test]
async fn a_busy_openbao_is_asked_again_and_not_for_ever() {
    let throttled = || (429, "retry-after: 0\r\n", r#"{"errors":["request path rate limit"]}"#.to_owned());
    let variables =
        |server: &ScriptedServer| Variables::of([("BAO_ADDR", server.url.as_str()), ("BAO_TOKEN", "canary")]);
    let answer = r#"{"data":{"data":{"credential":"one"},"metadata":{"version":1}}}"#;
    let script = move |_: &_, nth| if nth < 2 { throttled() } else { (200, "", answer.to_owned()) };
    let server = ScriptedServer::start(script).await;
    let secret = store(REFERENCE, &variables(&server));
    assert_eq!(value(secret.get().await.unwrap()).as_deref(), Some("one"));
    assert_eq!(server.seen().len(), 3);

    let server = ScriptedServer::start(move |_, _| throttled()).await;
    let error = store(REFERENCE, &variables(&server)).get().await.unwrap_err();
    one_line(&error, REFERENCE);
    assert_eq!((error.fault(), error.action()), (Some(&StoreFault::Throttled), Action::Retry));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn openbao_itself_says_when_it_is_busy() {
    let Some(bao) = Bao::start() else { return };
    let secret = store(REFERENCE, &at(&bao, &[("BAO_TOKEN", Bao::ROOT)]));
    replace(&*secret, "canary", &Expected::Absent).await;
    let quota = json!({"rate": 1, "interval": "1h", "path": "secret/"});
    bao.call(reqwest::Method::PUT, "sys/quotas/rate-limit/busy", &quota).await;
    secret.get().await.unwrap();
    let error = secret.get().await.unwrap_err();
    assert_eq!((error.fault(), error.action()), (Some(&StoreFault::Throttled), Action::Retry));
}

#[tokio::test]
async fn an_openbao_with_a_ca_of_its_own_is_believed_by_that_one() {
    let Some(bao) = Bao::start_with_a_ca_of_its_own() else { return };
    let ca = bao.ca();
    for name in ["BAO_CACERT", "VAULT_CACERT"] {
        let secret = store(REFERENCE, &at(&bao, &[("BAO_TOKEN", Bao::ROOT), (name, &ca)]));
        secret.get().await.unwrap();
    }
    let stranger = store(REFERENCE, &at(&bao, &[("BAO_TOKEN", Bao::ROOT)]));
    let line = one_line(&stranger.get().await.unwrap_err(), REFERENCE);
    let told = "(invalid peer certificate: UnknownIssuer): check the network, BAO_CACERT or VAULT_CACERT, which names a PEM \
                file of its CA, then try again";
    assert!(line.ends_with(told), "{line}");
    bao.call(reqwest::Method::POST, "secret/data/x", &json!({"data": {"a": "b"}})).await;
}

#[tokio::test]
async fn a_store_that_is_not_there_is_named() {
    let variables = Variables::of([("BAO_ADDR", "http://127.0.0.1:9"), ("BAO_TOKEN", "canary")]);
    let error = store(REFERENCE, &variables).get().await.unwrap_err();
    let line = one_line(&error, REFERENCE);
    let told = "no answer from http://127.0.0.1:9 (Connection refused (os error 111)): check the network, BAO_ADDR or \
                VAULT_ADDR, then try again";
    assert!(line.starts_with("Vault or OpenBao, ") && line.ends_with(told), "{line}");
    assert_eq!(error.action(), Action::Retry);
    let plain = Variables::of([("BAO_ADDR", "http://vault.example"), ("BAO_TOKEN", "canary")]);
    let refused = jeton_client::secret_store::open(&REFERENCE.parse().unwrap(), &plain).unwrap_err();
    assert!(one_line(&refused, REFERENCE).contains("set BAO_ADDR to an address that begins with https://"));
    let nobody = Variables::of([("BAO_ADDR", "https://vault.example")]);
    let refused = jeton_client::secret_store::open(&REFERENCE.parse().unwrap(), &nobody).unwrap_err();
    assert!(one_line(&refused, REFERENCE).contains("set BAO_TOKEN or VAULT_TOKEN"));
}
