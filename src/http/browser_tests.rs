//! What a browser sees of sign-in, invitations and passwords, and what every response carries.

mod links;
mod logs;
mod signing_in;
mod upstream;

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
use super::{account, invitations, login, oauth, page, start};
use crate::identity::testing::{Fixture, PASSWORD, token};
use crate::identity::upstream::Upstreams;
use crate::issuer::testing::issuer;
use crate::issuer::{Algorithm, keys};
use crate::store::testing::{TestDatabase, databases};

const URL: &str = "https://api.example.com";

struct Site {
    app: Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, HttpResponse>>,
    fixture: Fixture,
}

async fn site(db: &TestDatabase, url: &str) -> Site {
    site_with(db, url, |_| Upstreams::none()).await
}

async fn site_with(db: &TestDatabase, url: &str, upstreams: impl FnOnce(&Fixture) -> Upstreams) -> Site {
    let fixture = Fixture::of(db, url);
    let (store, vault, clock, entropy) = (db.store(), db.vault(), db.clock(), db.entropy());
    keys::create_first(store.conn(), &vault, &*clock, &*entropy, Algorithm::Es256).await.unwrap();
    let settings = WebSettings::new(fixture.public_url.clone(), vec![]);
    let nature = trace::Nature { clock: db.clock(), entropy: db.entropy() };
    let app = App::new()
        .app_data(web::Data::new(settings))
        .app_data(web::Data::new(nature))
        .app_data(web::Data::from(Arc::clone(&fixture.people)))
        .app_data(web::Data::from(Arc::clone(&fixture.logins)))
        .app_data(web::Data::from(Arc::clone(&fixture.sessions)))
        .app_data(web::Data::new(issuer(db).await))
        .app_data(web::Data::new(upstreams(&fixture)))
        .configure(page::routes)
        .configure(login::routes)
        .configure(start::routes)
        .configure(invitations::routes)
        .configure(account::routes)
        .configure(oauth::routes)
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
        assert_eq!(replies[4].1.header("allow"), "GET, HEAD, POST");
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
