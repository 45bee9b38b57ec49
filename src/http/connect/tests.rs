//! The pages of connecting an account, as a browser sees them.

use actix_web::body::MessageBody;
use actix_web::cookie::Cookie;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::test::{self, TestRequest};
use actix_web::{App, web};
use serde_json::json;

use super::routes;
use crate::http::layer::trace::Nature;
use crate::http::layer::{prefix, security_headers, trace};
use crate::http::settings::WebSettings;
use crate::identity::upstream::Upstreams;
use crate::model::principal::Membership;
use crate::model::public_url::PublicUrl;
use crate::model::ticket::Ticket;
use crate::outbound::scripted::Step;
use crate::signup::tests::world::{PUBLIC, World, account, revoked, tokens};
use crate::store::testing::databases;

/// The routes as the server mounts them.
macro_rules! served {
    ($world:expr) => {
        test::init_service(
            App::new()
                .app_data(web::Data::new(Upstreams::none()))
                .app_data(web::Data::from($world.signup.clone()))
                .app_data(web::Data::new($world.sessions()))
                .app_data(web::Data::new(WebSettings::new(PublicUrl::parse(PUBLIC).unwrap(), Vec::new())))
                .app_data(web::Data::new(Nature { clock: $world.db.clock(), entropy: $world.db.entropy() }))
                .wrap(from_fn(prefix::strip))
                .wrap(from_fn(trace::follow))
                .wrap(from_fn(security_headers::apply))
                .configure(routes),
        )
        .await
    };
}

struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn location(&self) -> &str {
        self.header(header::LOCATION)
    }

    fn csrf_token(&self) -> String {
        let (_, rest) = self.body.rsplit_once("name=\"csrf_token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the browser that holds the cookie")]
fn request(method: Method, path: &str, cookie: Option<&Ticket>, form: &[(&str, &str)]) -> TestRequest {
    let posts = method == Method::POST;
    let mut request =
        TestRequest::with_uri(path).method(method).insert_header((header::HOST, "127.0.0.1:8080"));
    if let Some(ticket) = cookie {
        request = request.cookie(Cookie::new("jeton_8080", ticket.text().expose_secret().to_owned()));
    }
    if posts { request.set_form(form) } else { request }
}

