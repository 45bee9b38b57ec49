//! Does a service live by OpenBao and Azure at the command line, and is it told in one line, with the right exit code,
//! which store gives it nothing, and what to do about that?

use jeton_client::Secret;
use jeton_client::secret_store::{Expected, Variables, open};
use reqwest::Method;
use serde_json::{Value, json};

use super::servers::{Azure, Bao, application};
use super::{command, stdout};
use crate::scripted::ScriptedServer;
use crate::support::app::Home;
use crate::support::house::House;
use crate::support::program::{exit_code, stderr};

/// What a store's maker says by variables.
type Keys<'k> = [(&'static str, &'k str)];

/// What is kept where no credential is.
const BROKEN: &str = r#"{"client_id": "c", "client_secret": "canary-4b7f"}"#;
const NO_CREDENTIAL: &str = "what is kept there is no credential (JSON with flow, issuer, token_endpoint, client_id, \
                             client_secret, version): store it again";
const ABSENT: &str = "there is no such secret: mend the reference, or store it first";
const THROTTLED: &str =
    "the store asks for fewer calls: try again in a minute; where that goes on, raise its limit";

/// The account of a service, which reads its credential from a store.
struct Service {
    folder: tempfile::TempDir,
    /// How people name the store.
    store: &'static str,
}

impl Service {
    fn of(store: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), store }
    }

    async fn token(&self, from: &str, keys: &Keys<'_>) -> String {
        let line = ["service-token", "pipeline", "--from", from, "--stack", "prod"];
        let token = stdout(&command(self.folder.path().to_str().unwrap(), &line, keys).await);
        assert_eq!(token.matches('.').count(), 2, "a JWT");
        token
    }

    /// One line: what was asked for, the store, the reference, what is the matter, what to do.
    async fn is_told(&self, from: &str, keys: &Keys<'_>, (reference, code, told): (&str, i32, &str)) {
        let line = ["service-token", "pipeline", "--from", from, "--stack", "prod", "--renew"];
        let refused = command(self.folder.path().to_str().unwrap(), &line, keys).await;
        let said = stderr(&refused);
        let stack = " in the stack prod (--stack or JETON_STACK names another)";
        let stack = if from.ends_with('/') && told.starts_with(ABSENT) { stack } else { "" };
        let line = format!(
            "jeton: cannot get a token of the service pipeline{stack}: {}, `{reference}`: {told}",
            self.store
        );
        assert!(said.starts_with(&line), "{line}\n{said}");
        assert_eq!((exit_code(&refused), said.trim_end().lines().count()), (code, 1), "{said}");
        assert!(refused.stdout.is_empty() && !said.contains("canary"), "{said}");
    }
}

/// A broker that may deliver to one place.
async fn broker(place: &str, keys: &Keys<'_>) -> House {
    let own = [("secret_stores.deliver_to", place), ("instance.stack", "prod")];
    House::on(Home::sqlite(), &[&own[..], keys].concat()).await
}

/// `jeton client add-service` of its superadmin: how it ended, and with which line.
async fn add_service(house: &House, identifier: &str, to: &str) -> (i32, String) {
    let (id, secret) = &house.broker.superadmin;
    let url = house.broker.url.as_str();
    let admin = [("JETON_URL", url), ("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", secret)];
    let output =
        command("/nowhere", &["client", "add-service", identifier, "--deliver-to", to], &admin).await;
    (exit_code(&output), stderr(&output))
}

/// Somebody stores what is no credential.
async fn break_at(reference: &str, keys: &Keys<'_>) {
    let store = open(&reference.parse().unwrap(), &Variables::of(keys.iter().copied())).unwrap();
    let seen = store.get().await.unwrap().map_or(Expected::Absent, |seen| Expected::Version(seen.version));
    store.put(&Secret::new(BROKEN), &seen).await.unwrap();
}

