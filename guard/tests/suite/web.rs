//! What does an actix-web service that uses the extractors answer, over HTTP?

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use actix_web::{App, HttpServer, web};
use jeton_guard::actix::{Bearer, Clock, MaybeForwarded, Scope};
use jeton_guard::{Forwarded, GivenKeys, Guard, KeySource, OidcProxyScheme, RemoteKeys};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use rstest::rstest;
use serde_json::{Value, json};

use crate::oidc_proxy::{id_token, told};
use crate::support::{Draft, ED, ES, ISSUER, NOW, RS, builder, draft, jwks, key_set};
use crate::tampered::tampered;

struct AppsRead;
impl Scope for AppsRead {
    const SCOPE: &'static str = "apps:read";
}

struct Both;
impl Scope for Both {
    const SCOPE: &'static str = "apps:read apps:write";
}

/// Keys that nobody ever gave.
fn unreachable() -> KeySource {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    RemoteKeys::jwks(&format!("http://127.0.0.1:{port}/jwks")).unwrap().into()
}

fn keys() -> KeySource {
    GivenKeys::new(key_set(&[&ES, &RS, &ED])).into()
}

fn guard() -> Guard {
    builder(&[&ES, &RS, &ED]).build().unwrap()
}

/// Behind a proxy on 127.0.0.2.
fn scheme(keys: KeySource, auto_error: bool) -> OidcProxyScheme {
    let scheme = OidcProxyScheme::builder(ISSUER, ISSUER).keys(keys).client_id("shop").auto_error(auto_error);
    scheme.trusted_proxies(["127.0.0.2"]).scheme_name("sso").build().unwrap()
}

