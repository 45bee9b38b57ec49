//! A stand-in for Azure Key Vault that Microsoft's own client takes for one.

use jeton_client::secret_store::{Expected, StoreFault, Variables};
use jeton_client::{Action, Secret};

use crate::life::{fault, lives, one_line, replace, store, value};
use crate::servers::{Azure, application};

const REFERENCE: &str = "azure-kv:corp-vault/prod-pipeline";

fn with(azure: &Azure, secret: &str) -> Variables {
    Variables::of(application(&azure.plain, secret))
}

#[tokio::test]
async fn a_secret_lives_in_azure() {
    let Some(azure) = Azure::start() else { return };
    assert_eq!(azure.judge(&["judge"]), "judged");
    let secret = store(REFERENCE, &with(&azure, Azure::SECRET));
    lives(&*secret, false).await;
    assert_eq!(azure.judge(&["read", "prod-pipeline"]), "canary-4");

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
    let mut variables = application(&azure.plain, Azure::SECRET);
    variables[0].1 = "http://127.0.0.1:9";
    let variables = Variables::of(variables);
    let error = store(REFERENCE, &variables).get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("no answer from http://127.0.0.1:9"), "{error}");
    assert_eq!(error.action(), Action::Retry);
}
