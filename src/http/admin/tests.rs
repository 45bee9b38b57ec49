//! Does the administration do what it says, over HTTP and on both databases?

mod apps;
mod clients;
mod connections;
mod connectors;
mod generations;
mod keys;
mod people;
mod refusals;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use serde_json::Value;

use crate::admin::apps::Apps;
use crate::admin::connections::Imports;
use crate::admin::connectors::Connectors;
use crate::admin::credentials::ProviderCredentials;
use crate::admin::keys::{self as signing_keys, SigningKeys};
use crate::admin::resources::Resources;
use crate::connectors::catalog::Catalog;
use crate::http::settings::WebSettings;
use crate::identity::bearer::RecentRows;
use crate::identity::password::Passwords;
use crate::identity::people::People;
use crate::identity::session::Sessions;
use crate::identity::testing::tools;
use crate::issuer::Algorithm;
use crate::issuer::testing::{Authority, URL, service};
use crate::keeper::{Parts, SecretsKeeper, Settings};
use crate::model::connector::Rules;
use crate::model::public_url::PublicUrl;
use crate::outbound::{self, Outbound};
use crate::registry::Registry;
use crate::store::testing::TestDatabase;

/// A broker's administration over one database.
pub(super) struct Broker {
    pub(super) db: TestDatabase,
    pub(super) authority: Authority,
    token: String,
    apps: web::Data<Apps>,
    connectors: web::Data<Connectors>,
    credentials: web::Data<ProviderCredentials>,
    imports: web::Data<Imports>,
    keeper: web::Data<SecretsKeeper>,
    people: web::Data<People>,
    resources: web::Data<Resources>,
    signing_keys: web::Data<SigningKeys>,
    web: web::Data<WebSettings>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) etag: Option<String>,
}

/// A broker on each database.
pub(super) async fn brokers() -> Vec<Broker> {
    let mut brokers = Vec::new();
    for db in crate::store::testing::databases().await {
        brokers.push(Broker::over(db).await);
    }
    brokers
}

impl Broker {
    async fn over(db: TestDatabase) -> Self {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let token = authority.first_token().await;
        let (store, vault, audit) = (db.store(), db.vault(), db.audit());
        let (clock, entropy, public_url) = (db.clock(), db.entropy(), PublicUrl::parse(URL).unwrap());
        let outbound = Outbound::new(&outbound::Settings::default()).unwrap();
        let registry = Arc::new(Registry::new(Catalog::builtin(), store.clone(), vault.clone(), outbound));
        let parts = Parts {
            store: store.clone(),
            spool: db.spool(),
            vault: vault.clone(),
            audit: audit.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            figures: Arc::new(crate::figures::Figures::new([])),
        };
        let keeper = Arc::new(SecretsKeeper::new(parts, Settings::default()));
        let tools = tools(&db);
        let passwords = Arc::new(Passwords::new(vault.clone(), entropy.clone()));
        let sessions = Arc::new(Sessions::new(tools.clone()));
        let people =
            People::new(tools.clone(), passwords, sessions, public_url.clone(), RecentRows::default());
        let apps = Apps::new(tools.clone(), keeper.clone(), public_url.clone());
        let resources = Resources::new(tools.clone(), public_url.clone());
        let connectors = Connectors::new(tools.clone(), registry.clone(), Rules::default());
        let credentials = ProviderCredentials::new(tools.clone(), registry.clone(), public_url.clone());
        let settings = signing_keys::Settings { algorithm: Algorithm::Es256, rotate_after: None };
        let (issuer, bearers) = (authority.issuer.clone(), authority.bearers.clone());
        let signing_keys = SigningKeys::new(tools, settings, issuer, bearers);
        let imports = Imports::new(store, keeper.clone(), registry, clock);
        Self {
            db,
            authority,
            token,
            apps: web::Data::new(apps),
            connectors: web::Data::new(connectors),
            credentials: web::Data::new(credentials),
            imports: web::Data::new(imports),
            keeper: web::Data::from(keeper),
            people: web::Data::new(people),
            resources: web::Data::new(resources),
            signing_keys: web::Data::new(signing_keys),
            web: web::Data::new(WebSettings::new(public_url, Vec::new())),
        }
    }

    /// A token of another superadmin client.
    pub(super) async fn token(&self, name: &str, scopes: &str, allow: Option<&[&str]>) -> String {
        let (client, secret) = self.authority.client(service(name, scopes, allow)).await;
        self.authority.token(&client, &secret, None).await
    }

    /// Sends a request as the first superadmin.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Told {
        let request = request(method, path).insert_header(("Authorization", self.bearer()));
        self.send(match body {
            Some(body) => request.set_json(body),
            None => request,
        })
        .await
    }

    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(super) async fn get(&self, path: &str) -> Told {
        self.call("GET", path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Told {
        self.call("POST", path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Told {
        self.call("PUT", path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Told {
        self.call("PATCH", path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Told {
        self.call("DELETE", path, None).await
    }

    /// Sends any request.
    pub(super) async fn send(&self, request: TestRequest) -> Told {
        let app = App::new()
            .app_data(web::Data::from(self.authority.bearers.clone()))
            .app_data(web::Data::from(self.authority.clients.clone()))
            .app_data(self.apps.clone())
            .app_data(self.connectors.clone())
            .app_data(self.credentials.clone())
            .app_data(self.imports.clone())
            .app_data(self.keeper.clone())
            .app_data(self.people.clone())
            .app_data(self.resources.clone())
            .app_data(self.signing_keys.clone())
            .app_data(self.web.clone())
            .configure(super::routes);
        let app = init_service(app).await;
        let response = call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (etag, media) = (header("ETag"), header("Content-Type").unwrap_or_default());
        let bytes = actix_web::test::read_body(response).await;
        if status >= 400 {
            assert_eq!(media, "application/problem+json", "{status} {bytes:?}");
        }
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Told { status, body, etag }
    }

    /// Makes the app `acme`.
    pub(super) async fn with_acme(&self) {
        let made = self.post("/apps", serde_json::json!({ "id": "acme", "name": "Acme" })).await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    /// Defines the connector `custom`.
    pub(super) async fn with_custom(&self) {
        let made = self.post("/connectors", definition("custom", "https://login.example.com/token")).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
}

/// A request below `/admin/v1`.
pub(super) fn request(method: &str, path: &str) -> TestRequest {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    TestRequest::with_uri(&format!("/admin/v1{path}")).method(method)
}

/// A definition of four keys and an extra field.
pub(super) fn definition(id: &str, token_url: &str) -> Value {
    serde_json::json!({
        "id": id, "display_name": "Custom", "authorization_url": "https://login.example.com/authorize",
        "token_url": token_url, "extra_fields": ["instance_url"]
    })
}

impl Told {
    /// Its status and code.
    pub(super) fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// Where its first fault is.
    pub(super) fn pointer(&self) -> &str {
        self.body["errors"][0]["pointer"].as_str().unwrap_or("none")
    }
}
