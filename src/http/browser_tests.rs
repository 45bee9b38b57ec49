//! What a browser sees of sign-in, invitations and passwords, and what every response carries.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, HttpResponse, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::layer::{prefix, security_headers, trace};
use super::settings::WebSettings;
use super::{account, invitations, login, page, start};
use crate::identity::testing::{Fixture, PASSWORD, token};
use crate::store::testing::{TestDatabase, databases};

const URL: &str = "https://api.example.com";

struct Site {
    app: Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, HttpResponse>>,
    fixture: Fixture,
}

async fn site(db: &TestDatabase, url: &str) -> Site {
    let fixture = Fixture::of(db, url);
    let settings = WebSettings::new(fixture.public_url.clone(), vec![]);
    let nature = trace::Nature { clock: db.clock(), entropy: db.entropy() };
    let app = App::new()
        .app_data(web::Data::new(settings))
        .app_data(web::Data::new(nature))
        .app_data(web::Data::from(Arc::clone(&fixture.people)))
        .app_data(web::Data::from(Arc::clone(&fixture.logins)))
        .app_data(web::Data::from(Arc::clone(&fixture.sessions)))
        .configure(page::routes)
        .configure(login::routes)
        .configure(start::routes)
        .configure(invitations::routes)
        .configure(account::routes)
        .route("/panics", web::get().to(panic_with_secret))
        .default_service(web::to(page::not_found))
        .wrap(from_fn(prefix::strip))
        .wrap(from_fn(trace::follow))
        .wrap(from_fn(security_headers::apply));
    let app = Rc::new(init_service(app).await);
    let call = move |request: TestRequest| {
        let app = Rc::clone(&app);
        async move {
            match try_call_service(&*app, request.to_request()).await {
                Ok(answer) => answer.into_parts().1,
                Err(error) => error.error_response(),
            }
        }
        .boxed_local()
    };
    Site { app: Box::new(call), fixture }
}

async fn panic_with_secret() -> HttpResponse {
    panic!("canary-of-a-panic")
}

/// A cookie jar with a host and an address.
struct Browser<'s> {
    site: &'s Site,
    cookies: BTreeMap<String, String>,
    host: &'static str,
    address: &'static str,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn set_cookie(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).map(|value| value.to_str().unwrap()).collect()
    }

    fn form_token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf_token\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    fn leads_to(&self, location: &str) {
        assert_eq!(
            (self.status, self.header("location")),
            (StatusCode::SEE_OTHER, location),
            "{}",
            self.body
        );
    }
}

impl Site {
    fn browser(&self) -> Browser<'_> {
        let host = "api.example.com";
        Browser { site: self, cookies: BTreeMap::new(), host, address: "203.0.113.9:4711" }
    }
}

