//! Is a kept token used by whoever would get the same one, and by nobody else?

use serde_json::json;

use super::*;
use crate::scripted::ScriptedServer;

/// A server, and a folder for what is kept.
struct Place {
    server: ScriptedServer,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let server = ScriptedServer::start(|_, nth| {
            let token =
                json!({"access_token": format!("t-{nth}"), "token_type": "Bearer", "expires_in": 3600});
            (200, "", token.to_string())
        })
        .await;
        Self { server, folder: tempfile::tempdir().unwrap() }
    }

    fn variables(&self, more: &[(&str, &str)]) -> Variables {
        let secrets = self.folder.path().join("secrets").display().to_string();
        let own = [("JETON_SECRETS_DIR", secrets.as_str()), ("PIPELINE", &self.document())];
        let all: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
        Variables::of(all)
    }

    fn document(&self) -> String {
        let credential = secret_store::ServiceCredential {
            issuer: self.server.url.parse().unwrap(),
            token_endpoint: format!("{}/o/token/", self.server.url).parse().unwrap(),
            client_id: "pipeline".to_owned(),
            client_secret: Secret::new("canary"),
            scope: None,
            audience: None,
            version: 1,
        };
        text(&credential.document())
    }

    async fn token(&self, reference: &str, variables: &Variables) -> String {
        let got = service_token(&reference.parse().unwrap(), variables, false).await.unwrap();
        text(&got.access_token)
    }
}

#[expect(clippy::disallowed_methods, reason = "the test compares the plaintext")]
fn text(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}

#[tokio::test]
async fn a_token_by_a_variable_is_kept_nowhere() {
    let place = Place::new().await;
    let variables = place.variables(&[]);
    assert_eq!(place.token("env:PIPELINE", &variables).await, "t-0");
    assert_eq!(place.token("env:PIPELINE", &variables).await, "t-1", "asked for each time");
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0, "neither folder nor key was made");
}

#[tokio::test]
async fn a_kept_token_is_used_only_where_the_reference_leads_to_the_same_store_as_the_same_account() {
    let place = Place::new().await;
    let bare = place.variables(&[]);
    let store = secret_store::open(&"file:prod/pipeline".parse().unwrap(), &bare).unwrap();
    store.put(&Secret::new(place.document()), &Expected::Absent).await.unwrap();
    let mut asked = 0;
    // Each of them alone makes it another store, or another account there.
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_CONFIG_FILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AZURE_AUTHORITY_HOST",
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
        "BAO_ADDR",
        "BAO_NAMESPACE",
        "BAO_ROLE_ID",
        "JETON_AZURE_KEYVAULT_ENDPOINT",
        "JETON_URL",
        "VAULT_ADDR",
        "VAULT_NAMESPACE",
        "VAULT_ROLE_ID",
    ] {
        for value in ["http://127.0.0.1:1/one", "http://127.0.0.1:1/two"] {
            let variables = place.variables(&[(name, value)]);
            let token = place.token("file:prod/pipeline", &variables).await;
            assert_eq!(token, format!("t-{asked}"), "{name}={value}: nobody else's");
            assert_eq!(place.token("file:prod/pipeline", &variables).await, token, "{name}={value}: its own");
            asked += 1;
        }
    }
    let token = place.token("file:prod/pipeline", &bare).await;
    assert_eq!(token, format!("t-{asked}"));
    // What says nothing of the store changes nothing.
    assert_eq!(place.token("file:prod/pipeline", &place.variables(&[("HOME", "/elsewhere")])).await, token);
    assert_eq!(place.server.seen().len(), asked + 1);
}
