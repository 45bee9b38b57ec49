//! People for tests, made through the services as they are made in production.

use std::sync::Arc;

use crate::identity::bearer::RecentRows;
use crate::identity::login::{Browser, Logins};
use crate::identity::password::Passwords;
use crate::identity::people::{Joining, Link, NewInvitation, People};
use crate::identity::session::{Opened, Sessions, SignedIn};
use crate::identity::tools::Tools;
use crate::identity::{MayReceive, Principal, Superadmin};
use crate::model::app::AppId;
use crate::model::client::{Allow, Role};
use crate::model::connector::ConnectorId;
use crate::model::event::Origin;
use crate::model::name::DisplayName;
use crate::model::person::{Email, Offer};
use crate::model::principal::{Actor, Membership};
use crate::model::public_url::PublicUrl;
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;
use crate::store::testing::TestDatabase;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// What services work with, over a test's database.
pub(crate) fn tools(db: &TestDatabase) -> Tools {
    Tools {
        store: db.store(),
        vault: db.vault(),
        audit: db.audit(),
        clock: db.clock(),
        entropy: db.entropy(),
    }
}

pub(crate) struct Fixture {
    pub(crate) tools: Tools,
    pub(crate) people: Arc<People>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) public_url: PublicUrl,
}

impl Fixture {
    pub(crate) fn of(db: &TestDatabase, public_url: &str) -> Self {
        let tools = tools(db);
        let public_url = PublicUrl::parse(public_url).unwrap();
        let passwords = Arc::new(Passwords::new(db.vault(), db.entropy()));
        let sessions = Arc::new(Sessions::new(tools.clone()));
        let logins = Arc::new(Logins::new(tools.clone(), Arc::clone(&passwords), Arc::clone(&sessions)));
        let people = Arc::new(People::new(
            tools.clone(),
            passwords,
            Arc::clone(&sessions),
            public_url.clone(),
            RecentRows::default(),
        ));
        Self { tools, people, logins, sessions, public_url }
    }

    pub(crate) async fn app(&self, id: &str) -> AppId {
        let app = AppId::parse(id).unwrap();
        let key = self.tools.vault.new_data_key(self.tools.id()).unwrap();
        let tx = self.tools.store.begin().await.unwrap();
        tx.conn().app(&app).insert_app(&id.to_uppercase(), &key).await.unwrap();
        tx.commit().await.unwrap();
        app
    }

    pub(crate) async fn first_superadmin_link(&self) -> Link {
        let tx = self.tools.store.begin().await.unwrap();
        let link = self.people.first_superadmin_invitation(tx.conn(), None).await.unwrap();
        tx.commit().await.unwrap();
        link
    }

    /// The first superadmin, joined by invitation.
    pub(crate) async fn superadmin(&self) -> Superadmin {
        let link = self.first_superadmin_link().await;
        let answer = self.people.join(&token(&link), &joining("Root"), Origin::default()).await.unwrap();
        let signed_in = self.resume(&answer.opened.unwrap()).await.unwrap();
        signed_in.principal.superadmin(Scope::Superadmin).unwrap()
    }

    pub(crate) async fn invite(&self, by: &Superadmin, app: &AppId, email: &str) -> Link {
        let new = NewInvitation {
            offer: Offer::App(app.clone(), Membership::Member),
            email: Email::parse(email).unwrap(),
            connectors: Vec::new(),
            expires_in: None,
        };
        self.people.invite(by, new).await.unwrap()
    }

    /// A person who accepted an invitation to `app`.
    pub(crate) async fn member(&self, by: &Superadmin, app: &AppId, email: &str) -> SignedIn {
        let link = self.invite(by, app, email).await;
        let answer = self.people.join(&token(&link), &joining(email), Origin::default()).await.unwrap();
        self.resume(&answer.opened.unwrap()).await.unwrap()
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<Opened, super::login::Error> {
        self.logins.sign_in(email, &Secret::new(password), Browser::default(), from("203.0.113.9")).await
    }

    pub(crate) async fn resume(&self, opened: &Opened) -> Option<SignedIn> {
        let cookie = plain(&opened.ticket.text());
        self.sessions.resume(&cookie, Origin::default()).await.unwrap()
    }
}

/// A superadmin with these scopes alone, as a client can be one.
pub(crate) fn weaker(scopes: &str) -> Superadmin {
    let principal = Principal {
        actor: Actor::System,
        kind: None,
        role: Some(Role::Superadmin),
        scopes: Scopes::parse(scopes).unwrap(),
        allow: Allow::default(),
        memberships: Vec::new(),
        origin: Origin::default(),
        through: None,
    };
    Superadmin { principal }
}

/// A job that may receive this app's tokens of this connector.
pub(crate) fn receiver(app: &AppId, connector: &ConnectorId) -> MayReceive {
    weaker("binb:read").principal.may_receive(app, connector).unwrap()
}

pub(crate) fn joining(name: &str) -> Joining {
    let display_name = DisplayName::parse(name).unwrap();
    Joining { display_name, email: None, password: Secret::new(PASSWORD) }
}

pub(crate) fn from(address: &str) -> Origin {
    Origin { address: Some(address.parse().unwrap()), ..Origin::default() }
}

/// The last segment of a link.
pub(crate) fn token(link: &Link) -> String {
    plain(&link.url).rsplit('/').next().unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "tests play the browser that gets the secret")]
pub(crate) fn plain(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}