impl Browser<'_> {
    async fn send(&mut self, request: TestRequest) -> Reply {
        let peer: SocketAddr = self.address.parse().unwrap();
        let mut request = request.insert_header((header::HOST, self.host)).peer_addr(peer);
        if !self.cookies.is_empty() {
            let all: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.insert_header((header::COOKIE, all.join("; ")));
        }
        let response = (self.site.app)(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in response.cookies() {
            if cookie.value().is_empty() {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        Reply { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn open(&mut self, path: &str) -> Reply {
        self.send(TestRequest::get().uri(path)).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(TestRequest::post().uri(path).set_form(fields)).await
    }

    /// Opens the page, takes its form token and sends the form.
    async fn fill(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.open(path).await.form_token();
        let path = path.split('?').next().unwrap();
        self.post(path, &[fields, &[("csrf_token", &token)]].concat()).await
    }

    async fn sign_in(&mut self, password: &str) -> Reply {
        self.fill("/login", &[("email", "ada@example.com"), ("password", password)]).await
    }

    fn session(&self) -> Option<&String> {
        self.cookies.get("__Host-jeton")
    }
}

async fn ada(site: &Site) -> crate::identity::session::SignedIn {
    let root = site.fixture.superadmin().await;
    let acme = site.fixture.app("acme").await;
    site.fixture.member(&root, &acme, "ada@example.com").await
}

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
async fn a_page_may_let_its_forms_end_at_one_more_origin() {
    async fn leads_away() -> HttpResponse {
        let mut response = HttpResponse::Ok().finish();
        let provider = url::Url::parse("https://github.com/login/oauth/authorize?x=1").unwrap();
        page::allow_form_target(&mut response, &provider);
        response
    }
    let app = App::new().route("/", web::get().to(leads_away)).wrap(from_fn(security_headers::apply));
    let app = init_service(app).await;
    let answer = actix_web::test::call_service(&app, TestRequest::get().uri("/").to_request()).await;
    let policy = answer.headers().get("content-security-policy").unwrap().to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://github.com;"), "{policy}");
}

#[actix_web::test]
async fn logs_tell_the_template_of_a_route_and_nothing_that_was_sent() {
    let db = databases().await.remove(0);
    let site = site(&db, URL).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let quiet = tracing::subscriber::set_default(subscriber);
    let mut browser = site.browser();
    browser.cookies.insert("__Host-jeton".into(), "canary-cookie".into());
    browser.open("/invitations/canary-path?canary=query").await;
    let fields = [("email", "canary-name"), ("password", "canary-password"), ("csrf_token", "canary-token")];
    browser.post("/login", &fields).await;
    browser.open("/canary-nowhere").await;
    browser.open("/panics").await;
    drop(quiet);
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for told in [
        "GET /invitations/{token} answered 404",
        "POST /login answered 403",
        "a handler panicked",
        "trace_id=",
    ] {
        assert!(lines.contains(told), "{told} in {lines}");
    }
    assert!(!lines.contains("canary"), "{lines}");
}

#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[actix_web::test]
async fn a_form_without_our_token_changes_nothing() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        let mut other = site.browser();
        let foreign = other.open("/login").await.form_token();
        let mut browser = site.browser();
        let own = browser.open("/login").await.form_token();
        let login = [("email", "ada@example.com"), ("password", PASSWORD)];
        for token in [None, Some(""), Some(foreign.as_str()), Some("nonsense")] {
            let token: Vec<_> = token.map(|token| ("csrf_token", token)).into_iter().collect();
            let refused = browser.post("/login", &[&login, token.as_slice()].concat()).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", db.name);
            assert!(browser.session().is_none() && refused.body.contains("role=\"alert\""));
        }
        let mut bare = site.browser();
        let refused = bare.post("/login", &[&login[..], &[("csrf_token", own.as_str())]].concat()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        browser.sign_in(PASSWORD).await.leads_to("/");
        for fields in [&[][..], &[("csrf_token", own.as_str())]] {
            assert_eq!(browser.post("/logout", fields).await.status, StatusCode::FORBIDDEN);
        }
        assert_eq!(browser.send(TestRequest::post().uri("/logout")).await.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.open("/").await.status, StatusCode::OK);
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

#[actix_web::test]
async fn every_response_carries_the_headers_errors_and_panics_included() {
    for db in databases().await {
        let site = site(&db, URL).await;
        let mut browser = site.browser();
        let replies = [
            (200, browser.open("/login").await),
            (303, browser.open("/").await),
            (200, browser.open("/static/style.css").await),
            (404, browser.open("/nowhere").await),
            (405, browser.send(TestRequest::delete().uri("/login")).await),
            (400, browser.open("/login?return_to=/&return_to=/").await),
            (400, browser.open("/login?unknown=1").await),
            (415, browser.send(TestRequest::post().uri("/login").set_json("x")).await),
            (413, browser.post("/login", &[("email", &"x".repeat(70_000))]).await),
            (500, browser.open("/panics").await),
        ];
        for (status, reply) in &replies {
            assert_eq!(reply.status.as_u16(), *status, "{}: {}", db.name, reply.body);
            let policy = reply.header("content-security-policy");
            for rule in
                ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
            {
                assert!(policy.contains(rule), "{rule} in {policy}");
            }
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert_eq!(reply.header("referrer-policy"), "no-referrer");
            assert!(reply.header("strict-transport-security").starts_with("max-age="));
            assert!(reply.header("server").is_empty() && !reply.body.contains("<script"));
        }
        let panicked = &replies.last().unwrap().1;
        assert_eq!(panicked.header("content-type"), "application/problem+json");
        assert!(!panicked.body.contains("canary") && panicked.body.contains("\"trace_id\":\"0"));
        assert_eq!(replies[4].1.header("allow"), "GET, POST");
        assert_eq!(browser.open("/login").await.status, StatusCode::OK);
    }
}

#[actix_web::test]
async fn another_host_is_misdirected_and_reads_no_session() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        let mut browser = site.browser();
        browser.sign_in(PASSWORD).await.leads_to("/");
        for host in ["evil.example", "api.example.com:8443", ""] {
            browser.host = host;
            for path in ["/", "/login", "/invitations/x", "/account/password/x"] {
                let reply = browser.open(path).await;
                assert_eq!(reply.status, StatusCode::MISDIRECTED_REQUEST, "{host} {path} {}", db.name);
                assert!(!reply.body.contains("ada@example.com"));
            }
        }
        browser.host = "API.example.com:443";
        assert_eq!(browser.open("/").await.status, StatusCode::OK);
    }
}

#[actix_web::test]
async fn the_path_of_the_public_url_is_optional_in_requests_and_always_in_links() {
    for db in databases().await {
        let site = site(&db, "https://api.example.com/laputa").await;
        ada(&site).await;
        let mut browser = site.browser();
        for path in ["/laputa", "/laputa/", "/"] {
            browser.open(path).await.leads_to("/laputa/login?return_to=%2F");
        }
        let page = browser.open("/laputa/login?return_to=%2Flaputa%2Facme%2Fconnect").await;
        assert!(page.body.contains("action=\"/laputa/login\""), "{}", db.name);
        assert!(page.body.contains("href=\"/laputa/static/style.css?v="));
        let fields = [
            ("email", "ada@example.com"),
            ("password", PASSWORD),
            ("csrf_token", &page.form_token()),
            ("return_to", "/laputa/acme/connect"),
        ];
        browser.post("/login", &fields).await.leads_to("/laputa/acme/connect");
        assert!(browser.open("/nowhere").await.body.contains("href=\"/laputa/static/style.css"));
    }
}

#[actix_web::test]
async fn the_style_sheet_is_answered_once_and_then_not_modified() {
    let db = databases().await.remove(0);
    let site = site(&db, URL).await;
    let mut browser = site.browser();
    let first = browser.open("/static/style.css?v=x").await;
    assert!(
        first.body.contains("prefers-color-scheme") && first.header("content-type").starts_with("text/css")
    );
    let again = TestRequest::get()
        .uri("/static/style.css")
        .insert_header((header::IF_NONE_MATCH, first.header("etag").to_owned()));
    let again = browser.send(again).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}
