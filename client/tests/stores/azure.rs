//! A stand-in for Azure Key Vault that Microsoft's own client takes for one.

use jeton_client::secret_store::{Expected, StoreFault, Variables};
use jeton_client::{Action, Secret};

use crate::life::{fault, lives, one_line, replace, store, value};
use crate::scripted::ScriptedServer;
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
