//! A stand-in for Azure Key Vault that Microsoft's own client takes for one.

use jeton_client::secret_store::{Expected, StoreFault, Variables};
use jeton_client::{Action, Secret};

use crate::life::{fault, lives, one_line, replace, store, value};
use crate::peer;
use crate::running::Running;

const REFERENCE: &str = "azure-kv:corp-vault/prod-pipeline";

struct Stub {
    plain: String,
    secure: String,
    certificate: String,
    _running: Running,
}

impl Stub {
    fn start() -> Option<Self> {
        let command = peer::python("azure_vault.py")?;
        let (running, ready) = Running::start(command, "ready ");
        let [plain, secure, certificate] = ready.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (plain, secure) = (format!("http://127.0.0.1:{plain}"), format!("https://127.0.0.1:{secure}"));
        Some(Self { plain, secure, certificate: certificate.to_owned(), _running: running })
    }

    /// What Microsoft's client says.
    fn judge(&self, words: &[&str]) -> String {
        let mut command = peer::python("azure_judge.py").unwrap();
        let output = command.args([&self.secure, &self.certificate]).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    async fn set(&self, word: &str, value: &str) {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        #[expect(clippy::disallowed_methods, reason = "the test is no server")]
        let request = reqwest::Client::new().post(format!("{}/stub/{word}/{value}", self.plain));
        assert!(request.send().await.unwrap().status().is_success());
    }

    fn with(&self, secret: &str) -> Variables {
        Variables::of([
            ("JETON_AZURE_KEYVAULT_ENDPOINT", self.plain.as_str()),
            ("AZURE_AUTHORITY_HOST", &self.plain),
            ("AZURE_TENANT_ID", "tenant"),
            ("AZURE_CLIENT_ID", "app"),
            ("AZURE_CLIENT_SECRET", secret),
        ])
    }
}

#[tokio::test]
async fn a_secret_lives_in_azure() {
    let Some(stub) = Stub::start() else { return };
    assert_eq!(stub.judge(&["judge"]), "judged");
    let secret = store(REFERENCE, &stub.with("app-secret"));
    lives(&*secret, false).await;
    assert_eq!(stub.judge(&["read", "prod-pipeline"]), "canary-4");

    secret.delete().await.unwrap();
    assert_eq!(value(secret.get().await.unwrap()), None);
    let error = secret.put(&Secret::new("canary"), &Expected::Absent).await.unwrap_err();
    assert_eq!(error.fault(), Some(&StoreFault::Deleted));
    assert!(one_line(&error, REFERENCE).starts_with("Azure Key Vault, "), "{error}");
}

#[tokio::test]
async fn a_busy_vault_is_asked_again_and_a_missing_right_named() {
    let Some(stub) = Stub::start() else { return };
    let secret = store(REFERENCE, &stub.with("app-secret"));
    stub.set("throttle", "2").await;
    replace(&*secret, "canary", &Expected::Absent).await;
    stub.set("throttle", "9").await;
    let error = secret.get().await.unwrap_err();
    assert_eq!((error.fault(), error.action()), (Some(&StoreFault::Throttled), Action::Retry));
    stub.set("throttle", "0").await;

    stub.set("deny", "set").await;
    let seen = Expected::Version(secret.get().await.unwrap().unwrap().version);
    let error = secret.put(&Secret::new("canary-2"), &seen).await.unwrap_err();
    assert!(
        one_line(&error, REFERENCE)
            .contains("allow `Set` on the vault's secrets (role Key Vault Secrets Officer)")
    );
    assert_eq!(error.action(), Action::RequestAccess);
    stub.set("deny", "get").await;
    assert!(one_line(&secret.get().await.unwrap_err(), REFERENCE).contains("allow `Get`"));
    stub.set("deny", "none").await;

    let wrong = store(REFERENCE, &stub.with("canary"));
    let error = wrong.get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("Entra ID refuses it: check AZURE_TENANT_ID"), "{error}");
    assert!(matches!(fault(wrong.get().await), StoreFault::Unauthenticated(_)));
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_named() {
    let Some(stub) = Stub::start() else { return };
    let variables = Variables::of([
        ("JETON_AZURE_KEYVAULT_ENDPOINT", "http://127.0.0.1:9"),
        ("AZURE_AUTHORITY_HOST", &stub.plain),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", "app-secret"),
    ]);
    let error = store(REFERENCE, &variables).get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("no answer from http://127.0.0.1:9"), "{error}");
    assert_eq!(error.action(), Action::Retry);
}
