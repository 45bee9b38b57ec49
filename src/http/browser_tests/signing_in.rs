//! Who is signed in, as whom, and who is stopped?

use super::*;

#[actix_web::test]
async fn a_person_signs_in_sees_their_apps_and_signs_out() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        let mut browser = site.browser();
        browser.open("/").await.leads_to("/login?return_to=%2F");
        let reply = browser.sign_in(PASSWORD).await;
        reply.leads_to("/");
        let cookie = reply.set_cookie().join("");
        for part in
            ["__Host-jeton=", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/", "; Max-Age=43200"]
        {
            assert!(cookie.contains(part), "{part} in {cookie} ({})", db.name);
        }
        assert!(!cookie.contains("Domain"));
        let start = browser.open("/").await;
        assert_eq!((start.status, start.header("cache-control")), (StatusCode::OK, "no-store"));
        assert!(start.body.contains("href=\"/acme/connect\"") && start.body.contains("ACME"));
        let stolen = browser.session().unwrap().clone();
        browser.post("/logout", &[("csrf_token", &start.form_token())]).await.leads_to("/login");
        assert!(browser.session().is_none());
        browser.cookies.insert("__Host-jeton".into(), stolen);
        browser.open("/").await.leads_to("/login?return_to=%2F");
    }
}

#[actix_web::test]
async fn the_session_id_is_new_at_each_sign_in_and_the_former_ends() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        let mut browser = site.browser();
        browser.sign_in(PASSWORD).await.leads_to("/");
        let first = browser.session().unwrap().clone();
        let token = browser.open("/").await.form_token();
        let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("csrf_token", token.as_str())];
        browser.post("/login", &fields).await.leads_to("/");
        assert_ne!(browser.session().unwrap(), &first, "{}", db.name);
        browser.cookies.insert("__Host-jeton".into(), first);
        browser.open("/").await.leads_to("/login?return_to=%2F");
    }
}

#[actix_web::test]
async fn on_plain_loopback_the_cookie_is_named_by_the_port_and_not_secure() {
    for db in databases().await {
        let site = site(&db, "http://127.0.0.1:8080").await;
        ada(&site).await;
        let mut browser = site.browser();
        browser.host = "127.0.0.1:8080";
        let reply = browser.sign_in(PASSWORD).await;
        let cookie = reply.set_cookie().join("");
        assert!(cookie.starts_with("jeton_8080=") && !cookie.contains("Secure"), "{cookie} ({})", db.name);
        assert!(reply.header("strict-transport-security").is_empty());
    }
}

#[actix_web::test]
async fn wrong_names_and_wrong_passwords_are_told_alike_and_limited() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        let mut browser = site.browser();
        let wrong = browser.sign_in("wrong horse battery").await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{}", db.name);
        assert!(wrong.body.contains("role=\"alert\"") && wrong.body.contains("value=\"ada@example.com\""));
        assert!(!wrong.body.contains("wrong horse") && browser.session().is_none());
        let unknown = browser.fill("/login", &[("email", "ada@example.con"), ("password", PASSWORD)]).await;
        let bare = |reply: &Reply| reply.body.replace("ada@example.con", "ada@example.com");
        assert_eq!(bare(&unknown), bare(&wrong).replace("ada@example.con", "ada@example.com"));
        for _ in 0..9 {
            browser.sign_in("wrong horse battery").await;
        }
        let limited = browser.sign_in(PASSWORD).await;
        assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
        let seconds: u64 = limited.header("retry-after").parse().unwrap();
        assert!((1..=901).contains(&seconds) && browser.session().is_none());
        browser.address = "198.51.100.1:4711";
        browser.sign_in(PASSWORD).await.leads_to("/");
    }
}

#[actix_web::test]
async fn a_known_browser_is_not_locked_out_by_a_neighbour_and_has_a_limit_of_its_own() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        let (mut known, mut neighbour) = (site.browser(), site.browser());
        known.sign_in(PASSWORD).await.leads_to("/");
        known.cookies.remove("__Host-jeton");
        for _ in 0..11 {
            neighbour.sign_in("wrong horse battery").await;
        }
        assert_eq!(neighbour.sign_in(PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS, "{}", db.name);
        for _ in 0..10 {
            assert_eq!(known.sign_in("wrong horse battery").await.status, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(known.sign_in(PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
        db.clock.advance(time::Duration::minutes(16));
        known.sign_in(PASSWORD).await.leads_to("/");
        let forged = format!("{}.{}", "A".repeat(43), "A".repeat(43));
        neighbour.cookies.insert("__Host-jeton-known".into(), forged);
        for _ in 0..11 {
            neighbour.sign_in("wrong horse battery").await;
        }
        assert_eq!(neighbour.sign_in(PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    }
}

#[actix_web::test]
async fn return_to_leads_to_paths_of_ours_only() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        for (given, leads_to) in [
            ("/acme/connect?flow=a", "/acme/connect?flow=a"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example/", "/"),
            ("evil", "/"),
            ("/\t/evil.example", "/"),
            ("", "/"),
        ] {
            let mut browser = site.browser();
            let query = serde_urlencoded::to_string([("return_to", given)]).unwrap();
            let page = browser.open(&format!("/login?{query}")).await;
            assert!(!page.body.contains("evil"), "{}", db.name);
            let token = page.form_token();
            let fields = [
                ("email", "ada@example.com"),
                ("password", PASSWORD),
                ("csrf_token", &token),
                ("return_to", given),
            ];
            browser.post("/login", &fields).await.leads_to(leads_to);
            browser.open(&format!("/login?{query}")).await.leads_to(leads_to);
        }
    }
}
