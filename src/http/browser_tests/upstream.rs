//! Who comes in through the upstream provider, as whom, and what is refused?

mod at_proxy;
mod forwarded;
mod hostile;
mod provider;
mod renewal;
mod rights;

use serde_json::{Value, json};
use url::Url;

use self::provider::{ACCESS_TOKEN, Asked, CLIENT_SECRET, CODE, Provider, half_hash};
use super::*;
use crate::identity::people::Link;

/// A browser, the site behind it, and a provider.
struct World {
    site: Site,
    provider: Provider,
    now: i64,
}

async fn world(db: &TestDatabase) -> World {
    let provider = Provider::start().await;
    let site = site_with(db, URL, |fixture| provider.upstreams(fixture)).await;
    World { site, provider, now: db.clock().now().unix_timestamp() }
}

impl World {
    fn browser(&self) -> Browser<'_> {
        self.site.browser()
    }

    /// A good ID token for a request, with these claims changed.
    fn claims(&self, asked: &Asked, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": self.provider.issuer(), "sub": "s-1", "aud": "jeton", "nonce": asked.get("nonce"),
            "iat": self.now, "exp": self.now + 300, "email": "eve@example.com", "groups": [],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    /// From the sign-in page, or the start page, to the provider.
    async fn leave(&self, browser: &mut Browser<'_>, return_to: &str) -> Asked {
        let from = if browser.session().is_some() { "/" } else { "/login" };
        let token = browser.open(from).await.form_token();
        let fields = [("csrf_token", token.as_str()), ("return_to", return_to)];
        let sent = browser.post("/login/oidc", &fields).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        Asked(Url::parse(sent.header("location")).unwrap())
    }

    /// There and back, where the provider says this.
    async fn go(&self, browser: &mut Browser<'_>, return_to: &str, said: Value) -> Reply {
        let asked = self.leave(browser, return_to).await;
        self.provider.id_token(&self.provider.key.sign(&self.claims(&asked, &said)));
        browser.open(&asked.back("")).await
    }

    fn invitation(link: &Link) -> String {
        format!("/invitations/{}", token(link))
    }
}

#[actix_web::test]
async fn the_sign_in_page_leads_to_the_provider_with_pkce_nonce_and_the_exact_redirect_uri() {
    for db in databases().await {
        let world = world(&db).await;
        let mut browser = world.browser();
        let page = browser.open("/login?return_to=/acme/connect").await;
        assert!(page.body.contains("Sign in with 127.0.0.1:") && page.body.contains("Or with a password"));
        let policy = page.header("content-security-policy");
        assert!(policy.contains(&format!("form-action 'self' {};", world.provider.issuer())), "{policy}");
        assert!(
            world.provider.seen("/.well-known/openid-configuration").is_empty(),
            "asked only when needed"
        );
        let asked = world.leave(&mut browser, "/").await;
        assert!(asked.0.as_str().starts_with(&format!("{}/authorize?tenant=x&", world.provider.issuer())));
        assert_eq!(asked.get("response_type"), "code");
        assert_eq!(asked.get("client_id"), "jeton");
        assert_eq!(asked.get("redirect_uri"), "https://api.example.com/login/oidc/callback");
        assert_eq!(asked.get("scope"), "openid email groups", "what is listed, and what the claim is called");
        assert_eq!(asked.get("code_challenge_method"), "S256");
        let again = world.leave(&mut browser, "/").await;
        for name in ["state", "nonce", "code_challenge"] {
            assert!(asked.get(name).len() >= 43 && asked.get(name) != again.get(name), "{name}");
        }
        assert_eq!(world.provider.seen("/.well-known/openid-configuration").len(), 1, "{}", db.name);
        db.clock.advance(time::Duration::minutes(61));
        world.leave(&mut world.browser(), "/").await;
        assert_eq!(world.provider.seen("/.well-known/openid-configuration").len(), 2, "an hour later");
    }
}

#[actix_web::test]
async fn the_code_is_swapped_once_with_its_verifier_and_the_session_is_like_any_other() {
    for db in databases().await {
        let world = world(&db).await;
        world.site.fixture.app("acme").await;
        let mut browser = world.browser();
        let asked = world.leave(&mut browser, "/acme/connect?flow=a").await;
        let said = json!({"groups": "acme", "at_hash": half_hash(ACCESS_TOKEN), "azp": "jeton"});
        world.provider.id_token(&world.provider.key.sign(&world.claims(&asked, &said)));
        let back = browser.open(&asked.back("")).await;
        back.leads_to("/acme/connect?flow=a");
        let cookie = back.set_cookie().join("");
        assert!(cookie.contains("__Host-jeton=") && cookie.contains("__Host-jeton-known="), "{cookie}");
        let sent = world.provider.seen("/token").remove(0);
        let form: BTreeMap<String, String> = serde_urlencoded::from_str(&sent.body).unwrap();
        assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", CODE));
        assert_eq!(form["redirect_uri"], "https://api.example.com/login/oidc/callback");
        let challenge =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
        assert_eq!(provider::encode(challenge.as_ref()), asked.get("code_challenge"));
        // Both parts form-urlencoded (RFC 6749 §2.3.1), and the secret nowhere else.
        assert_eq!(sent.header("authorization").unwrap(), "Basic amV0b246Y2FuYXJ5JTNBc2VjcmV0KyVDMyVBOQ==");
        assert!(!sent.body.contains("secret") && !form.contains_key("client_id"));
        assert!(browser.open("/").await.body.contains("ACME"));
        assert_eq!(db.count("upstream_login").await, 0, "{}", db.name);
        assert_eq!(db.count("audit_event WHERE action = 'login' AND result = 'ok'").await, 1);
        browser.open(&asked.back("")).await;
        assert_eq!(world.provider.seen("/token").len(), 1, "a replay asks nobody");
    }
}

