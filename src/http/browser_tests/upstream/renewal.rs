//! When did somebody sign in at the provider, and what if a client wants them to do it again?

use super::forwarded::{bearer, behind};
use super::*;
use crate::admin::clients::NewClient;
use crate::issuer::testing::{clients, service, text};
use crate::model::client::{ClientId, ClientKind};
use crate::model::uri::RedirectUri;

const BACK: &str = "https://shop.example/back";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client that sends people here.
struct Shop {
    id: ClientId,
    secret: String,
}

impl Shop {
    async fn new(db: &TestDatabase, world: &World) -> Self {
        let root = world.site.fixture.superadmin().await;
        let new = NewClient {
            kind: ClientKind::Provider,
            redirect_uris: Some(vec![RedirectUri::try_from(BACK.to_owned()).unwrap()]),
            role: None,
            ..service("Shop", "openid", None)
        };
        let made = clients(db, Default::default()).create(&root, new).await.unwrap();
        Self { id: made.client.client_id, secret: text(&made.secret.unwrap().secret) }
    }

    fn request(&self, more: &str) -> String {
        format!(
            "/o/authorize/?client_id={}&redirect_uri=https%3A%2F%2Fshop.example%2Fback&response_type=code&scope=openid\
             &code_challenge={CHALLENGE}&code_challenge_method=S256{more}",
            self.id
        )
    }

    /// `auth_time` of the ID token for this code.
    async fn auth_time(&self, browser: &mut Browser<'_>, code: &str) -> Option<i64> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
            ("client_id", &self.id.to_string()),
            ("client_secret", &self.secret),
        ];
        let answer = browser.post("/o/token/", &fields).await;
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        let id_token = answer["id_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let payload = provider::decode(id_token.split('.').nth(1).unwrap());
        serde_json::from_slice::<Value>(&payload).unwrap()["auth_time"].as_i64()
    }
}

impl Reply {
    fn hidden(&self, name: &str) -> String {
        let (_, rest) = self.body.split_once(&format!("name=\"{name}\" value=\"")).expect(&self.body);
        rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
    }

    /// What the client is told.
    fn parameter(&self, name: &str) -> String {
        let to = self.header("location");
        assert!(to.starts_with(BACK), "{to} {}", self.body);
        Asked(Url::parse(to).unwrap()).get(name)
    }
}

impl Browser<'_> {
    /// Says yes to the client on this page; the code.
    async fn accept(&mut self, page: &Reply, headers: &[(&str, String)]) -> String {
        let [token, query, shown] = ["csrf_token", "query", "shown"].map(|name| page.hidden(name));
        let form = [("csrf_token", token), ("query", query), ("shown", shown), ("decision", "accept".into())];
        let mut request = TestRequest::post().uri("/o/authorize/").set_form(form);
        for (name, value) in headers {
            request = request.append_header((*name, value.as_str()));
        }
        self.send(request).await.parameter("code")
    }
}

/// Access token and ID token, which has these claims too.
fn tokens(world: &World, changes: Value) -> Vec<(&'static str, String)> {
    let mut claims = world.told(&json!({"aud": "the-proxy"}));
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let mut headers = bearer(&world.token(&json!({})));
    headers.push(("x-id-token", world.provider.key.sign(&claims)));
    headers
}

#[actix_web::test]
async fn whoever_comes_through_a_proxy_signed_in_when_the_provider_says() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("acme").await;
        let shop = Shop::new(&db, &world).await;
        let (now, url) = (world.now, shop.request("&prompt=consent"));
        let access = |at: i64| bearer(&world.token(&json!({"auth_time": at})));
        for (headers, told, what) in [
            (tokens(&world, json!({"auth_time": now - 900})), Some(now - 900), "of the ID token"),
            (access(now - 800), Some(now - 800), "of the access token (RFC 9068 §2.2.1)"),
            (bearer(&world.token(&json!({}))), None, "not told"),
            (tokens(&world, json!({"auth_time": now + 20, "iat": now + 25})), Some(now), "a clock ahead"),
            (tokens(&world, json!({"auth_time": now + 1})), None, "later than the token"),
            (tokens(&world, json!({"auth_time": "x"})), None, "no number"),
        ] {
            let mut browser = world.at_proxy();
            let page = browser.arrive(&url, &headers).await;
            assert!(page.body.contains("name=\"shown\""), "{what}: {}", page.body);
            let code = browser.accept(&page, &headers).await;
            let says = shop.auth_time(&mut browser, &code).await;
            // Where our own time bounds it, it has gone on.
            let fits = says.zip(told).is_some_and(|(says, told)| (told..told + 15).contains(&says));
            assert!(fits || says == told, "{what}: {says:?} {}", db.name);
        }
    }
}

