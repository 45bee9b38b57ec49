//! An authorization server with a superadmin client, for tests.

use std::sync::Arc;

use crate::admin::clients::{Clients, FirstClient, NewClient};
use crate::identity::bearer::{Bearers, Error, RecentRows};
use crate::identity::testing::tools;
use crate::identity::{Principal, Superadmin};
use crate::issuer::authentication::Presented;
use crate::issuer::client_credentials::Asked;
use crate::issuer::{Algorithm, Issuer, Settings, keys};
use crate::model::client::{Allow, ClientId, ClientKind, Role};
use crate::model::entropy::SystemEntropy;
use crate::model::event::Origin;
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;
use crate::store::testing::TestDatabase;

pub(crate) const URL: &str = "https://broker.example/laputa";

/// Issuer, bearers and clients over one database, as one process has them.
pub(crate) struct Authority {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) bearers: Arc<Bearers>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) first: FirstClient,
}

impl Authority {
    /// On a database without signing key and clients.
    pub(crate) async fn begin(db: &TestDatabase, algorithm: Algorithm) -> Self {
        let recent = RecentRows::default();
        let clients = clients(db, recent.clone());
        let store = db.store();
        let tx = store.begin().await.unwrap();
        let (vault, clock) = (db.vault(), db.clock());
        keys::create_first(tx.conn(), &vault, &*clock, &SystemEntropy, algorithm).await.unwrap();
        let first = clients.create_first(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        let issuer = issuer_seeing(db, recent.clone()).await;
        let bearers = Bearers::load(URL, db.store(), db.vault(), db.clock(), recent).await.unwrap();
        Self { issuer: Arc::new(issuer), bearers: Arc::new(bearers), clients: Arc::new(clients), first }
    }

    /// A token with the client's own scopes, or these.
    pub(crate) async fn token(&self, client: &ClientId, secret: &Secret, scope: Option<&str>) -> String {
        let presented = Presented::Secret { client_id: client.to_string(), secret: secret.clone() };
        let client = self.issuer.authenticate_client(&presented, Origin::default()).await.unwrap();
        let asked = Asked { scope: scope.map(str::to_owned), resource: None };
        let token = self.issuer.client_credentials(&client, &asked, Origin::default()).await.unwrap();
        text(&token.access_token)
    }

    /// A token of the first client.
    pub(crate) async fn first_token(&self) -> String {
        self.token(&self.first.client_id, &self.first.secret, None).await
    }

    /// Who a token speaks for.
    pub(crate) async fn principal(&self, token: &str) -> Result<Principal, Error> {
        let header = format!("Bearer {token}");
        self.bearers.authenticate([header.as_bytes()], Origin::default()).await
    }

    /// The first client as a superadmin with all scopes.
    pub(crate) async fn superadmin(&self) -> Superadmin {
        self.principal(&self.first_token().await).await.unwrap().superadmin(Scope::ClientsWrite).unwrap()
    }

    /// A client with these scopes and locations, and its secret.
    pub(crate) async fn client(&self, new: NewClient) -> (ClientId, Secret) {
        let created = self.clients.create(&self.superadmin().await, new).await.unwrap();
        (created.client.client_id, created.secret.unwrap().secret)
    }
}

/// Another process's handle on the clients.
pub(crate) fn clients(db: &TestDatabase, recent: RecentRows) -> Clients {
    Clients::new(tools(db), recent)
}

/// Another process's issuer.
pub(crate) async fn issuer(db: &TestDatabase) -> Issuer {
    issuer_seeing(db, RecentRows::default()).await
}

async fn issuer_seeing(db: &TestDatabase, recent: RecentRows) -> Issuer {
    let settings = Settings { issuer: URL.to_owned(), token_lifetime_s: 3_600 };
    Issuer::load(settings, db.store(), db.vault(), db.audit(), db.clock(), db.entropy(), recent)
        .await
        .unwrap()
}

/// A superadmin client of kind service to be made.
pub(crate) fn service(identifier: &str, scopes: &str, allow: Option<&[&str]>) -> NewClient {
    let location = |text: &&str| (*text).to_owned().try_into().unwrap();
    NewClient {
        identifier: identifier.to_owned(),
        kind: ClientKind::Service,
        role: Some(Role::Superadmin),
        scopes: Some(Scopes::parse(scopes).unwrap()),
        resource_scopes: Default::default(),
        allow: Allow(allow.map(|all| all.iter().map(location).collect())),
        resources: Vec::new(),
        redirect_uris: None,
        jwks: None,
        token_lifetime_s: None,
        refresh_tokens: false,
    }
}

#[expect(clippy::disallowed_methods, reason = "the test sends the plaintext")]
pub(crate) fn text(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}