#[actix_web::test]
async fn a_provider_that_takes_secrets_in_the_form_alone_gets_it_there() {
    let db = databases().await.remove(0);
    let world = world(&db).await;
    world.provider.discovery(|document| {
        document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    });
    world.go(&mut world.browser(), "/", json!({"groups": "boss"})).await.leads_to("/");
    let sent = world.provider.seen("/token").remove(0);
    let form: BTreeMap<String, String> = serde_urlencoded::from_str(&sent.body).unwrap();
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("jeton", CLIENT_SECRET));
    assert!(sent.header("authorization").is_none());
}

#[actix_web::test]
async fn what_the_id_token_leaves_out_is_asked_of_userinfo_for_the_same_subject_alone() {
    for db in databases().await {
        let world = world(&db).await;
        let at = format!("{}/userinfo", world.provider.issuer());
        world.provider.discovery(|document| document["userinfo_endpoint"] = json!(at));
        let bare = |asked: &Asked| {
            let mut claims = world.claims(asked, &json!({}));
            claims.as_object_mut().unwrap().remove("groups");
            world.provider.key.sign(&claims)
        };
        for (subject, status) in [("s-2", 503), ("s-1", 303)] {
            let mut browser = world.browser();
            let asked = world.leave(&mut browser, "/").await;
            world.provider.id_token(&bare(&asked));
            let more = json!({"sub": subject, "groups": ["boss"], "email": "other@example.com"});
            world.provider.set("/userinfo", crate::outbound::scripted::Step::json(200, &more));
            let back = browser.open(&asked.back("")).await;
            assert_eq!(back.status.as_u16(), status, "{} {}", db.name, back.body);
        }
        let asked = world.provider.seen("/userinfo").remove(0);
        assert_eq!(asked.header("authorization"), Some("Bearer canary-access-token"));
        assert_eq!(
            db.texts("SELECT email FROM \"user\"").await,
            ["eve@example.com"],
            "the ID token goes first"
        );
    }
}

#[actix_web::test]
async fn a_key_that_is_not_known_is_looked_for_at_a_limited_rate() {
    for db in databases().await {
        let mut world = world(&db).await;
        world.go(&mut world.browser(), "/", json!({"groups": "boss"})).await.leads_to("/");
        let newer = provider::Key::new("k-2");
        world.provider.keys(&[&newer]);
        world.provider.key = newer;
        let early = world.go(&mut world.browser(), "/", json!({"groups": "boss"})).await;
        assert_eq!((early.status.as_u16(), world.provider.seen("/jwks").len()), (400, 1), "{}", db.name);
        db.clock.advance(time::Duration::seconds(31));
        world.now += 31;
        world.go(&mut world.browser(), "/", json!({"groups": "boss"})).await.leads_to("/");
        assert_eq!(world.provider.seen("/jwks").len(), 2);
    }
}

#[actix_web::test]
async fn of_many_who_sign_in_at_once_one_asks_the_provider_what_it_is() {
    for db in databases().await {
        let world = world(&db).await;
        let document = "/.well-known/openid-configuration";
        let crowd = async || {
            let mut browsers: Vec<_> = (0..20).map(|_| world.browser()).collect();
            futures_util::future::join_all(browsers.iter_mut().map(async |browser| {
                let token = browser.open("/login").await.form_token();
                browser.post("/login/oidc", &[("csrf_token", &token)]).await.status.as_u16()
            }))
            .await
        };
        world.provider.set(document, crate::outbound::scripted::Step::json(503, &json!({})));
        assert_eq!(crowd().await, [503; 20], "{}", db.name);
        assert_eq!(world.provider.seen(document).len(), 1, "a failure is everybody's");
        world.provider.discovery(|_| {});
        db.clock.advance(time::Duration::seconds(6));
        assert_eq!(crowd().await, [303; 20], "{}", db.name);
        assert_eq!(world.provider.seen(document).len(), 2);
    }
}

#[actix_web::test]
async fn without_a_provider_nothing_of_it_is_there() {
    for db in databases().await {
        let site = site(&db, URL).await;
        ada(&site).await;
        let mut browser = site.browser();
        let page = browser.open("/login").await;
        assert!(!page.body.contains("oidc") && !page.body.contains("Or with"), "{}", db.name);
        let fields = [("csrf_token", page.form_token())];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(browser.post("/login/oidc", &fields).await.status, StatusCode::NOT_FOUND);
        assert_eq!(browser.open("/login/oidc/callback?state=x&code=y").await.status, StatusCode::NOT_FOUND);
        browser.sign_in(PASSWORD).await.leads_to("/");
        assert!(!browser.open("/").await.body.contains("oidc"));
    }
}
