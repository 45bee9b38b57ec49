//! The authorization server over HTTP. Here: what it publishes, and what bearers of its tokens are told. `minting`: how
//! a client gets one.

mod minting;

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderMap};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::routes;
use crate::admin::clients::ClientChange;
use crate::http::extract::{Caller, Segments};
use crate::http::problem::Problem;
use crate::issuer::Algorithm;
use crate::issuer::testing::{Authority, URL, service, text};
use crate::model::client::ClientId;
use crate::model::scope::Scope;
use crate::model::secret::Secret;
use crate::store::testing::{TestDatabase, databases};

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }

    fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

async fn call(authority: &Authority, request: TestRequest) -> Answer {
    let app = App::new()
        .app_data(web::Data::from(authority.issuer.clone()))
        .app_data(web::Data::from(authority.bearers.clone()))
        .configure(routes)
        .route("/admin", web::get().to(admin))
        .route("/{app_id}/{connector}", web::get().to(receive));
    let app = init_service(app).await;
    read(call_service(&app, request.to_request()).await).await
}

async fn read(response: ServiceResponse) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body()).await.unwrap();
    Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}

async fn admin(caller: Caller) -> Result<HttpResponse, Problem> {
    caller.superadmin(Scope::AppsRead)?;
    Ok(HttpResponse::NoContent().finish())
}

async fn receive(caller: Caller, path: Segments) -> Result<HttpResponse, Problem> {
    caller.may_receive(&path)?;
    Ok(HttpResponse::NoContent().finish())
}

fn basic(id: &str, secret: &str) -> (&'static str, String) {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    ("authorization", format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret)))))
}

async fn begin(db: &TestDatabase) -> (Authority, ClientId, String) {
    let authority = Authority::begin(db, Algorithm::Es256).await;
    let (id, secret) = authority.client(service("job", "binb:read apps:read", None)).await;
    let secret = text(&secret);
    (authority, id, secret)
}

#[actix_web::test]
async fn metadata_names_what_exists_whatever_the_host_header_says() {
    for db in databases().await {
        let (authority, _, _) = begin(&db).await;
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/laputa",
            "/.well-known/openid-configuration/laputa",
        ] {
            let request = TestRequest::get().uri(path);
            let request = request
                .insert_header(("host", "evil.example"))
                .insert_header(("x-forwarded-host", "evil.example"));
            let answer = call(&authority, request).await;
            assert_eq!(answer.status, 200, "{path} on {}", db.name);
            assert_eq!(answer.body["issuer"], URL);
            assert_eq!(answer.body["token_endpoint"], format!("{URL}/o/token/"));
            let grants = answer.body["grant_types_supported"].as_array().unwrap();
            assert!(grants.contains(&json!("authorization_code")) && !grants.contains(&json!("password")));
            assert!(!answer.body.to_string().contains("evil"));
            for url in ["token_endpoint", "jwks_uri"] {
                let uri = answer.body[url].as_str().unwrap().strip_prefix(URL).unwrap();
                assert_ne!(call(&authority, TestRequest::get().uri(uri)).await.status, 404, "{uri}");
            }
        }
        for path in ["/.well-known/openid-configuration/other", "/.well-known/openid-configuration/"] {
            assert_eq!(
                call(&authority, TestRequest::get().uri(path)).await.code(),
                (404, "not_found"),
                "{path}"
            );
        }
    }
}

#[actix_web::test]
async fn the_key_set_is_public_and_cacheable() {
    for db in databases().await {
        let (authority, _, _) = begin(&db).await;
        let answer = call(&authority, TestRequest::get().uri("/.well-known/jwks.json")).await;
        let members: Vec<_> = answer.body["keys"][0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "{}", db.name);
        assert_eq!(answer.header(header::CACHE_CONTROL), "public, max-age=300");
    }
}

#[actix_web::test]
async fn missing_bad_and_insufficient_bearers_get_their_challenges() {
    for db in databases().await {
        let (authority, id, secret) = begin(&db).await;
        let token = authority.token(&id, &Secret::new(secret), Some("binb:read")).await;
        let get = || TestRequest::get().uri("/admin");
        let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
        let twice = get().append_header(bearer(&token)).append_header(bearer(&token));
        let mut tampered = token.clone();
        tampered.insert(tampered.rfind('.').unwrap() + 1, 'A');
        let table = [
            (get(), 401, "unauthenticated", r#"Bearer realm="jeton""#),
            (get().insert_header(basic("a", "b")), 401, "unauthenticated", r#"Bearer realm="jeton""#),
            (
                get().uri(&format!("/admin?access_token={token}")),
                401,
                "unauthenticated",
                r#"Bearer realm="jeton""#,
            ),
            (
                get().insert_header(("authorization", "Bearer ")),
                401,
                "invalid_token",
                r#"Bearer realm="jeton", error="invalid_token""#,
            ),
            (
                get().insert_header(bearer("nonsense")),
                401,
                "invalid_token",
                r#"Bearer realm="jeton", error="invalid_token""#,
            ),
            (
                get().insert_header(bearer(&tampered)),
                401,
                "invalid_token",
                r#"Bearer realm="jeton", error="invalid_token""#,
            ),
            (twice, 401, "invalid_token", r#"Bearer realm="jeton", error="invalid_token""#),
            (
                get().insert_header(bearer(&token)),
                403,
                "forbidden",
                r#"Bearer realm="jeton", error="insufficient_scope""#,
            ),
        ];
        for (request, status, code, challenge) in table {
            let answer = call(&authority, request).await;
            assert_eq!(answer.code(), (status, code), "{}", db.name);
            let given = answer.header(header::WWW_AUTHENTICATE);
            assert!(given.starts_with(challenge), "{code}: {given}");
            assert_eq!(given == challenge, code != "invalid_token", "{given}");
            assert!(!answer.body.to_string().contains(&token));
        }
        let off = ClientChange { disabled: Some(true), ..ClientChange::default() };
        authority.clients.change(&authority.superadmin().await, &id, off, None).await.unwrap();
        let answer = call(&authority, get().insert_header(bearer(&token))).await;
        assert_eq!(answer.code(), (401, "client_disabled"));
        assert!(answer.header(header::WWW_AUTHENTICATE).contains(r#"error="invalid_token""#));
    }
}

#[actix_web::test]
async fn rights_to_a_location_are_decided_before_its_ids_are_judged() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (id, secret) = authority.client(service("confined", "binb:read", Some(&["acme/*"]))).await;
        let confined = authority.token(&id, &secret, None).await;
        let first = authority.first_token().await;
        let long = "a".repeat(64);
        let get = async |token: Option<&str>, path: &str| {
            let mut request = TestRequest::get().uri(path);
            if let Some(token) = token {
                request = request.insert_header(("authorization", format!("Bearer {token}")));
            }
            let answer = call(&authority, request).await;
            (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned())
        };
        let answers = |status, code: &str| (status, code.to_owned());
        for path in [format!("/{long}/github"), "/o/github".into(), "/acme/-".into(), "/globex/github".into()]
        {
            assert_eq!(get(None, &path).await, answers(401, "unauthenticated"), "{path} on {}", db.name);
            assert_eq!(get(Some(&confined), &path).await, answers(403, "forbidden"), "{path}");
        }
        assert_eq!(get(Some(&first), &format!("/{long}/github")).await, answers(404, "app_not_found"));
        assert_eq!(get(Some(&first), "/acme/-").await, answers(404, "connector_not_found"));
        assert_eq!(get(Some(&confined), "/acme/GitHub").await, answers(204, ""));
    }
}