#[actix_web::test]
async fn a_newer_sign_in_is_not_taken_for_granted_behind_a_proxy() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("acme").await;
        let shop = Shop::new(&db, &world).await;
        let headers = tokens(&world, json!({"auth_time": world.now - 900}));
        let mut browser = world.at_proxy();
        let page = browser.arrive(&shop.request(""), &headers).await;
        browser.accept(&page, &headers).await;
        let silent = |more: &str| shop.request(&format!("&prompt=none{more}"));
        assert!(!browser.carry(&silent("&max_age=1000"), &headers).await.parameter("code").is_empty());
        let old = browser.carry(&silent("&max_age=600"), &headers).await;
        assert_eq!(old.parameter("error"), "login_required", "{}", db.name);
        for more in ["&max_age=600", "&prompt=login", "&max_age=0"] {
            for mut browser in
                [world.at_proxy(), Browser { cookies: browser.cookies.clone(), ..world.at_proxy() }]
            {
                let page = browser.arrive(&shop.request(more), &headers).await;
                assert!(page.body.contains("action=\"/login/oidc\""), "{more}: {}", page.body);
            }
        }
        // The proxy has asked the person again meanwhile.
        let newer = tokens(&world, json!({"auth_time": world.now - 60}));
        assert!(!browser.carry(&silent("&max_age=600"), &newer).await.parameter("code").is_empty());
        // Nobody knows when.
        let bare = bearer(&world.token(&json!({"jti": "another"})));
        let mut browser = world.at_proxy();
        browser.arrive("/", &bare).await;
        let unknown = browser.carry(&silent("&max_age=99999"), &bare).await;
        assert_eq!(unknown.parameter("error"), "login_required");
    }
}

#[actix_web::test]
async fn a_new_sign_in_is_asked_of_the_provider_and_believed_by_auth_time_alone() {
    for db in databases().await {
        let world = world(&db).await;
        world.site.fixture.app("acme").await;
        let shop = Shop::new(&db, &world).await;
        for signed_in in [false, true] {
            for (more, max_age, prompt) in [
                ("&prompt=login", "0", "login"),
                ("&prompt=login&max_age=600", "0", "login"),
                ("&max_age=600", "600", ""),
                ("&max_age=0", "0", ""),
            ] {
                let mut browser = world.browser();
                let said = |at: Option<i64>| match at {
                    Some(at) => json!({"groups": "acme", "auth_time": at}),
                    None => json!({"groups": "acme"}),
                };
                if signed_in {
                    world.go(&mut browser, "/", said(Some(world.now - 5_000))).await.leads_to("/");
                }
                let oldest = world.now - max_age.parse::<i64>().unwrap();
                for (at, good) in [(None, false), (Some(oldest - 40), false), (Some(world.now - 5), true)] {
                    let page = browser.open(&shop.request(more)).await;
                    let fields = [("csrf_token", page.form_token()), ("return_to", page.hidden("return_to"))];
                    let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
                    let sent = browser.post("/login/oidc", &fields).await;
                    let asked = Asked(Url::parse(sent.header("location")).unwrap());
                    assert_eq!(
                        (asked.get("max_age").as_str(), asked.get("prompt").as_str()),
                        (max_age, prompt)
                    );
                    world.provider.id_token(&world.provider.key.sign(&world.claims(&asked, &said(at))));
                    let back = browser.open(&asked.back("")).await;
                    let what = format!("{more} {at:?} {signed_in} {}: {}", db.name, back.body);
                    if !good {
                        assert_eq!(back.status, StatusCode::FORBIDDEN, "{what}");
                        assert!(back.body.contains("sign in anew"), "{what}");
                        continue;
                    }
                    let to = back.header("location").to_owned();
                    assert!(to.starts_with("/o/authorize/?"), "{what}");
                    let page = browser.open(&to).await;
                    let code = match page.header("location") {
                        "" => browser.accept(&page, &[]).await,
                        _ => page.parameter("code"),
                    };
                    let told = shop.auth_time(&mut browser, &code).await.unwrap();
                    assert!(told >= world.now - 6, "{what}");
                }
            }
        }
        // Without such a wish nothing of it is asked for, and who is signed in links.
        let asked = world.leave(&mut world.browser(), "/").await;
        assert_eq!((asked.get("max_age"), asked.get("prompt")), (String::new(), String::new()));
    }
}

/// There it stands encoded in the address of the sign-in page.
#[actix_web::test]
async fn a_request_too_long_for_the_sign_in_at_the_proxy_is_refused_at_once() {
    for db in databases().await {
        let world = behind(&db, None).await;
        let shop = Shop::new(&db, &world).await;
        world.site.fixture.app("acme").await;
        let headers = bearer(&world.token(&json!({})));
        let request = |letters: usize| shop.request(&format!("&state={}", "%C3%A9".repeat(letters)));
        let told = world.at_proxy().carry(&request(900), &headers).await;
        assert_eq!(told.parameter("error"), "invalid_request", "{}", db.name);
        let page = world.at_proxy().arrive(&request(600), &headers).await;
        assert!(page.body.contains("Let Shop in?"), "{}", page.body);
        assert_eq!(world.at_proxy().carry(&request(900), &[]).await.status, StatusCode::OK);
    }
}