/// An address at which nobody listens.
fn nowhere() -> String {
    format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// A token that may do this with the secrets of the stack.
async fn bao_token(bao: &Bao, capabilities: &str) -> String {
    let policy = format!(r#"path "secret/data/prod/*" {{ capabilities = [{capabilities}] }}"#);
    bao.call(Method::PUT, "sys/policies/acl/own", &json!({"policy": policy})).await;
    another_bao_token(bao, "own").await
}

async fn another_bao_token(bao: &Bao, policy: &str) -> String {
    let made = bao.call(Method::PUT, "auth/token/create", &json!({"policies": [policy]})).await;
    made["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// One call an hour is let through.
async fn throttle(bao: &Bao) {
    let quota = json!({"rate": 1, "interval": "1h", "path": "secret/"});
    bao.call(Method::PUT, "sys/quotas/rate-limit/busy", &quota).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_lives_by_openbao_at_the_command_line_and_is_told_what_is_wrong_there() {
    let Some(bao) = Bao::start() else { return };
    let (url, reference) = (bao.url.clone(), "vault:secret/prod/pipeline#credential");
    let writes = bao_token(&bao, r#""read", "create", "update""#).await;
    let house = broker("vault:secret/", &[("BAO_ADDR", &url), ("BAO_TOKEN", &writes)]).await;
    let (code, said) = add_service(&house, "pipeline", "vault:secret/").await;
    assert_eq!(code, 0, "{said}");

    let reads = bao_token(&bao, r#""read""#).await;
    let keys = [("BAO_ADDR", url.as_str()), ("BAO_TOKEN", reads.as_str())];
    let service = Service::of("Vault or OpenBao");
    let token = service.token("vault:secret/", &keys).await;
    assert_eq!(service.token("vault:secret/", &keys).await, token, "kept while it lives");
    service.token(reference, &keys).await;

    let root = [("BAO_ADDR", url.as_str()), ("BAO_TOKEN", Bao::ROOT)];
    let (elsewhere, broken) = ("vault:secret/prod/other#credential", "vault:secret/prod/broken#credential");
    break_at(broken, &root).await;
    bao.call(Method::POST, "secret/data/prod/number", &json!({"data": {"credential": 7}})).await;
    for (reference, told) in [
        (elsewhere, ABSENT),
        ("vault:secret/prod/pipeline#other", &format!("{ABSENT} (what follows # is the field; ")),
        ("vault:nowhere/prod/x#y", "no key-value engine is mounted at `nowhere`: mend the reference"),
        (
            "vault:secret/prod/number#credential",
            "what is kept there is no text in this field: store it again",
        ),
        (broken, NO_CREDENTIAL),
    ] {
        service.is_told(reference, &root, (reference, 78, told)).await;
    }

    let (stranger, ended) = (another_bao_token(&bao, "default").await, another_bao_token(&bao, "own").await);
    bao.call(Method::PUT, "auth/token/revoke", &json!({"token": ended})).await;
    let lacks = "permission is missing: allow `read` on `secret/data/prod/pipeline` to the policy of its token, or get \
                 it a new one where that has ended";
    for token in [stranger, ended] {
        let keys = [("BAO_ADDR", url.as_str()), ("BAO_TOKEN", &token)];
        service.is_told("vault:secret/", &keys, (reference, 77, lacks)).await;
    }

    throttle(&bao).await;
    service
        .is_told("vault:secret/other#credential", &root, ("vault:secret/other#credential", 78, ABSENT))
        .await;
    service.is_told("vault:secret/", &keys, (reference, 75, THROTTLED)).await;
    bao.call(Method::PUT, "sys/seal", &json!({})).await;
    let sealed = "the store is sealed: unseal it, then try again";
    service.is_told("vault:secret/", &keys, (reference, 75, sealed)).await;
    drop(bao);
    let away = format!(
        "no answer from {url} (Connection refused (os error 111)): check the network, BAO_ADDR or VAULT_ADDR, then try again"
    );
    service.is_told("vault:secret/", &keys, (reference, 75, &away)).await;
    assert_eq!(service.token("vault:secret/", &keys).await, token, "it goes on with what is kept");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_lives_by_azure_at_the_command_line_and_is_told_what_is_wrong_there() {
    let Some(azure) = Azure::start() else { return };
    let (keys, reference) = (application(&azure.plain, Azure::SECRET), "azure-kv:corp-vault/prod-pipeline");
    let place = "azure-kv:corp-vault/";
    let house = broker(place, &keys).await;
    let (code, said) = add_service(&house, "pipeline", place).await;
    assert_eq!(code, 0, "{said}");
    let service = Service::of("Azure Key Vault");
    let token = service.token(place, &keys).await;
    assert_eq!(service.token(place, &keys).await, token, "kept while it lives");
    service.token(reference, &keys).await;

    let (elsewhere, broken) = ("azure-kv:corp-vault/other", "azure-kv:corp-vault/broken");
    let absent = format!("{ABSENT} (one that was deleted is to be recovered)");
    service.is_told(elsewhere, &keys, (elsewhere, 78, &absent)).await;
    break_at(broken, &keys).await;
    service.is_told(broken, &keys, (broken, 78, NO_CREDENTIAL)).await;

    azure.set("deny", "get").await;
    let lacks = "permission is missing: allow `Get` on the vault's secrets (role Key Vault Secrets User)";
    service.is_told(place, &keys, (reference, 77, lacks)).await;
    azure.set("deny", "none").await;
    let unknown = "the store does not know this program: Entra ID refuses it: check AZURE_TENANT_ID, AZURE_CLIENT_ID and \
                   its secret or identity";
    service.is_told(place, &application(&azure.plain, "canary"), (reference, 77, unknown)).await;

    azure.set("throttle", "9").await;
    service.is_told(place, &keys, (reference, 75, THROTTLED)).await;
    azure.set("throttle", "0").await;
    let nowhere = nowhere();
    for (variable, check) in [
        (
            "JETON_AZURE_KEYVAULT_ENDPOINT",
            "the vault's name, and JETON_AZURE_KEYVAULT_ENDPOINT where it is set",
        ),
        ("AZURE_AUTHORITY_HOST", "AZURE_AUTHORITY_HOST where it is set"),
    ] {
        let keys = keys.map(|(name, value)| (name, if name == variable { &nowhere } else { value }));
        let away = format!(
            "no answer from {nowhere} (Connection refused (os error 111)): check the network, {check}, then try again"
        );
        service.is_told(place, &keys, (reference, 75, &away)).await;
    }
    assert_eq!(service.token(place, &keys).await, token, "it is there again");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_told_that_aws_is_busy_fails_or_is_away() {
    let service = Service::of("AWS Secrets Manager");
    let reference = "aws-sm:eu-west-1/prod/pipeline";
    let own = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "canary")];
    for (status, code, told) in [
        (400, "ThrottlingException", THROTTLED.to_owned()),
        (
            500,
            "InternalServiceError",
            "the store fails (InternalServiceError, status 500): look after it, then try again".to_owned(),
        ),
    ] {
        let body = json!({"__type": code, "message": "canary"}).to_string();
        let aws = ScriptedServer::start(move |_, _| (status, "retry-after: 0\r\n", body.clone())).await;
        let keys = [&own[..], &[("AWS_ENDPOINT_URL", aws.url.as_str())]].concat();
        service.is_told("aws-sm:eu-west-1/", &keys, (reference, 75, &told)).await;
    }
    let nowhere = nowhere();
    let keys = [&own[..], &[("AWS_ENDPOINT_URL", nowhere.as_str())]].concat();
    let away = format!(
        "no answer from {nowhere} (Connection refused (os error 111)): check the network, the region, and \
         AWS_ENDPOINT_URL where it is set, then try again"
    );
    service.is_told("aws-sm:eu-west-1/", &keys, (reference, 75, &away)).await;
}

/// What a superadmin is told of a delivery before anything is made.
async fn is_not_made(house: &House, place: &str, (code, told): (i32, &str)) {
    let (ended, said) = add_service(house, "pipeline", place).await;
    assert!(
        said.starts_with("jeton: cannot register the client pipeline: ") && said.contains(told),
        "{told}\n{said}"
    );
    assert_eq!((ended, said.trim_end().lines().count()), (code, 1), "{said}");
    assert_eq!(said.contains("; try again in 60 s"), code == 75, "{said}");
    let all = house.ask(Method::GET, "/admin/v1/clients", None).await.json::<Value>().await.unwrap();
    assert!(!all.to_string().contains("\"pipeline\""), "{all}");
}

/// Whose variables and rights are meant: whoever reads it may sit elsewhere.
const BROKERS: &str =
    " (the broker speaks to the store: its environment and its machine count, not those of a command)";

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_an_openbao_that_is_busy_sealed_or_away_makes_nothing_and_may_be_tried_again() {
    let Some(bao) = Bao::start() else { return };
    let (url, place) = (bao.url.clone(), "vault:secret/");
    let house = broker(place, &[("BAO_ADDR", &url), ("BAO_TOKEN", Bao::ROOT)]).await;
    let told = |what: &str| format!("Vault or OpenBao, `vault:secret/prod/pipeline#credential`: {what}");
    throttle(&bao).await;
    // The one call of this hour.
    bao.call(Method::POST, "secret/data/theirs", &json!({"data": {"password": "theirs"}})).await;
    is_not_made(&house, place, (75, &told(THROTTLED))).await;
    bao.call(Method::PUT, "sys/seal", &json!({})).await;
    is_not_made(&house, place, (75, &told("the store is sealed: unseal it, then try again"))).await;
    drop(bao);
    let away = format!(
        "no answer from {url} (Connection refused (os error 111)): check the network, BAO_ADDR or VAULT_ADDR, then try \
         again{BROKERS}"
    );
    is_not_made(&house, place, (75, &told(&away))).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_an_azure_that_is_busy_or_gives_the_broker_no_right_makes_nothing() {
    let Some(azure) = Azure::start() else { return };
    let place = "azure-kv:corp-vault/";
    let house = broker(place, &application(&azure.plain, Azure::SECRET)).await;
    let told = |what: &str| format!("Azure Key Vault, `azure-kv:corp-vault/prod-pipeline`: {what}");
    azure.set("throttle", "99").await;
    is_not_made(&house, place, (75, &told(THROTTLED))).await;
    azure.set("throttle", "0").await;
    azure.set("deny", "get").await;
    // Its operator's to mend, not the caller's to ask for.
    let lacks = format!(
        "permission is missing: allow `Get` on the vault's secrets (role Key Vault Secrets User){BROKERS}"
    );
    is_not_made(&house, place, (78, &told(&lacks))).await;
    azure.set("deny", "none").await;
    let (code, said) = add_service(&house, "pipeline", place).await;
    assert_eq!(code, 0, "{said}");
    house.stop().await;
}
