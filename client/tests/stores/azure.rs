//! A stand-in for Azure Key Vault that Microsoft's own client takes for one.

use jeton_client::secret_store::{Expected, StoreFault, Variables};
use jeton_client::{Action, Secret};
use serde_json::json;

use crate::life::{fault, lives, one_line, replace, store, text, value};
use crate::scripted::{ScriptedServer, Seen};
use crate::servers::{Azure, application};

const REFERENCE: &str = "azure-kv:corp-vault/prod-pipeline";

fn with(azure: &Azure, secret: &str) -> Variables {
    Variables::of(application(&azure.plain, secret))
}

#[tokio::test]
async fn a_secret_lives_in_azure() {
    let Some(azure) = Azure::start() else { return };
    assert_eq!(azure.judge(&["judge"]).await, "judged");
    let secret = store(REFERENCE, &with(&azure, Azure::SECRET));
    lives(&*secret, false).await;
    assert_eq!(azure.judge(&["read", "prod-pipeline"]).await, "canary-4");

    secret.delete().await.unwrap();
    assert_eq!(value(secret.get().await.unwrap()), None);
    let error = secret.put(&Secret::new("canary"), &Expected::Absent).await.unwrap_err();
    assert_eq!(error.fault(), Some(&StoreFault::Deleted));
    assert!(one_line(&error, REFERENCE).starts_with("Azure Key Vault, "), "{error}");
}

#[tokio::test]
async fn a_busy_vault_is_asked_again_and_a_missing_right_named() {
    let Some(azure) = Azure::start() else { return };
    let secret = store(REFERENCE, &with(&azure, Azure::SECRET));
    azure.set("throttle", "2").await;
    replace(&*secret, "canary", &Expected::Absent).await;
    azure.set("throttle", "9").await;
    let error = secret.get().await.unwrap_err();
    assert_eq!((error.fault(), error.action()), (Some(&StoreFault::Throttled), Action::Retry));
    azure.set("throttle", "0").await;

    azure.set("deny", "set").await;
    let seen = Expected::Version(secret.get().await.unwrap().unwrap().version);
    let error = secret.put(&Secret::new("canary-2"), &seen).await.unwrap_err();
    assert!(
        one_line(&error, REFERENCE)
            .contains("allow `Set` on the vault's secrets (role Key Vault Secrets Officer)")
    );
    assert_eq!(error.action(), Action::RequestAccess);
    azure.set("deny", "get").await;
    assert!(one_line(&secret.get().await.unwrap_err(), REFERENCE).contains("allow `Get`"));
    azure.set("deny", "none").await;

    let wrong = store(REFERENCE, &with(&azure, "canary"));
    let error = wrong.get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("Entra ID refuses it: check AZURE_TENANT_ID"), "{error}");
    assert!(matches!(fault(wrong.get().await), StoreFault::Unauthenticated(_)));
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_named() {
    let Some(azure) = Azure::start() else { return };
    let at = |name: &'static str, url: &str| {
        let pairs = application(&azure.plain, Azure::SECRET);
        Variables::of(pairs.map(|(own, value)| (own, if own == name { url } else { value }.to_owned())))
    };
    for (variable, check) in [
        (
            "JETON_AZURE_KEYVAULT_ENDPOINT",
            "the vault's name, and JETON_AZURE_KEYVAULT_ENDPOINT where it is set",
        ),
        ("AZURE_AUTHORITY_HOST", "AZURE_AUTHORITY_HOST where it is set"),
    ] {
        let error = store(REFERENCE, &at(variable, "http://127.0.0.1:9")).get().await.unwrap_err();
        let told = format!(
            "no answer from http://127.0.0.1:9 (Connection refused (os error 111)): check the network, {check}, then try again"
        );
        assert!(one_line(&error, REFERENCE).ends_with(&told), "{error}");
        assert_eq!(error.action(), Action::Retry);
    }
}

#[tokio::test]
async fn a_sign_in_that_fails_is_told_by_what_it_was() {
    let application = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "canary")];
    let managed = [("IDENTITY_HEADER", "canary")];
    for (status, is_managed, action, told) in [
        (429, false, Action::Retry, "the store asks for fewer calls"),
        (
            503,
            false,
            Action::Retry,
            "the store fails (temporarily_unavailable, status 503): look after it, then try again",
        ),
        (401, false, Action::RequestAccess, "Entra ID refuses it: check AZURE_TENANT_ID"),
        (429, true, Action::Retry, "the store asks for fewer calls"),
        (
            403,
            true,
            Action::RequestAccess,
            "its machine's managed identity gives no token: assign one to the machine",
        ),
    ] {
        let answer = r#"{"error":"temporarily_unavailable","error_description":"canary"}"#.to_owned();
        let server = ScriptedServer::start(move |_, _| (status, "retry-after: 0\r\n", answer.clone())).await;
        let whose = if is_managed { &managed[..] } else { &application };
        let address = if is_managed { "IDENTITY_ENDPOINT" } else { "AZURE_AUTHORITY_HOST" };
        let variables = Variables::of(whose.iter().copied().chain([(address, server.url.as_str())]));
        let error = store(REFERENCE, &variables).get().await.unwrap_err();
        assert!(one_line(&error, REFERENCE).contains(told), "{status}: {error}");
        assert_eq!(error.action(), action, "{status}");
    }
}

