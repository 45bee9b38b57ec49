//! What does a person whom a reverse proxy has signed in have to click, and what happens without a click?

use super::forwarded::{bearer, behind};
use super::*;

type Headers = [(&'static str, String)];

impl Browser<'_> {
    /// Sends a form through the proxy.
    async fn hand_in(&mut self, path: &str, fields: &[(&str, &str)], headers: &Headers) -> Reply {
        let form = TestRequest::post().uri(path).set_form(fields);
        let all = headers
            .iter()
            .fold(form, |request, (name, value)| request.append_header((*name, value.as_str())));
        self.send(all).await
    }
}

#[actix_web::test]
async fn an_invitation_makes_an_account_when_it_is_accepted_and_not_before() {
    for db in databases().await {
        let world = behind(&db, None).await;
        let root = world.site.fixture.superadmin().await;
        let acme = world.site.fixture.app("acme").await;
        let path = World::invitation(&world.site.fixture.invite(&root, &acme, "invited@example.com").await);
        let headers = bearer(&world.token(&json!({"groups": []})));
        let mut browser = world.at_proxy();
        let nothing = async || {
            let made = (db.count("\"user\"").await, db.count("upstream_identity").await);
            assert_eq!(made, (1, 0), "{}", db.name);
        };
        // Anybody can make a browser open these.
        let page = browser.arrive(&format!("/login?return_to={path}"), &headers).await;
        assert!(page.body.contains("not known here") && browser.session().is_none(), "{}", page.body);
        nothing().await;
        let page = browser.arrive(&path, &headers).await;
        assert!(page.body.contains("name=\"at_proxy\""), "{}", page.body);
        nothing().await;
        let forged = [("csrf_token", "x"), ("at_proxy", "yes")];
        assert_eq!(browser.hand_in(&path, &forged, &headers).await.status, StatusCode::FORBIDDEN);
        let token = page.form_token();
        let form = [("csrf_token", token.as_str()), ("at_proxy", "yes")];
        browser.hand_in(&path, &form, &[]).await.leads_to(&path);
        nothing().await;

        browser.hand_in(&path, &form, &headers).await.leads_to("/acme/connect");
        assert_eq!(db.count("\"user\" WHERE email = 'invited@example.com'").await, 1);
        assert_eq!(
            (db.count("membership").await, db.count("upstream_identity").await),
            (1, 1),
            "{}",
            db.name
        );
        assert!(browser.carry("/", &headers).await.body.contains("ACME"));
        // Whom the proxy knows as somebody of ours accepts in their session.
        let globex = world.site.fixture.app("globex").await;
        let path = World::invitation(&world.site.fixture.invite(&root, &globex, "invited@example.com").await);
        let mut elsewhere = world.at_proxy();
        let page = elsewhere.arrive(&format!("/login?return_to={path}"), &headers).await;
        let token = page.form_token();
        elsewhere.hand_in(&path, &[("csrf_token", &token)], &headers).await.leads_to("/globex/connect");
    }
}

#[actix_web::test]
async fn a_browser_without_cookies_has_one_session_for_one_token() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("acme").await;
        let headers = bearer(&world.token(&json!({})));
        let mut cookies = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let mut browser = world.at_proxy();
            browser.carry("/login", &headers).await.leads_to("/");
            cookies.insert(browser.session().unwrap().clone());
            assert_eq!(browser.carry("/", &headers).await.status, StatusCode::OK);
        }
        assert_eq!((cookies.len(), db.count("session").await), (1, 1), "{}", db.name);
        assert_eq!(db.count("audit_event WHERE action = 'login'").await, 1);
        let newer = bearer(&world.token(&json!({"jti": "another"})));
        world.at_proxy().carry("/login", &newer).await.leads_to("/");
        assert_eq!(db.count("session").await, 2);
        let other = bearer(&world.token(&json!({"sub": "s-2", "email": "mallory@example.com"})));
        world.at_proxy().carry("/login", &other).await.leads_to("/");
        assert_eq!(db.count("session").await, 3);
        // Ended, it does not come back with its old cookie.
        let mut browser = world.at_proxy();
        let page = browser.arrive("/", &headers).await;
        let before = browser.session().unwrap().clone();
        let token = page.form_token();
        browser.hand_in("/logout", &[("csrf_token", &token)], &headers).await.leads_to("/login");
        let mut again = world.at_proxy();
        again.carry("/login", &headers).await.leads_to("/");
        assert_ne!(again.session().unwrap(), &before, "{}", db.name);
    }
}

#[actix_web::test]
async fn who_signs_out_stays_out_until_they_click() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("acme").await;
        let headers = bearer(&world.token(&json!({})));
        let mut browser = world.at_proxy();
        let page = browser.arrive("/", &headers).await;
        let token = page.form_token();
        browser.hand_in("/logout", &[("csrf_token", &token)], &headers).await.leads_to("/login");
        assert_eq!(db.count("session").await, 0, "{}", db.name);
        let mut token = String::new();
        for path in ["/login", "/", "/login?return_to=/?x"] {
            let page = browser.arrive(path, &headers).await;
            token = page.form_token();
            assert!(page.body.contains("You are signed out here"), "{path}: {}", page.body);
            assert!(page.body.contains("href=\"/proxy/logout\"") && browser.session().is_none(), "{path}");
        }
        assert_eq!(db.count("session").await, 0, "{}", db.name);
        let forged = [("csrf_token", "x")];
        assert_eq!(browser.hand_in("/login/proxy", &forged, &headers).await.status, StatusCode::FORBIDDEN);
        let form = [("csrf_token", token.as_str()), ("return_to", "/?x")];
        let again = browser.hand_in("/login/proxy", &form, &headers).await;
        let to = again.header("location").to_owned();
        browser.carry(&to, &headers).await.leads_to("/?x");
        assert_eq!(browser.carry("/", &headers).await.status, StatusCode::OK, "{}", db.name);
        // Another browser was never out.
        world.at_proxy().carry("/login", &headers).await.leads_to("/");
    }
}
