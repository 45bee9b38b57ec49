//! A broker that may deliver to one place, its superadmin at the command line, and the store as a test itself sees it.

use jeton_client::Secret;
use jeton_client::secret_store::{Expected, Reference, SecretStore, ServiceCredential, Variables, open};
use reqwest::Method;
use serde_json::Value;

use super::{command, secret_of, stdout};
use crate::support::app::{Home, http};
use crate::support::house::House;
use crate::support::program::{exit_code, stderr};

pub(super) struct Post {
    pub(super) house: House,
    /// As whom the test itself looks into the store.
    looks: Vec<(&'static str, String)>,
}

impl Post {
    pub(super) async fn at(
        place: &'static str,
        as_whom: &[(&'static str, &str)],
        looks: &[(&'static str, &str)],
    ) -> Self {
        let own = [("secret_stores.deliver_to", place), ("instance.stack", "prod")];
        let keys: Vec<_> = own.into_iter().chain(as_whom.iter().copied()).collect();
        let looks = looks.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { house: House::on(Home::sqlite(), &keys).await, looks }
    }

    /// A command without anything of the store; `code` is its end.
    pub(super) async fn says(&self, line: &[&str], code: i32) -> String {
        let (id, secret) = &self.house.broker.superadmin;
        let url = self.house.broker.url.as_str();
        let own = [("JETON_URL", url), ("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", secret)];
        let output = command("/nowhere", line, &own).await;
        assert_eq!(exit_code(&output), code, "{line:?}: {}", stderr(&output));
        if code == 0 { stdout(&output) } else { stderr(&output) + &String::from_utf8_lossy(&output.stdout) }
    }

    pub(super) fn store(&self, reference: &str) -> std::sync::Arc<dyn SecretStore> {
        let variables = Variables::of(self.looks.iter().cloned());
        open(&reference.parse::<Reference>().unwrap(), &variables).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "the test looks at what is kept")]
    pub(super) async fn kept(&self, reference: &str) -> String {
        let stored = self.store(reference).get().await.unwrap().unwrap();
        stored.value.expose_secret().to_owned()
    }

    /// What a document, or a pair, says there.
    pub(super) async fn held(&self, reference: &str) -> ServiceCredential {
        let url = self.house.broker.url.parse().unwrap();
        ServiceCredential::read_at(&Secret::new(self.kept(reference).await), Some(&url)).unwrap()
    }

    /// Somebody writes past the broker.
    pub(super) async fn overwrite(&self, reference: &str, value: &Secret) {
        let store = self.store(reference);
        let seen = Expected::Version(store.get().await.unwrap().unwrap().version);
        let version = store.put(value, &seen).await.unwrap();
        store.activate(&version, &seen).await.unwrap();
    }

    pub(super) async fn is_let_in(&self, held: &ServiceCredential) -> bool {
        let form = [("grant_type", "client_credentials")];
        let asked = http().post(held.token_endpoint.clone());
        let asked = asked.basic_auth(&held.client_id, Some(secret_of(held))).form(&form);
        asked.send().await.unwrap().status() == 200
    }

    /// `jeton service-token` of the service, which knows the store and where the broker is.
    pub(super) async fn service_token(&self, place: &str) {
        let folder = tempfile::tempdir().unwrap();
        let line = ["service-token", "pipeline", "--from", place, "--stack", "prod"];
        let mut keys: Vec<_> = self.looks.iter().map(|(name, value)| (*name, value.as_str())).collect();
        keys.push(("JETON_URL", &self.house.broker.url));
        let token = stdout(&command(folder.path().to_str().unwrap(), &line, &keys).await);
        assert_eq!(token.matches('.').count(), 2, "a JWT: {token}");
    }

    pub(super) async fn clients(&self) -> String {
        let answer = self.house.ask(Method::GET, "/admin/v1/clients", None).await;
        answer.text().await.unwrap()
    }

    /// The id of the client `pipeline`.
    pub(super) async fn pipeline(&self) -> String {
        let all: Value = serde_json::from_str(&self.clients().await).unwrap();
        let made = all["items"].as_array().unwrap().iter().find(|client| client["identifier"] == "pipeline");
        made.unwrap()["client_id"].as_str().unwrap().to_owned()
    }

    /// One that could not be written is pending, and finished when it can be; then somebody writes past the broker, and
    /// it is replaced. The form is `document` or `pair`.
    pub(super) async fn goes_on(&self, place: &str, reference: &str, form: &str, allow: impl AsyncFnOnce()) {
        let written = |held: &ServiceCredential| if form == "pair" { held.pair() } else { held.document() };
        let add =
            ["client", "add-service", "pipeline", "--deliver-to", place, "--deliver-as", form, "--json"];
        let told = self.says(&add, 78).await;
        assert!(told.contains("credential not delivered") && told.contains(reference), "{told}");
        let id = self.pipeline().await;
        let id = id.as_str();
        assert!(self.says(&["client", "check"], 78).await.contains("pending"));

        allow().await;
        self.says(&["client", "deliver", id], 0).await;
        let first = self.held(reference).await;
        assert_eq!(first.client_id, id);
        assert!(written(&first).is(&Secret::new(self.kept(reference).await)), "this and no more");
        assert!(self.is_let_in(&first).await && self.says(&["client", "check"], 0).await.contains(reference));
        self.service_token(place).await;

        let foreign = ServiceCredential { client_id: "somebody-else".to_owned(), ..first.clone() };
        self.overwrite(reference, &written(&foreign)).await;
        assert!(self.says(&["client", "check"], 78).await.contains("foreign"));
        self.says(&["client", "deliver", id], 1).await;
        assert_eq!(self.held(reference).await.client_id, "somebody-else", "it is not overwritten");

        // Half of it is another's: an id of the one, a secret of the other.
        let mixed = ServiceCredential { client_secret: Secret::new("not-its-own"), ..first.clone() };
        self.overwrite(reference, &written(&mixed)).await;
        assert!(self.says(&["client", "check"], 78).await.contains("not_live"));

        self.overwrite(reference, &written(&first)).await;
        self.says(&["client", "deliver", id], 0).await;
        let second = self.held(reference).await;
        assert!(second.version > first.version || form == "pair");
        assert!(secret_of(&second) != secret_of(&first) && second.client_id == id);
        assert!(written(&second).is(&Secret::new(self.kept(reference).await)), "it stays what it was");
        assert!(self.is_let_in(&first).await && self.is_let_in(&second).await, "until nobody uses it");
        self.says(&["client", "check"], 0).await;
    }
}