async fn read<B: MessageBody + 'static>(answer: Result<ServiceResponse<B>, actix_web::Error>) -> Seen {
    let response = match answer {
        Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
    Seen { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// One request, as a browser would send it.
macro_rules! ask {
    ($app:expr, $method:expr, $path:expr, $cookie:expr, $form:expr) => {
        async { read($app.call(request($method, $path, $cookie, $form).to_request()).await).await }
    };
}

async fn world(script: Vec<Step>) -> Vec<(World, Ticket)> {
    let mut worlds = Vec::new();
    for db in databases().await {
        let world = World::new(db, script.clone()).await;
        let cookie = world.person("Ada <b>", None, &[("acme", Membership::Member)]).await.1;
        worlds.push((world, cookie));
    }
    worlds
}

/// The state in an authorization request.
fn state(location: &str) -> String {
    let url = url::Url::parse(location).unwrap();
    url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

#[actix_web::test]
async fn a_person_connects_an_account_with_two_clicks() {
    for (world, ada) in world(vec![tokens("1"), account("u1")]).await {
        let app = served!(world);
        let page = ask!(app, Method::GET, "/acme/connect", Some(&ada), &[]).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("The honest one") && page.body.contains("Not connected"), "{}", page.body);
        assert!(page.body.contains("/acme/honest/signup") && !page.body.contains("/acme/github/signup"));
        let page = ask!(app, Method::GET, "/acme/honest/signup", Some(&ada), &[]).await;
        assert!(page.body.contains("acme Ltd") && page.body.contains("<code>read</code>"), "{}", page.body);
        assert!(page.body.contains("Ada &#60;b&#62;"), "{}", page.body);
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        let origin = world.provider.base.origin().ascii_serialization();
        assert!(policy.contains(&format!("form-action 'self' {origin};")), "{policy}");
        assert!(world.db.texts("SELECT stage FROM signup").await.is_empty());
        let csrf_token = page.csrf_token();
        let fields = [("csrf_token", csrf_token.as_str())];
        let sent = ask!(app, Method::POST, "/acme/honest/signup", Some(&ada), &fields).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER);
        assert!(sent.location().starts_with(&format!("{origin}/honest/authorize?")), "{}", sent.location());
        let back =
            format!("/connect/honest/callback/acme?code=c&extra=1&extra=2&state={}", state(sent.location()));
        let done = ask!(app, Method::GET, &back, Some(&ada), &[]).await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/acme/connect?connected=honest"));
        let page = ask!(app, Method::GET, done.location(), Some(&ada), &[]).await;
        assert!(page.body.contains("The honest one is connected.") && page.body.contains("Connected as u1@"));
        // The notice is looked up, not believed.
        let page = ask!(app, Method::GET, "/acme/connect?connected=github", Some(&ada), &[]).await;
        assert!(!page.body.contains("is connected."), "{}", page.body);
    }
}

#[actix_web::test]
async fn nothing_starts_without_the_form_token_of_this_session() {
    for (world, ada) in world(vec![]).await {
        let app = served!(world);
        let other = world.person("eve", None, &[("acme", Membership::Member)]).await.1;
        let foreign = ask!(app, Method::GET, "/acme/honest/signup", Some(&other), &[]).await.csrf_token();
        for fields in [&[][..], &[("csrf_token", "")], &[("csrf_token", foreign.as_str())]] {
            let refused = ask!(app, Method::POST, "/acme/honest/signup", Some(&ada), fields).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{fields:?}");
        }
        let stranger = ask!(app, Method::GET, "/acme/honest/signup?flow=x", None, &[]).await;
        assert_eq!(stranger.location(), "/login?return_to=%2Facme%2Fhonest%2Fsignup%3Fflow%3Dx");
        assert!(world.db.texts("SELECT stage FROM signup").await.is_empty());
    }
}

#[actix_web::test]
async fn foreign_and_absent_apps_answer_alike() {
    for (world, ada) in world(vec![]).await {
        world.app("globex").await;
        let app = served!(world);
        for page in ["connect", "honest/signup", "nothing/signup"] {
            let mut answers = Vec::new();
            for name in ["globex", "nowhere", "admin", "NO"] {
                let seen = ask!(app, Method::GET, &format!("/{name}/{page}"), Some(&ada), &[]).await;
                let body = seen.body.split("Number of this request").next().unwrap().to_owned();
                answers.push((seen.status, body));
            }
            assert_eq!(answers[0].0, StatusCode::FORBIDDEN, "{page}");
            assert!(answers.iter().all(|one| *one == answers[0]), "{page}");
        }
    }
}

#[actix_web::test]
async fn what_a_provider_says_is_escaped_and_the_code_goes_nowhere() {
    for (world, ada) in world(vec![]).await {
        let app = served!(world);
        let start = async || {
            let page = ask!(app, Method::GET, "/acme/honest/signup", Some(&ada), &[]).await;
            let csrf_token = page.csrf_token();
            let fields = [("csrf_token", csrf_token.as_str())];
            state(ask!(app, Method::POST, "/acme/honest/signup", Some(&ada), &fields).await.location())
        };
        let path = |state: &str, rest: &str| format!("/connect/honest/callback/acme?state={state}&{rest}");
        let script = "error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&error_uri=x";
        let denied = ask!(app, Method::GET, &path(&start().await, script), Some(&ada), &[]).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN);
        assert!(
            denied.body.contains("&#60;script&#62;") && !denied.body.contains("<script"),
            "{}",
            denied.body
        );
        assert!(denied.body.contains("stays as it was") && denied.body.contains("href=\"/acme/connect\""));
        let twice = ask!(app, Method::GET, &path(&start().await, "code=a&code=b"), Some(&ada), &[]).await;
        assert_eq!(twice.status, StatusCode::BAD_REQUEST);
        let used = ask!(app, Method::GET, &path("x", "code=a-canary"), Some(&ada), &[]).await;
        assert_eq!(used.status, StatusCode::BAD_REQUEST);
        assert!(!used.body.contains("a-canary"));
        let signed_out = ask!(app, Method::GET, &path(&start().await, "code=a-canary"), None, &[]).await;
        assert_eq!((signed_out.status, signed_out.location()), (StatusCode::BAD_REQUEST, ""));
        assert_eq!(world.provider.seen().len(), 0);
    }
}

#[actix_web::test]
async fn a_question_is_answered_with_yes_or_no() {
    let script = vec![tokens("1"), account("<u1>"), revoked(), revoked(), tokens("2"), account("u2")];
    for (world, ada) in world(script).await {
        world.app("globex").await;
        world.connector(&world.definition("shared", json!({}))).await;
        world.credentials("shared", None).await;
        let visitor = world.visitor(&ada).await;
        let app = served!(world);
        let id = world.asked(&visitor, "acme", "shared", None).await;
        let path = format!("/connect/confirm?signup={}", id.simple());
        let page = ask!(app, Method::GET, &path, Some(&ada), &[]).await;
        assert!(
            page.body.contains("acme Ltd") && page.body.contains("&#60;u1&#62;@provider"),
            "{}",
            page.body
        );
        let csrf_token = page.csrf_token();
        let unsigned = ask!(app, Method::POST, &path, Some(&ada), &[("decision", "accept")]).await;
        assert_eq!(unsigned.status, StatusCode::FORBIDDEN);
        for (decision, status) in [("", 400), ("maybe", 400), ("cancel", 303), ("accept", 404)] {
            let fields = [("csrf_token", csrf_token.as_str()), ("decision", decision)];
            let seen = ask!(app, Method::POST, &path, Some(&ada), &fields).await;
            assert_eq!(seen.status.as_u16(), status, "{decision}");
        }
        let id = world.asked(&visitor, "acme", "shared", None).await;
        let path = format!("/connect/confirm?signup={}", id.simple());
        let fields = [("csrf_token", csrf_token.as_str()), ("decision", "accept")];
        let seen = ask!(app, Method::POST, &path, Some(&ada), &fields).await;
        assert_eq!(seen.location(), "/acme/connect?connected=shared");
        assert_eq!(world.connections(&visitor, "acme").await.len(), 1);
    }
}

