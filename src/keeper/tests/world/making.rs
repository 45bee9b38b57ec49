//! How is a world made, and another process on its database?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::World;
use crate::audit::Audit;
use crate::connectors::Catalog;
use crate::keeper::{Parts, SecretsKeeper, Settings};
use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::{ConnectorId, Definition};
use crate::model::entropy::{Entropy, SystemEntropy};
use crate::model::secret::Secret;
use crate::outbound::{self, Outbound};
use crate::registry::{self, Registry};
use crate::sandbox::{self, Client, Profile};
use crate::store::credentials::StoredCredentials;
use crate::store::testing::TestDatabase;

impl World {
    /// An account of `profile` connected for the app acme.
    pub(in crate::keeper::tests) async fn connected(
        db: TestDatabase,
        connector: &str,
        profile: Profile,
    ) -> Self {
        let world = Self::new(db, connector, profile).await;
        world.consent("alice", Flow::default()).await;
        world
    }

    pub(in crate::keeper::tests) async fn new(db: TestDatabase, connector: &str, profile: Profile) -> Self {
        Self::defined(db, connector, profile, |_| {}).await
    }

    /// The same over a changed definition.
    pub(in crate::keeper::tests) async fn defined(
        db: TestDatabase,
        connector: &str,
        profile: Profile,
        change: impl Fn(&mut Definition),
    ) -> Self {
        let client = Client {
            client_secret: Some("sandbox-secret".into()),
            any_loopback_redirect: true,
            ..Client::new("client", profile)
        };
        let settings = sandbox::Settings {
            clients: vec![client],
            ..sandbox::Settings::new("127.0.0.1:0".parse().unwrap())
        };
        let sandbox = sandbox::start(settings, db.clock(), db.entropy()).unwrap();
        let outbound = outbound::Settings {
            allow_loopback: true,
            timeout: Duration::from_secs(2),
            ..outbound::Settings::default()
        };
        let catalog = Catalog::builtin().with_base(connector, &sandbox.url()).with_changed(connector, change);
        let outbound = Outbound::new(&outbound).unwrap();
        let registry = Arc::new(Registry::new(catalog, db.store(), db.vault(), outbound));
        let keeper = Arc::new(keeper(&db, &registry, |_| {}));
        let connector = ConnectorId::parse(connector).unwrap();
        let app = AppId::parse("acme").unwrap();
        let world = Self { db, keeper, registry, sandbox, connector, app };
        // The keeper lets 15 s pass after a start before it resends.
        world.pass(16);
        world.add_app("acme").await;
        world.add_credentials().await;
        world
    }

    /// A second process on the same database.
    pub(in crate::keeper::tests) fn replica(&self) -> SecretsKeeper {
        self.replica_with(|_| {})
    }

    /// The same with changed settings.
    pub(in crate::keeper::tests) fn replica_with(&self, change: impl FnOnce(&mut Settings)) -> SecretsKeeper {
        keeper(&self.db, &self.registry, change)
    }

    /// One that waits longer for a provider than anybody waits for an account to be compared.
    pub(in crate::keeper::tests) fn patient_replica(&self) -> SecretsKeeper {
        let outbound = outbound::Settings {
            allow_loopback: true,
            timeout: Duration::from_secs(8),
            ..outbound::Settings::default()
        };
        let catalog = Catalog::builtin().with_base(self.connector.as_str(), &self.sandbox.url());
        let outbound = Outbound::new(&outbound).unwrap();
        keeper(
            &self.db,
            &Arc::new(Registry::new(catalog, self.db.store(), self.db.vault(), outbound)),
            |_| {},
        )
    }

    /// The same, where `seconds` pass while a record waits to be written.
    pub(in crate::keeper::tests) fn replica_whose_records_wait(
        self: &Arc<Self>,
        seconds: i64,
    ) -> SecretsKeeper {
        let world = Arc::clone(self);
        let slow = Arc::new(Slow(Arc::new(move || world.pass(seconds))));
        let audit = Arc::new(self.db.start_audit_by(slow));
        keeper_with(&self.db, &self.registry, audit, |_| {})
    }

    pub(in crate::keeper::tests) async fn add_app(&self, id: &str) {
        let key = self.db.vault().new_data_key(self.db.id()).unwrap();
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn().app(&AppId::parse(id).unwrap()).insert_app(id, &key).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn add_credentials(&self) {
        let definition = self.registry.find(self.connector.as_str()).await.unwrap().unwrap();
        let mut new = StoredCredentials {
            id: self.db.id(),
            connector: definition.id.clone(),
            app: None,
            client_id: "client".into(),
            sealed_secret: None,
            sealed_previous: None,
            key: self.db.vault().instance_key().clone(),
            scopes: None,
            params: BTreeMap::new(),
            origin: definition.token_origin(),
            version: 1,
            current: true,
            own_mac: Vec::new(),
            held_until: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        let place = registry::place(&new, "sealed_secret", &new.origin);
        new.sealed_secret =
            Some(self.db.vault().seal(&new.key, &place, &Secret::new("sandbox-secret")).unwrap());
        registry::own::sign_credentials(&self.db.vault(), &mut new);
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn().insert_credentials(&new).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// So much time passes while an audit record is made.
struct Slow(Arc<dyn Fn() + Send + Sync>);

impl Entropy for Slow {
    fn fill(&self, buffer: &mut [u8]) {
        (self.0)();
        SystemEntropy.fill(buffer);
    }
}

fn keeper(db: &TestDatabase, registry: &Arc<Registry>, change: impl FnOnce(&mut Settings)) -> SecretsKeeper {
    keeper_with(db, registry, db.audit(), change)
}

fn keeper_with(
    db: &TestDatabase,
    registry: &Arc<Registry>,
    audit: Arc<Audit>,
    change: impl FnOnce(&mut Settings),
) -> SecretsKeeper {
    let parts = Parts {
        store: db.store(),
        vault: db.vault(),
        spool: db.spool(),
        audit,
        registry: Arc::clone(registry),
        clock: db.clock(),
        entropy: db.entropy(),
        figures: Arc::new(crate::figures::Figures::new([])),
    };
    let mut settings = Settings {
        provider_timeout: Duration::from_secs(2),
        store_patience: Duration::from_millis(300),
        ..Settings::default()
    };
    change(&mut settings);
    SecretsKeeper::new(parts, settings)
}
