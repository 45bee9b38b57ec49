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