#[actix_web::test]
async fn a_yes_to_what_has_changed_meanwhile_is_told_to_begin_again() {
    let script = vec![tokens("1"), account("u1"), tokens("2"), account("u2"), revoked(), revoked()];
    for (world, ada) in world(script).await {
        let app = served!(world);
        let connect = async |flow: &str| {
            let page = format!("/acme/honest/signup?flow={flow}");
            let token = ask!(app, Method::GET, &page, Some(&ada), &[]).await.csrf_token();
            let form = [("csrf_token", token.as_str())];
            let to_provider = ask!(app, Method::POST, &page, Some(&ada), &form).await;
            let state = state(to_provider.location());
            let back = format!("/connect/honest/callback/acme?code=c&state={state}");
            ask!(app, Method::GET, &back, Some(&ada), &[]).await.location().to_owned()
        };
        connect("two").await;
        let question = connect("default").await;
        let shown = ask!(app, Method::GET, &question, Some(&ada), &[]).await;
        assert!(shown.body.contains("Jobs that name no connection will use this account"), "{}", shown.body);
        // Before Ada says yes, there is a `default` that nobody showed her.
        world.db.sql("UPDATE connection SET flow = 'default'").await;
        let form = [("csrf_token", shown.csrf_token()), ("decision", "accept".to_owned())];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let refused = ask!(app, Method::POST, &question, Some(&ada), &form).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", world.db.name);
        assert!(refused.body.contains("The connection changed meanwhile; connect it again."));
        let mut given_back = world.revocations();
        given_back.sort();
        assert_eq!(given_back, ["at-2", "rt-2"]);
    }
}

#[actix_web::test]
async fn a_flow_that_starts_at_the_provider_becomes_one_of_ours() {
    for (world, ada) in world(vec![]).await {
        world.app("globex").await;
        world.connector(&world.definition("phones", json!({"starts_at_provider": true}))).await;
        world.credentials("phones", None).await;
        let app = served!(world);
        let install = "/connect/phones/install?code=canary&state=theirs&code=twice";
        let stranger = ask!(app, Method::GET, install, None, &[]).await;
        assert_eq!(stranger.location(), "/login?return_to=%2Fconnect%2Fphones%2Finstall");
        let page = ask!(app, Method::GET, install, Some(&ada), &[]).await;
        assert!(page.body.contains("value=\"acme\"") && !page.body.contains("globex"), "{}", page.body);
        assert!(!page.body.contains("canary"));
        let csrf_token = page.csrf_token();
        let choose = async |name: &str| {
            let fields = [("csrf_token", csrf_token.as_str()), ("app_id", name)];
            ask!(app, Method::POST, install, Some(&ada), &fields).await
        };
        assert_eq!(choose("globex").await.status, StatusCode::FORBIDDEN);
        let sent = choose("acme").await;
        assert!(sent.location().contains("/phones/authorize?"), "{}", sent.location());
        assert_ne!(state(sent.location()), "theirs");
        let other = ask!(app, Method::GET, "/connect/honest/install", Some(&ada), &[]).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND);
    }
}

#[actix_web::test]
async fn variables_are_asked_on_the_page_and_errors_stand_beside_them() {
    for (world, ada) in world(vec![]).await {
        let base = world.provider.base.as_str().trim_end_matches('/');
        let tenants = json!({
            "authorization_url": format!("{base}/{{tenant}}/authorize"), "url_variables": {"tenant": "^[a-z]+$"},
        });
        world.connector(&world.definition("tenants", tenants)).await;
        world.credentials("tenants", Some("acme")).await;
        let app = served!(world);
        let path = "/acme/tenants/signup?flow=emea&return_to=/x%3Fa%3Db";
        let page = ask!(app, Method::GET, path, Some(&ada), &[]).await;
        assert!(
            page.body.contains("name=\"var.tenant\"") && page.body.contains("<code>emea</code>"),
            "{}",
            page.body
        );
        assert!(
            page.body.contains("action=\"/acme/tenants/signup?flow=emea&#38;return_to=%2Fx%3Fa%3Db\""),
            "{}",
            page.body
        );
        let csrf_token = page.csrf_token();
        let send = async |value: &str| {
            let fields = [("csrf_token", csrf_token.as_str()), ("var.tenant", value)];
            ask!(app, Method::POST, path, Some(&ada), &fields).await
        };
        let wrong = send("NO\"><b>").await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
        assert!(
            wrong.body.contains("aria-invalid") && wrong.body.contains("NO&#34;&#62;&#60;b&#62;"),
            "{}",
            wrong.body
        );
        assert!(send("north").await.location().contains("/north/authorize?"));
        for bad in ["flow=a/b", "flow=a&auth_flow_id=b", "flow=a&flow=b", "return_to=//evil", "what=1"] {
            let seen = ask!(app, Method::GET, &format!("/acme/honest/signup?{bad}"), Some(&ada), &[]).await;
            assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