/// Its address; it ends with the runtime of the test.
fn serve(guard: Option<Guard>, scheme: OidcProxyScheme) -> String {
    let server = HttpServer::new(move || {
        let app = App::new()
            .app_data(Clock::new(|| NOW))
            .app_data(web::Data::new(scheme.clone()))
            .route("/any", web::get().to(async |caller: Bearer| caller.subject.clone()))
            .route("/read", web::get().to(async |caller: Bearer<AppsRead>| caller.subject.clone()))
            .route("/both", web::get().to(async |caller: Bearer<Both>| caller.subject.clone()))
            .route("/locations", web::get().to(locations))
            .route("/person", web::get().to(async |person: Forwarded| describe(Some(&person))))
            .route("/perhaps", web::get().to(async |person: MaybeForwarded| describe(person.0.as_ref())));
        if let Some(guard) = guard.clone() { app.app_data(web::Data::new(guard)) } else { app }
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    url
}

/// A guard for the whole service and another for a part of it, given so.
fn serve_parts(
    outer: fn(Guard, &mut web::ServiceConfig),
    inner: fn(Guard, &mut web::ServiceConfig),
) -> String {
    let server = HttpServer::new(move || {
        let who = || web::get().to(async |caller: Bearer| caller.subject.clone());
        // The part is another resource server: tokens for the whole are none for it.
        let part = Guard::builder(ISSUER).audience("https://part.example.com").keys(keys()).build().unwrap();
        let scope = web::scope("/part").configure(|config| inner(part, config)).route("/any", who());
        App::new()
            .app_data(Clock::new(|| NOW))
            .configure(|config| outer(guard(), config))
            .service(scope)
            .route("/any", who())
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    url
}

#[actix_web::test]
async fn no_outer_guard_lets_in_whom_the_inner_one_would_not() {
    type Give = fn(Guard, &mut web::ServiceConfig);
    let shared: Give = |guard, config| {
        config.app_data(web::Data::new(guard));
    };
    let bare: Give = |guard, config| {
        config.app_data(guard);
    };
    let token = bearer(&draft().sign(&ES));
    for (outer, inner, expected) in [
        (shared, shared, StatusCode::UNAUTHORIZED),
        (bare, bare, StatusCode::UNAUTHORIZED),
        (shared, bare, StatusCode::INTERNAL_SERVER_ERROR),
        (bare, shared, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let service = serve_parts(outer, inner);
        for (path, expected) in [("any", StatusCode::OK), ("part/any", expected)] {
            let answer = get(DIRECT, &format!("{service}/{path}"), &[("authorization", &token)]).await;
            assert_eq!(answer.status, expected, "{path}");
        }
    }
}

async fn locations(caller: Bearer) -> web::Json<Value> {
    web::Json(json!(caller.binb_locations()))
}

fn describe(person: Option<&Forwarded>) -> String {
    let Some(person) = person else { return "nobody".to_owned() };
    let name = person.claims.extra.get("preferred_username").and_then(Value::as_str);
    let tokens =
        [&person.id_token, &person.refresh_token].map(|token| if token.is_some() { "+" } else { "-" });
    format!("{} {} {}", person.claims.subject, name.unwrap_or("?"), tokens.concat())
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, challenge, `code` and `action`.
    fn refusal(&self) -> (u16, &str, String, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(body["status"], self.status.as_u16());
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (self.status.as_u16(), self.header("www-authenticate"), text("code"), text("action"))
    }
}

/// From this address of this machine.
#[expect(clippy::disallowed_methods, reason = "a client of its own in a test")]
async fn get(from: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    let client = reqwest::Client::builder().local_address(Some(from.parse().unwrap())).no_proxy();
    let mut request = client.build().unwrap().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.text().await.unwrap() }
}

const DIRECT: &str = "127.0.0.1";
const PROXY: &str = "127.0.0.2";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[actix_web::test]
async fn a_handler_is_called_with_the_scope_it_names_and_not_without() {
    let url = serve(Some(guard()), scheme(keys(), true));
    let good = bearer(&draft().sign(&ES));
    for path in ["any", "read"] {
        let answer = get(DIRECT, &format!("{url}/{path}"), &[("authorization", &good)]).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "pipeline"));
    }
    let narrow = get(DIRECT, &format!("{url}/both"), &[("authorization", &good)]).await;
    let challenge =
        format!(r#"Bearer realm="{ISSUER}", error="insufficient_scope", scope="apps:read apps:write""#);
    assert_eq!(narrow.refusal(), (403, &*challenge, "forbidden".to_owned(), "request_access".to_owned()));
    let wide = bearer(&draft().claim("scope", "apps:write x apps:read").sign(&ES));
    assert_eq!(get(DIRECT, &format!("{url}/both"), &[("authorization", &wide)]).await.status, StatusCode::OK);
}

#[actix_web::test]
async fn the_confinement_of_a_token_is_at_hand() {
    let url = serve(Some(guard()), scheme(keys(), true));
    let details = json!([{"type": "binb_token", "locations": ["acme/github"]}]);
    let confined = bearer(&draft().claim("authorization_details", details).sign(&ES));
    let answer = get(DIRECT, &format!("{url}/locations"), &[("authorization", &confined)]).await;
    assert_eq!(answer.body, r#"["acme/github"]"#);
}

#[rstest]
#[case::nothing(&[], "")]
#[case::in_the_query(&[], "?access_token=GOOD")]
#[case::another_scheme(&[("authorization", "Basic YTpi")], "")]
#[case::another_header(&[("x-access-token", "GOOD")], "")]
#[actix_web::test]
async fn a_request_without_bearer_token_is_told_no_error(
    #[case] headers: &[(&str, &str)],
    #[case] query: &str,
) {
    let url = serve(Some(guard()), scheme(keys(), true));
    let good = draft().sign(&ES);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.replace("GOOD", &good))).collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
    let answer = get(DIRECT, &format!("{url}/any{}", query.replace("GOOD", &good)), &headers).await;
    let challenge = format!(r#"Bearer realm="{ISSUER}""#);
    assert_eq!(
        answer.refusal(),
        (401, &*challenge, "unauthenticated".to_owned(), "request_access".to_owned())
    );
}

#[actix_web::test]
async fn a_doubled_or_broken_header_is_refused() {
    let url = serve(Some(guard()), scheme(keys(), true));
    let good = bearer(&draft().sign(&ES));
    for headers in [
        &[("authorization", &*good), ("authorization", &*good)][..],
        &[("authorization", "Basic YTpi"), ("authorization", &*good)],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer a b")],
    ] {
        let answer = get(DIRECT, &format!("{url}/any"), headers).await;
        let (status, challenge, code, _) = answer.refusal();
        assert_eq!((status, &*code), (401, "invalid_token"));
        assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    }
}

#[actix_web::test]
async fn tampered_tokens_get_past_neither_the_guard_nor_the_scheme() {
    let url = serve(Some(guard()), scheme(keys(), true));
    let nobody = serve(Some(guard()), scheme(keys(), false));
    let all = tampered();
    assert!(all.len() >= 30);
    // Behind `Bearer` there may be several spaces.
    for (name, _, token) in all.into_iter().filter(|(name, ..)| *name != "space_before") {
        let header = bearer(&token);
        let headers = [("authorization", &*header)];
        let answer = get(DIRECT, &format!("{url}/any"), &headers).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
        // Foreign issuers give their access tokens no type.
        if ["plain_jwt", "no_type"].contains(&name) {
            continue;
        }
        let answer = get(PROXY, &format!("{url}/person"), &headers).await;
        let (status, challenge, _, _) = answer.refusal();
        assert_eq!(status, 401, "{name}");
        assert!(challenge.starts_with(r#"Bearer realm="sso""#), "{challenge}");
        let tail = &token[token.len().saturating_sub(20)..];
        assert!(tail.is_empty() || !answer.body.contains(tail), "{name}: the answer repeats the token");
        let answer = get(PROXY, &format!("{nobody}/perhaps"), &headers).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "nobody"), "{name}");
    }
}

/// An issuer whose key is `ES`, and how often it was asked.
fn issuer() -> (KeySource, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = web::Data::from(Arc::clone(&asked));
    let server = HttpServer::new(move || {
        let keys = async |asked: web::Data<AtomicUsize>| {
            asked.fetch_add(1, Ordering::SeqCst);
            jwks(&[&ES])
        };
        App::new().app_data(counter.clone()).route("/jwks", web::get().to(keys))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/jwks", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    (RemoteKeys::jwks(&url).unwrap().into(), asked)
}

#[actix_web::test]
async fn a_thousand_requests_with_random_key_ids_cost_the_issuer_one_fetch_more() {
    let (keys, asked) = issuer();
    let guard = Guard::builder(ISSUER).audience(ISSUER).keys(keys).build().unwrap();
    let past = Arc::new(AtomicI64::new(0));
    let clock = Clock::new({
        let past = Arc::clone(&past);
        move || NOW + time::Duration::seconds(past.load(Ordering::SeqCst))
    });
    let app = App::new().app_data(clock).app_data(guard);
    let app = actix_web::test::init_service(
        app.route("/", web::get().to(async |caller: Bearer| caller.subject.clone())),
    );
    let app = app.await;
    let call = async |token: String| {
        let request = actix_web::test::TestRequest::get().insert_header(("authorization", bearer(&token)));
        let answer = actix_web::test::try_call_service(&app, request.to_request()).await;
        answer.map_or_else(|refused| refused.as_response_error().status_code(), |answer| answer.status())
    };
    assert_eq!(call(draft().sign(&ES)).await, StatusCode::OK.as_u16());
    past.store(30, Ordering::SeqCst);
    for number in 0..1_000 {
        let status = call(draft().header("kid", format!("random-{number}")).sign(&ES)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED.as_u16());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(call(draft().claim("jti", "fresh").sign(&ES)).await, StatusCode::OK.as_u16());
}

fn person() -> Draft {
    draft().claim("sub", "ada")
}

#[actix_web::test]
async fn what_comes_through_the_proxy_passes_and_what_comes_past_it_does_not() {
    let url = serve(None, scheme(keys(), true));
    let (access, id) = (bearer(&person().sign(&ES)), id_token().sign(&ES));
    let all = [("authorization", &*access), ("x-id-token", &*id), ("x-refresh-token", "r-1")];
    for path in ["person", "perhaps"] {
        let through = get(PROXY, &format!("{url}/{path}"), &all).await;
        assert_eq!((through.status, &*through.body), (StatusCode::OK, "ada Ada ++"));
        let spoofed = [&all[..], &[("x-forwarded-for", PROXY), ("forwarded", "for=127.0.0.2")]].concat();
        let past = get(DIRECT, &format!("{url}/{path}"), &spoofed).await;
        assert_eq!(past.refusal().0, 401);
        assert_eq!(past.header("www-authenticate"), r#"Bearer realm="sso""#);
    }
    let userinfo = told(&json!({"sub": "ada", "preferred_username": "Root"}));
    let apisix = [("authorization", &*access), ("x-id-token", &*userinfo), ("x-userinfo", &*userinfo)];
    let apisix = get(PROXY, &format!("{url}/person"), &apisix).await;
    assert_eq!((apisix.status, &*apisix.body), (StatusCode::OK, "ada ? --"));
}

#[actix_web::test]
async fn headers_sent_twice_over_http_are_refused() {
    let url = serve(None, scheme(keys(), true));
    let (access, id) = (bearer(&person().sign(&ES)), id_token().sign(&ES));
    let userinfo = told(&json!({"sub": "ada"}));
    let all = [
        ("authorization", &*access),
        ("x-id-token", &*id),
        ("x-refresh-token", "r-1"),
        ("x-userinfo", &*userinfo),
    ];
    assert_eq!(get(PROXY, &format!("{url}/person"), &all).await.status, StatusCode::OK);
    for twice in all {
        let answer = get(PROXY, &format!("{url}/person"), &[&all[..], &[twice]].concat()).await;
        let (status, challenge, code, _) = answer.refusal();
        assert_eq!((status, &*code), (401, "invalid_token"), "{}", twice.0);
        assert!(challenge.to_lowercase().contains(twice.0), "{challenge}");
    }
}

#[actix_web::test]
async fn an_issuer_that_was_never_reached_is_503_and_never_401() {
    let guard = Guard::builder(ISSUER).audience(ISSUER).keys(unreachable()).build().unwrap();
    let token = bearer(&draft().sign(&ES));
    for auto_error in [true, false] {
        let url = serve(Some(guard.clone()), scheme(unreachable(), auto_error));
        for path in ["any", "read", "person", "perhaps"] {
            let answer = get(PROXY, &format!("{url}/{path}"), &[("authorization", &token)]).await;
            assert_eq!(
                answer.refusal(),
                (503, "", "keys_unavailable".to_owned(), "retry".to_owned()),
                "{path}"
            );
            assert_eq!(answer.header("retry-after"), "5");
        }
    }
}

#[actix_web::test]
async fn without_a_guard_nobody_gets_in() {
    let url = serve(None, scheme(keys(), true));
    let answer = get(DIRECT, &format!("{url}/any"), &[("authorization", &bearer(&draft().sign(&ES)))]).await;
    assert_eq!(answer.refusal(), (500, "", "internal".to_owned(), "retry".to_owned()));
}

#[actix_web::test]
async fn a_scheme_that_was_told_nothing_more_refuses_and_reads_the_usual_headers() {
    let bare = || OidcProxyScheme::builder(ISSUER, ISSUER).keys(keys());
    let behind = serve(None, bare().trusted_proxies([PROXY]).build().unwrap());
    let anybody = serve(None, bare().any_verified().build().unwrap());
    let (access, bad) = (bearer(&person().sign(&ES)), bearer(&person().claim("aud", "shop").sign(&ES)));
    for path in ["person", "perhaps"] {
        let (behind, anybody) = (format!("{behind}/{path}"), format!("{anybody}/{path}"));
        for (from, url, authorization) in [
            (PROXY, &behind, None),
            (PROXY, &behind, Some(&bad)),
            (DIRECT, &behind, Some(&access)),
            (DIRECT, &anybody, None),
            (DIRECT, &anybody, Some(&bad)),
        ] {
            let headers: Vec<_> =
                authorization.iter().map(|token| ("authorization", token.as_str())).collect();
            let refused = get(from, url, &headers).await;
            assert_eq!(refused.refusal().0, 401, "{url} {authorization:?}");
            assert_eq!(
                refused.header("www-authenticate").split(',').next(),
                Some(r#"Bearer realm="OidcProxyScheme""#)
            );
        }
        let all = [("authorization", &*access), ("x-refresh-token", "r-1")];
        let through = get(PROXY, &behind, &all).await;
        assert_eq!((through.status, &*through.body), (StatusCode::OK, "ada ? -+"));
        // Whoever brings it is that person, and nothing else of what is sent counts.
        let id = id_token().sign(&ES);
        for from in [DIRECT, PROXY] {
            let answer = get(from, &anybody, &[&all[..], &[("x-id-token", &id)]].concat()).await;
            assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "ada ? --"));
        }
        let id = bearer(&id_token().sign(&ES));
        assert_eq!(get(DIRECT, &anybody, &[("authorization", &id)]).await.refusal().0, 401);
    }
}
