//! What do one-time links do?

use super::*;

#[actix_web::test]
async fn an_invitation_is_shown_by_get_taken_by_post_and_refused_when_replayed() {
    for db in databases().await {
        let site = site(&db, URL).await;
        let root = site.fixture.superadmin().await;
        let acme = site.fixture.app("acme").await;
        let link = site.fixture.invite(&root, &acme, "eve@example.com").await;
        let path = format!("/invitations/{}", token(&link));
        let mut browser = site.browser();
        let shown = browser.open(&path).await;
        assert!(shown.body.contains("Join ACME") && shown.body.contains("eve@example.com"), "{}", db.name);
        let short = browser.fill(&path, &[("display_name", "Eve"), ("password", "short")]).await;
        assert_eq!(short.status, StatusCode::BAD_REQUEST);
        assert!(short.body.contains("at least 12 characters") && short.body.contains("value=\"Eve\""));
        let joined = browser.fill(&path, &[("display_name", "<b>Eve"), ("password", PASSWORD)]).await;
        joined.leads_to("/acme/connect");
        assert!(browser.open("/").await.body.contains("&#60;b&#62;Eve"));
        for mut again in [browser, site.browser()] {
            let refused = again.open(&path).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND);
            assert!(refused.body.contains("used already") && refused.body.contains("for a new one"));
        }
        let link = site.fixture.first_superadmin_link().await;
        let path = format!("/invitations/{}", token(&link));
        let fields = [("display_name", "Second"), ("password", PASSWORD)];
        site.browser().fill(&path, &fields).await.leads_to("/");
    }
}

#[actix_web::test]
async fn a_known_address_signs_in_first_and_then_accepts() {
    for db in databases().await {
        let site = site(&db, URL).await;
        let root = site.fixture.superadmin().await;
        let (acme, globex) = (site.fixture.app("acme").await, site.fixture.app("globex").await);
        site.fixture.member(&root, &acme, "ada@example.com").await;
        site.fixture.member(&root, &acme, "eve@example.com").await;
        let link = site.fixture.invite(&root, &globex, "ada@example.com").await;
        let path = format!("/invitations/{}", token(&link));
        let mut browser = site.browser();
        let shown = browser.open(&path).await;
        let back = format!("/login?return_to={}", path.replace('/', "%2F"));
        assert!(shown.body.contains(&back) && !shown.body.contains("type=\"password\""), "{}", db.name);
        let form = browser.open("/login").await.form_token();
        let fields = [("display_name", "Mallory"), ("password", PASSWORD), ("csrf_token", form.as_str())];
        assert_eq!(browser.post(&path, &fields).await.status, StatusCode::CONFLICT);
        let mut eve = site.browser();
        eve.fill("/login", &[("email", "eve@example.com"), ("password", PASSWORD)]).await.leads_to("/");
        let other = eve.open(&path).await;
        assert!(other.body.contains("signed in as <strong>eve@example.com"));
        let refused = eve.post(&path, &[("csrf_token", &other.form_token())]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        browser.sign_in(PASSWORD).await.leads_to("/");
        let shown = browser.open(&path).await;
        assert!(!browser.open("/").await.body.contains("GLOBEX"));
        browser.post(&path, &[("csrf_token", &shown.form_token())]).await.leads_to("/globex/connect");
        assert!(browser.open("/").await.body.contains("GLOBEX"));
    }
}

#[actix_web::test]
async fn a_password_link_sets_a_password_once() {
    for db in databases().await {
        let site = site(&db, URL).await;
        let ada = ada(&site).await;
        let root = site.fixture.superadmin().await;
        let link = site.fixture.people.password_link(&root, ada.user.id).await.unwrap();
        let path = format!("/account/password/{}", token(&link));
        let mut browser = site.browser();
        let short = browser.fill(&path, &[("password", "short")]).await;
        assert_eq!(short.status, StatusCode::BAD_REQUEST, "{}", db.name);
        browser.fill(&path, &[("password", "another horse battery")]).await.leads_to("/");
        assert_eq!(browser.open("/").await.status, StatusCode::OK);
        assert_eq!(browser.open(&path).await.status, StatusCode::NOT_FOUND);
        site.browser().sign_in("another horse battery").await.leads_to("/");
    }
}
