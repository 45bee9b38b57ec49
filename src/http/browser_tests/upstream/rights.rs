//! Who is somebody at the provider here, and what may they do?

use super::*;
use crate::identity::Superadmin;
use crate::model::app::AppId;
use crate::model::name::DisplayName;
use crate::model::person::Email;
use crate::model::principal::{Membership, UserId};

impl World {
    /// What everybody may do, as `email: app=role …`.
    async fn memberships(&self, db: &TestDatabase) -> Vec<String> {
        let mut all = db
            .texts("SELECT u.email || ' ' || m.app || ' ' || m.role FROM membership m JOIN \"user\" u ON u.id = m.user_id")
            .await;
        all.sort();
        all
    }

    async fn member(&self, by: &Superadmin, app: &AppId, email: &str, role: Membership) {
        let conn = self.site.fixture.tools.store.conn();
        let user = conn.find_login(&Email::parse(email).unwrap()).await.unwrap().unwrap().0;
        self.site.fixture.people.add_member(by, app, user.id, role).await.unwrap();
    }
}

#[actix_web::test]
async fn claims_give_and_take_and_leave_alone_what_others_gave() {
    for db in databases().await {
        let world = world(&db).await;
        let root = world.site.fixture.superadmin().await;
        let (acme, _) = (world.site.fixture.app("acme").await, world.site.fixture.app("globex").await);
        let mut eve = world.browser();
        let all = json!({"groups": ["acme/app_admin", "globex", "unheard-of", "boss"]});
        world.go(&mut eve, "/", all).await.leads_to("/");
        let given = ["eve@example.com acme app_admin", "eve@example.com globex member"];
        assert_eq!(world.memberships(&db).await, given, "{}", db.name);
        let superadmins = "\"user\" WHERE claimed_role = 'superadmin' AND role IS NULL";
        assert_eq!(db.count(superadmins).await, 1);
        assert!(eve.open("/").await.body.contains("GLOBEX"));

        // An admin gives less of the one than claims do: both count, each for itself.
        world.member(&root, &acme, "eve@example.com", Membership::Member).await;
        assert_eq!(
            world.memberships(&db).await[0],
            "eve@example.com acme member",
            "an admin decides at once"
        );
        world.go(&mut world.browser(), "/", json!({"groups": ["acme/app_admin"]})).await.leads_to("/");
        assert_eq!(world.memberships(&db).await, ["eve@example.com acme app_admin"]);
        assert_eq!(db.count(superadmins).await, 0);

        world.go(&mut world.browser(), "/", json!({"groups": []})).await.leads_to("/");
        assert_eq!(
            world.memberships(&db).await,
            ["eve@example.com acme member"],
            "what the admin gave stays"
        );
        assert!(!eve.open("/").await.body.contains("GLOBEX"), "in sessions from before, too");
        assert_eq!(db.count("\"user\"").await, 2);
    }
}

#[actix_web::test]
async fn an_invitation_accepted_while_claims_give_more_outlives_them() {
    for db in databases().await {
        let world = world(&db).await;
        let root = world.site.fixture.superadmin().await;
        let acme = world.site.fixture.app("acme").await;
        let mut eve = world.browser();
        world.go(&mut eve, "/", json!({"groups": "acme/app_admin"})).await.leads_to("/");
        let path = World::invitation(&world.site.fixture.invite(&root, &acme, "eve@example.com").await);
        eve.fill(&path, &[]).await.leads_to("/acme/connect");
        assert_eq!(world.memberships(&db).await, ["eve@example.com acme app_admin"], "{}", db.name);
        world.go(&mut world.browser(), "/", json!({"groups": ""})).await.leads_to("/");
        assert_eq!(world.memberships(&db).await, ["eve@example.com acme member"]);
    }
}

