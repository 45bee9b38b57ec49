//! A small world for consents: apps, people, connectors, and a provider that answers by script.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::connectors::Catalog;
use crate::identity::session::Sessions;
use crate::identity::testing::tools;
use crate::keeper::{self, SecretsKeeper, Status};
use crate::model::app::AppId;
use crate::model::client::Role;
use crate::model::connector::Definition;
use crate::model::entropy::SystemEntropy;
use crate::model::event::Origin;
use crate::model::person::Email;
use crate::model::person::OpenedBy;
use crate::model::principal::{Membership, UserId};
use crate::model::public_url::PublicUrl;
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;
use crate::outbound::scripted::{Scripted, Seen, Step};
use crate::outbound::{self, Outbound};
use crate::registry::own::CustomConnector;
use crate::registry::{self, Registry};
use crate::signup::{Answer, Arrival, Bounds, Error, Outcome, Parts, Settings, Signup, Visitor, Wish};
use crate::store::credentials::StoredCredentials;
use crate::store::testing::TestDatabase;

pub(crate) const PUBLIC: &str = "http://127.0.0.1:8080";

pub(crate) struct World {
    pub(crate) db: TestDatabase,
    pub(crate) signup: Arc<Signup>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) keeper: Arc<SecretsKeeper>,
    pub(crate) provider: Scripted,
}

/// What the token endpoint says to a code.
pub(crate) fn tokens(name: &str) -> Step {
    let (access, refresh) = (format!("at-{name}"), format!("rt-{name}"));
    Step::json(
        200,
        &json!({"access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": 3600}),
    )
}

/// What the identity endpoint says.
pub(crate) fn account(id: &str) -> Step {
    Step::json(200, &json!({"sub": id, "email": format!("{id}@provider.example")}))
}

/// What the revocation endpoint says.
pub(crate) fn revoked() -> Step {
    Step::answer(200, &[], "")
}

impl World {
    /// With the app `acme` and, for it alone, the connector `honest`.
    pub(crate) async fn new(db: TestDatabase, script: Vec<Step>) -> Self {
        Self::bounded(db, script, Bounds::default()).await
    }

    /// The same with other bounds.
    pub(crate) async fn bounded(db: TestDatabase, script: Vec<Step>, bounds: Bounds) -> Self {
        let provider = Scripted::start(script).await;
        let outbound = outbound::Settings { allow_loopback: true, ..Default::default() };
        let outbound = Outbound::new(&outbound).unwrap();
        let registry = Arc::new(Registry::new(Catalog::builtin(), db.store(), db.vault(), outbound));
        let parts = keeper::Parts {
            store: db.store(),
            vault: db.vault(),
            spool: db.spool(),
            audit: db.audit(),
            registry: registry.clone(),
            clock: db.clock(),
            entropy: db.entropy(),
            figures: Arc::new(crate::figures::Figures::new([])),
        };
        let keeper = Arc::new(SecretsKeeper::new(parts, keeper::Settings::default()));
        let settings = Settings {
            public_url: PublicUrl::parse(PUBLIC).unwrap(),
            return_to_origins: vec!["https://app.example.com".into()],
            bounds,
        };
        let parts = Parts {
            store: db.store(),
            vault: db.vault(),
            audit: db.audit(),
            registry: registry.clone(),
            keeper: keeper.clone(),
            clock: db.clock(),
            entropy: db.entropy(),
        };
        let signup = Arc::new(Signup::new(settings, parts));
        let world = Self { db, signup, registry, keeper, provider };
        world.app("acme").await;
        world.connector(&world.definition("honest", json!({}))).await;
        world.credentials("honest", Some("acme")).await;
        world
    }