#[tokio::test]
async fn whoever_writes_at_the_same_time_as_another_is_told_and_nothing_is_lost() {
    let Some(azure) = Azure::start() else { return };
    let secret = store(REFERENCE, &with(&azure, Azure::SECRET));
    // More than one part of a list, and a new name.
    let mut seen = Expected::Absent;
    for number in 0..27 {
        seen = replace(&*secret, &format!("canary-{number}"), &seen).await;
    }
    let new = "azure-kv:corp-vault/new";
    for (reference, expected) in [(REFERENCE, seen), (new, Expected::Absent)] {
        let secret = store(reference, &with(&azure, Azure::SECRET));
        azure.set("race", "before").await;
        let error = secret.put(&Secret::new("canary-own"), &expected).await.unwrap_err();
        let line = one_line(&error, reference);
        let Some(StoreFault::Beside(version)) = error.fault() else { panic!("{line}") };
        assert!(
            version.len() == 32 && line.contains(&format!("their version ({version}) is kept there")),
            "{line}"
        );
        assert_eq!(error.action(), Action::ChangeRequest);
        let current = secret.get().await.unwrap().unwrap();
        assert_eq!(text(&current.value), "canary-own");

        azure.set("race", "after").await;
        let put = secret.put(&Secret::new("canary-own"), &Expected::Version(current.version)).await;
        assert_eq!(fault(put), StoreFault::Changed);
        let current = secret.get().await.unwrap().unwrap();
        assert_eq!(text(&current.value), "theirs");
        replace(&*secret, "canary-last", &Expected::Version(current.version)).await;
    }
    assert_eq!(
        azure.judge(&["all", "new"]).await,
        r#"["canary-last", "canary-own", "canary-own", "theirs", "theirs"]"#
    );
}

#[tokio::test]
async fn a_list_of_versions_is_followed_to_the_same_vault_and_not_for_ever() {
    let token = |server: &ScriptedServer| Variables::of(application(&server.url, Azure::SECRET));
    let script = |ends: bool| {
        move |seen: &Seen, _: usize| {
            let answer = match (seen.method.as_str(), seen.target.as_str()) {
                ("POST", _) => json!({"access_token": "canary", "expires_in": 3600}),
                ("PUT", _) => json!({"id": "https://v.example/secrets/prod-pipeline/own", "value": "x"}),
                (_, target) if target.contains("skiptoken=last") && ends => {
                    json!({"value": [], "nextLink": null})
                }
                (_, target) if target.contains("/versions?") => json!({
                    "value": [], "nextLink": "https://evil.example:443/elsewhere?api-version=7.2&$skiptoken=last",
                }),
                _ => json!({"error": {"code": "SecretNotFound"}}),
            };
            let status =
                if seen.target.contains("/prod-pipeline?") && seen.method == "GET" { 404 } else { 200 };
            (status, "", answer.to_string())
        }
    };
    let server = ScriptedServer::start(script(false)).await;
    let secret = store(REFERENCE, &token(&server));
    assert_eq!(fault(secret.put(&Secret::new("x"), &Expected::Absent).await), StoreFault::Garbled);
    assert!(server.seen().iter().all(|seen| seen.method != "PUT"), "nothing is written");

    let server = ScriptedServer::start(script(true)).await;
    let secret = store(REFERENCE, &token(&server));
    let version = secret.put(&Secret::new("x"), &Expected::Absent).await.unwrap();
    assert_eq!(version, secret.put(&Secret::new("x"), &Expected::Absent).await.unwrap());
    let next = "/secrets/prod-pipeline/versions?api-version=7.2&$skiptoken=last";
    assert_eq!(
        server.seen().iter().filter(|seen| seen.target == next).count(),
        4,
        "before and after each write"
    );
}

#[tokio::test]
async fn a_version_that_a_list_does_not_have_yet_is_nobody_elses() {
    let id = |version: &str| json!(format!("https://v.example/secrets/prod-pipeline/{version}"));
    let server = ScriptedServer::start(move |_, nth| {
        let answer = match nth {
            0 => json!({"access_token": "canary", "expires_in": 3600}),
            1 | 3 => json!({"id": id("seen"), "value": "canary-1"}),
            2 => json!({"value": []}),
            4 => json!({"id": id("own"), "value": "canary-2"}),
            _ => json!({"value": [{"id": id("seen")}, {"id": id("own")}]}),
        };
        (200, "", answer.to_string())
    })
    .await;
    let secret = store(REFERENCE, &Variables::of(application(&server.url, Azure::SECRET)));
    let seen = secret.get().await.unwrap().unwrap().version;
    secret.put(&Secret::new("canary-2"), &Expected::Version(seen)).await.unwrap();
    assert_eq!(server.seen().len(), 6);
}