#[actix_web::test]
async fn nobody_is_joined_to_an_account_by_an_address() {
    for db in databases().await {
        let world = world(&db).await;
        ada(&world.site).await;
        world.site.fixture.app("globex").await;
        let people = db.count("\"user\"").await;
        let address = json!({"email": "ada@example.com", "email_verified": true});
        let mut browser = world.browser();
        let refused = world.go(&mut browser, "/", address.clone()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", db.name);
        assert!(refused.body.contains("not known here") && refused.body.contains("ada@example.com"));
        assert!(refused.body.contains("invitation") && browser.session().is_none());
        assert_eq!((db.count("\"user\"").await, db.count("upstream_identity").await), (people, 0));
        let markup = world.go(&mut browser, "/", json!({"email": "<script>x</script>"})).await;
        assert!(markup.body.contains("&#60;script&#62;") && !markup.body.contains("<script"));

        // Where claims let somebody in, the account is a new one and has nothing of the other.
        let mut let_in = address.clone();
        let_in["groups"] = json!("globex");
        world.go(&mut browser, "/", let_in).await.leads_to("/");
        let start = browser.open("/").await.body;
        assert!(start.contains("GLOBEX") && !start.contains("ACME"));
        let names = db.texts("SELECT email FROM \"user\" ORDER BY id").await;
        assert!(names.last().unwrap().ends_with("@127.0.0.1.invalid"), "{names:?}");

        // The other way round: an account made under an address beforehand catches nobody's link.
        let root = world.site.fixture.superadmin().await;
        let (email, name) = (Email::parse("mallory@example.com").unwrap(), DisplayName::parse("M").unwrap());
        world.site.fixture.people.create_user(&root, &email, &name, None).await.unwrap();
        let said = json!({"sub": "s-9", "email": "mallory@example.com"});
        assert_eq!(world.go(&mut world.browser(), "/", said).await.status, StatusCode::FORBIDDEN);
    }
}

#[actix_web::test]
async fn an_open_invitation_lets_somebody_new_in_who_then_accepts_it() {
    for db in databases().await {
        let world = world(&db).await;
        let root = world.site.fixture.superadmin().await;
        let acme = world.site.fixture.app("acme").await;
        let path = World::invitation(&world.site.fixture.invite(&root, &acme, "invited@example.com").await);
        let mut eve = world.browser();
        assert!(eve.open(&path).await.body.contains("Go on with 127.0.0.1:"));
        world.go(&mut eve, &path, json!({})).await.leads_to(&path);
        assert_eq!(
            world.memberships(&db).await,
            Vec::<String>::new(),
            "{}: nothing without a click",
            db.name
        );
        let shown = eve.open(&path).await;
        assert!(shown.body.contains("signed in as <strong>invited@example.com"), "{}", shown.body);
        eve.post(&path, &[("csrf_token", &shown.form_token())]).await.leads_to("/acme/connect");
        assert_eq!(world.memberships(&db).await, ["invited@example.com acme member"]);
        let start = eve.open("/").await.body;
        assert!(start.contains("your only way in") && !start.contains("/login/oidc/unlink"));
        // Known from now on, by subject; the used one lets nobody else in.
        world.go(&mut world.browser(), "/", json!({"email": "moved@example.com"})).await.leads_to("/");
        let other = world.go(&mut world.browser(), &path, json!({"sub": "s-2"})).await;
        assert_eq!(other.status, StatusCode::FORBIDDEN);
        // Nor does one for somebody who has an account.
        let known = World::invitation(&world.site.fixture.invite(&root, &acme, "invited@example.com").await);
        let other = world.go(&mut world.browser(), &known, json!({"sub": "s-2"})).await;
        assert_eq!(other.status, StatusCode::FORBIDDEN);
    }
}

#[actix_web::test]
async fn an_account_is_linked_from_its_session_alone_and_unlinked_while_there_is_a_password() {
    for db in databases().await {
        let world = world(&db).await;
        let ada = ada(&world.site).await;
        let mut browser = world.browser();
        browser.sign_in(PASSWORD).await.leads_to("/");
        let session = browser.session().unwrap().clone();
        assert!(browser.open("/").await.body.contains("Link 127.0.0.1:"));
        world.go(&mut browser, "/acme/connect", json!({"groups": "boss"})).await.leads_to("/acme/connect");
        assert_eq!(browser.session(), Some(&session), "{}: linking is no sign-in", db.name);
        assert!(browser.open("/").await.body.contains("linked to <strong>eve@example.com"));
        let mut elsewhere = world.browser();
        world.go(&mut elsewhere, "/", json!({"groups": "boss"})).await.leads_to("/");
        assert!(elsewhere.open("/").await.body.contains("ada@example.com"));

        // The same again changes nothing, another one is refused, and so is the same for somebody else.
        world.go(&mut browser, "/", json!({"groups": "boss"})).await.leads_to("/");
        let other = world.go(&mut browser, "/", json!({"sub": "s-2"})).await;
        assert_eq!(other.status, StatusCode::CONFLICT);
        let root = world.site.fixture.superadmin().await;
        let acme = AppId::parse("acme").unwrap();
        world.site.fixture.member(&root, &acme, "bob@example.com").await;
        let mut bob = world.browser();
        bob.fill("/login", &[("email", "bob@example.com"), ("password", PASSWORD)]).await.leads_to("/");
        let taken = world.go(&mut bob, "/", json!({})).await;
        assert_eq!((taken.status, db.count("upstream_identity").await), (StatusCode::CONFLICT, 1));

        // What claims gave goes with the link.
        assert_eq!(db.count("\"user\" WHERE claimed_role IS NOT NULL").await, 1);
        let start = browser.open("/").await;
        browser.post("/login/oidc/unlink", &[]).await;
        assert_eq!(db.count("upstream_identity").await, 1, "not without our form");
        browser.post("/login/oidc/unlink", &[("csrf_token", &start.form_token())]).await.leads_to("/");
        assert_eq!(db.count("upstream_identity").await, 0);
        assert_eq!(db.count("\"user\" WHERE claimed_role IS NOT NULL").await, 0);
        let gone = world.go(&mut world.browser(), "/", json!({})).await;
        assert_eq!(gone.status, StatusCode::FORBIDDEN);
        assert_eq!(ada.user.email.as_str(), "ada@example.com");
    }
}

#[actix_web::test]
async fn the_only_way_in_is_not_given_up_and_the_disabled_stay_out() {
    for db in databases().await {
        let world = world(&db).await;
        let root = world.site.fixture.superadmin().await;
        world.site.fixture.app("acme").await;
        let mut eve = world.browser();
        world.go(&mut eve, "/", json!({"groups": "acme"})).await.leads_to("/");
        let token = eve.open("/").await.form_token();
        let kept = eve.post("/login/oidc/unlink", &[("csrf_token", &token)]).await;
        assert_eq!(
            (kept.status, db.count("upstream_identity").await),
            (StatusCode::FORBIDDEN, 1),
            "{}",
            db.name
        );
        let email = Email::parse("eve@example.com").unwrap();
        let user = world.site.fixture.tools.store.conn().find_login(&email).await.unwrap().unwrap().0;
        world.site.fixture.people.update_user(&root, user.id, None, None, Some(true)).await.unwrap();
        let mut again = world.browser();
        let out = world.go(&mut again, "/", json!({"groups": "acme"})).await;
        assert_eq!(out.status, StatusCode::FORBIDDEN);
        assert!(out.body.contains("disabled") && again.session().is_none());
        world.site.fixture.people.delete_user(&root, user.id).await.unwrap();
        assert_eq!(db.count("upstream_identity").await, 0, "goes with the person");
    }
}

#[actix_web::test]
async fn an_identity_turned_to_somebody_else_by_sql_is_not_believed() {
    for db in databases().await {
        let world = world(&db).await;
        let ada: UserId = ada(&world.site).await.user.id;
        world.go(&mut world.browser(), "/", json!({"groups": "boss"})).await.leads_to("/");
        let id = match db.name {
            "sqlite" => format!("x'{}'", ada.0.simple()),
            _ => format!("'{}'", ada.0),
        };
        db.sql(&format!("UPDATE upstream_identity SET user_id = {id}")).await;
        let mut browser = world.browser();
        let moved = world.go(&mut browser, "/", json!({"groups": "boss"})).await;
        assert_eq!(moved.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", db.name);
        assert!(moved.body.contains("secret_unreadable") && browser.session().is_none());
        assert_eq!(db.count("audit_event WHERE action = 'secret.unreadable'").await, 1);
    }
}