    pub(crate) fn definition(&self, id: &str, more: Value) -> Definition {
        let base = self.provider.base.as_str().trim_end_matches('/');
        let mut definition = json!({
            "id": id, "display_name": format!("The {id} one"), "scopes": ["read"],
            "authorization_url": format!("{base}/{id}/authorize"), "token_url": format!("{base}/{id}/token"),
            "revocation_url": format!("{base}/{id}/revoke"),
            "identity": {"url": format!("{base}/{id}/me"), "id": "/sub", "label": "/email"},
        });
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(definition).unwrap()
    }

    pub(crate) async fn app(&self, id: &str) {
        let key = self.db.vault().new_data_key(self.db.id()).unwrap();
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn().app(&AppId::parse(id).unwrap()).insert_app(&format!("{id} Ltd"), &key).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn connector(&self, definition: &Definition) {
        let new = CustomConnector {
            definition: definition.clone(),
            confirmed_origins: definition.origins(),
            version: 1,
        };
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn().insert_connector(&new.sign(&self.db.vault()).unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        self.registry.forget();
    }

    /// Credentials of an app, or of the instance.
    pub(crate) async fn credentials(&self, connector: &str, app: Option<&str>) -> Uuid {
        let definition = self.registry.find(connector).await.unwrap().unwrap();
        let (id, app) = (self.db.id(), app.map(|app| AppId::parse(app).unwrap()));
        let key = self.db.vault().instance_key().clone();
        let mut new = StoredCredentials {
            id,
            connector: definition.id.clone(),
            app,
            client_id: format!("client-of-{connector}"),
            sealed_secret: None,
            sealed_previous: None,
            key,
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
        let sealed = self.db.vault().seal(&new.key, &place, &Secret::new("client-secret")).unwrap();
        new.sealed_secret = Some(sealed);
        registry::own::sign_credentials(&self.db.vault(), &mut new);
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn().insert_credentials(&new).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A new person with a browser.
    pub(crate) async fn person(
        &self,
        name: &str,
        role: Option<Role>,
        apps: &[(&str, Membership)],
    ) -> (Visitor, Ticket) {
        let id = UserId(self.db.id());
        let email = Email::parse(&format!("{id}@example.com")).unwrap();
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn().insert_user(id, &email, name, role, None).await.unwrap();
        for (app, role) in apps {
            tx.conn().app(&AppId::parse(app).unwrap()).put_member(id, *role).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.browser(id).await
    }

    /// Another browser of a person.
    pub(crate) async fn browser(&self, user: UserId) -> (Visitor, Ticket) {
        let ticket = Ticket::new(self.db.id(), &SystemEntropy);
        let vault = self.db.vault();
        let now = self.db.clock().now();
        let times = (now, now + time::Duration::hours(1));
        let whose = crate::identity::session::whose(user, &OpenedBy::SignIn, times);
        let row = crate::vault::Vault::row(&[ticket.id.as_bytes(), &whose]);
        let hash = vault.hash_secret("session", "token_hash", &row, &ticket.secret);
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        tx.conn()
            .insert_session(ticket.id, hash, (user, &OpenedBy::SignIn), Origin::default(), times)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        (self.visitor(&ticket).await, ticket)
    }

    /// The browser with the rights its person has now.
    #[expect(clippy::disallowed_methods, reason = "the test is the browser that holds the cookie")]
    pub(crate) async fn visitor(&self, ticket: &Ticket) -> Visitor {
        let cookie = ticket.text();
        let signed_in =
            self.sessions().resume(cookie.expose_secret(), Origin::default()).await.unwrap().unwrap();
        let (principal, session) = (signed_in.principal, signed_in.session_id);
        Visitor { principal, session, label: signed_in.user.display_name }
    }

    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::new(tools(&self.db))
    }

    /// A connector whose provider allows two tokens for an account, with credentials of the instance; Ada of acme and
    /// Grace of globex, who may use it.
    pub(crate) async fn capped(&self) -> (Visitor, Visitor) {
        self.app("globex").await;
        self.connector(&self.definition("capped", json!({"max_tokens_per_account": 2}))).await;
        self.credentials("capped", None).await;
        let grace = self.person("grace", None, &[("globex", Membership::Member)]).await.0;
        (self.member("ada").await, grace)
    }

    /// A member of acme, and nothing else.
    pub(crate) async fn member(&self, name: &str) -> Visitor {
        self.person(name, None, &[("acme", Membership::Member)]).await.0
    }

    /// Clicks "connect"; what the provider gets in its authorization request.
    pub(crate) async fn start(&self, by: &Visitor, app: &str, connector: &str) -> BTreeMap<String, String> {
        let url = self.try_start(by, app, connector, Wish::default()).await.unwrap();
        url.query_pairs().into_owned().collect()
    }

    pub(crate) async fn try_start(
        &self,
        by: &Visitor,
        app: &str,
        connector: &str,
        wish: Wish,
    ) -> Result<Url, Error> {
        let member = by.principal.member(&AppId::parse(app).unwrap())?;
        self.signup.start(&member, by, connector, wish).await
    }

    /// The browser comes back with a code.
    pub(crate) async fn back(
        &self,
        by: &Visitor,
        connector: &str,
        app: Option<&str>,
        state: &str,
    ) -> Result<Outcome, Error> {
        let code = Some(Secret::new("the-code"));
        self.back_with(by, connector, app, Answer { code, ..answer(state) }).await
    }

    pub(crate) async fn back_with(
        &self,
        by: &Visitor,
        connector: &str,
        app: Option<&str>,
        answer: Answer,
    ) -> Result<Outcome, Error> {
        let arrival = Arrival { connector: connector.into(), app: app.map(str::to_owned) };
        self.signup.callback(by, arrival, answer).await
    }

    /// Connects without questions.
    pub(crate) async fn connect(&self, by: &Visitor, app: &str, connector: &str) {
        let state = self.start(by, app, connector).await["state"].clone();
        let outcome = self.back(by, connector, Some(app), &state).await.unwrap();
        assert!(matches!(outcome, Outcome::Connected(_)), "{outcome:?}");
    }

    /// Starts, comes back, and is asked; the answer is the question's id.
    pub(crate) async fn asked(&self, by: &Visitor, app: &str, connector: &str, owner: Option<&str>) -> Uuid {
        let state = self.start(by, app, connector).await["state"].clone();
        match self.back(by, connector, owner, &state).await.unwrap() {
            Outcome::Confirm(id) => id,
            done @ (Outcome::Connected(_) | Outcome::Return(..)) => panic!("nobody was asked: {done:?}"),
        }
    }

    /// The app's connections, as its page shows them.
    pub(crate) async fn connections(&self, by: &Visitor, app: &str) -> Vec<Status> {
        let member = by.principal.member(&AppId::parse(app).unwrap()).unwrap();
        self.keeper.connections_of(&member).await.unwrap()
    }

    /// How many requests came to a path.
    pub(crate) fn requests(&self, path: &str) -> usize {
        self.provider.seen().iter().filter(|seen| seen.line.ends_with(path)).count()
    }

    /// The tokens that were sent to be revoked, in order.
    pub(crate) fn revocations(&self) -> Vec<String> {
        let seen = self.provider.seen();
        let revocations = seen.iter().filter(|seen| seen.line.ends_with("/revoke"));
        let token = |(name, value): (String, String)| (name == "token").then_some(value);
        revocations.filter_map(|seen| form(seen).into_iter().find_map(token)).collect()
    }

    /// Results of the audit records about connecting, oldest first.
    pub(crate) async fn audited(&self) -> Vec<String> {
        self.db.texts("SELECT result FROM audit_event WHERE action = 'connection.connect' ORDER BY seq").await
    }
}

/// The fields of a form that came to the provider.
pub(crate) fn form(seen: &Seen) -> Vec<(String, String)> {
    url::form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect()
}

/// A callback's answer with nothing but its state.
pub(crate) fn answer(state: &str) -> Answer {
    Answer { state: Ticket::parse(state), ..Answer::default() }
}
