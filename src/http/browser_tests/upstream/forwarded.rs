//! Who comes in through a reverse proxy that has signed them in, and what is not believed? C2, C3.

use super::*;
use crate::http::browser_tests::upstream::provider::{Key, unsigned};
use crate::identity::upstream::Forwarded;
use crate::outbound::scripted::Step;

const PROXY: &str = "10.1.2.3:4711";
const BEARER: &str = "authorization";

pub(super) async fn behind(db: &TestDatabase, token_header: Option<&str>) -> World {
    let provider = Provider::start().await;
    let forwarded = Forwarded {
        audience: "broker".into(),
        client_id: Some("the-proxy".into()),
        token_header: token_header.map(str::to_owned),
        logout_url: Some("/proxy/logout".into()),
        proxies: vec!["10.1.2.0/24".parse().unwrap()],
    };
    let site = site_with(db, URL, |fixture| provider.upstreams_behind(fixture, Some(forwarded))).await;
    World { site, provider, now: db.clock().now().unix_timestamp() }
}

impl World {
    pub(super) fn token(&self, changes: &Value) -> String {
        self.provider.key.sign_with(&json!({"alg": "ES256", "kid": "k-1", "typ": "JWT"}), &self.told(changes))
    }

    pub(super) fn told(&self, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": self.provider.issuer(), "sub": "s-1", "aud": "broker", "scope": "openid",
            "iat": self.now, "exp": self.now + 300, "email": "eve@example.com", "groups": ["acme"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    pub(super) fn at_proxy(&self) -> Browser<'_> {
        Browser { address: PROXY, ..self.site.browser() }
    }
}

impl Browser<'_> {
    pub(super) async fn carry(&mut self, path: &str, headers: &[(&str, String)]) -> Reply {
        let all = headers.iter().fold(TestRequest::get().uri(path), |request, (name, value)| {
            request.append_header((*name, value.as_str()))
        });
        self.send(all).await
    }

    /// Opens a page as far as it leads.
    pub(super) async fn arrive(&mut self, path: &str, headers: &[(&str, String)]) -> Reply {
        let mut reply = self.carry(path, headers).await;
        for _ in 0..3 {
            let Some(to) = reply.headers.get("location") else { break };
            let to = to.to_str().unwrap().replace(URL, "");
            reply = self.carry(&to, headers).await;
        }
        reply
    }
}

pub(super) fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![(BEARER, format!("Bearer {token}"))]
}

#[actix_web::test]
async fn whom_the_proxy_has_signed_in_is_a_user_here_with_what_claims_give() {
    for header in [None, Some("x-access-token")] {
        for db in databases().await {
            let world = behind(&db, header).await;
            world.site.fixture.app("acme").await;
            let token = world.token(&json!({}));
            let headers = match header {
                None => bearer(&token),
                Some(name) => vec![(name, token)],
            };
            let mut browser = world.at_proxy();
            let page = browser.arrive("/", &headers).await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.body);
            assert!(page.body.contains("ACME") && page.body.contains("eve@example.com"), "{}", page.body);
            // Forms need their token here as everywhere.
            let mut request = TestRequest::post().uri("/logout").set_form([("csrf_token", "x")]);
            for (name, value) in &headers {
                request = request.append_header((*name, value.as_str()));
            }
            assert_eq!(browser.send(request).await.status, StatusCode::FORBIDDEN, "{}", db.name);
            assert_eq!(db.count("\"user\" WHERE email = 'eve@example.com'").await, 1);
            let given = db.texts("SELECT app || ' ' || role FROM membership").await;
            assert_eq!(given, ["acme member"], "{}: no more than was told", db.name);
            assert_eq!(db.count("session WHERE opened_by LIKE 'proxy%'").await, 1);
        }
    }
}

#[actix_web::test]
async fn claims_of_whom_the_proxy_forwards_give_admins_their_rights_too() {
    for db in databases().await {
        let world = behind(&db, None).await;
        let given = async || {
            let of_apps = db.texts("SELECT app || ' ' || role FROM membership ORDER BY app").await;
            (of_apps, db.count("\"user\" WHERE claimed_role = 'superadmin' AND role IS NULL").await)
        };
        world.site.fixture.app("acme").await;
        world.site.fixture.app("globex").await;
        let told = |groups: Value| bearer(&world.token(&json!({"groups": groups})));
        let page = world.at_proxy().arrive("/", &told(json!(["acme/app_admin"]))).await;
        assert!(page.body.contains("ACME") && !page.body.contains("GLOBEX"), "{}", page.body);
        assert_eq!(given().await, (vec!["acme app_admin".to_owned()], 0), "{}", db.name);
        let page = world.at_proxy().arrive("/", &told(json!(["boss"]))).await;
        assert!(page.body.contains("ACME") && page.body.contains("GLOBEX"), "{}", page.body);
        assert_eq!(given().await, (vec![], 1), "{}", db.name);
        // Past the proxy the same token gives nothing, and says nothing of whom it is for.
        let past = world.site.browser().arrive("/", &told(json!(["acme/app_admin"]))).await;
        assert!(past.body.contains("name=\"password\""), "{}", past.body);
        assert_eq!(given().await, (vec![], 1), "{}", db.name);
    }
}

#[actix_web::test]
async fn an_id_token_beside_it_says_more_of_the_same_person_and_nothing_of_another() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("globex").await;
        let id_token = |sub: &str| {
            let claims = world.told(&json!({"aud": "the-proxy", "sub": sub, "groups": ["globex"]}));
            world.provider.key.sign(&claims)
        };
        let mut headers = bearer(&world.token(&json!({"groups": null})));
        headers.push(("x-id-token", id_token("s-2")));
        let refused = world.at_proxy().arrive("/", &headers).await;
        assert!(refused.body.contains("name=\"password\""), "{}", refused.body);
        headers[1].1 = id_token("s-1");
        // The access token's own claim stands.
        assert!(world.at_proxy().arrive("/", &headers).await.body.contains("not known here"));
        let mut bare = world.told(&json!({}));
        bare.as_object_mut().unwrap().remove("groups");
        headers[0].1 = format!("Bearer {}", world.provider.key.sign(&bare));
        assert!(world.at_proxy().arrive("/", &headers).await.body.contains("GLOBEX"), "{}", db.name);
    }
}

#[actix_web::test]
async fn nothing_else_is_believed() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("acme").await;
        let good = world.token(&json!({}));
        let nobody = async |browser: &mut Browser<'_>, headers: &[(&str, String)], what: &str| {
            let page = browser.arrive("/", headers).await;
            assert!(
                page.body.contains("name=\"password\"") && browser.session().is_none(),
                "{what}: {}",
                page.body
            );
        };
        nobody(&mut world.site.browser(), &bearer(&good), "past the proxy").await;
        let doubled = [bearer(&good), bearer(&good)].concat();
        nobody(&mut world.at_proxy(), &doubled, "doubled").await;
        let userinfo = ("x-userinfo", "eyJzdWIiOiJzLTEifQ==".to_owned());
        nobody(&mut world.at_proxy(), &[userinfo], "unsigned alone").await;
        let other = Key::new("k-1");
        let header = json!({"alg": "ES256", "kid": "k-1"});
        let none = json!({"alg": "none", "kid": "k-1"});
        let jwk = json!({"alg": "ES256", "kid": "k-1", "jwk": {"kty": "EC"}});
        let told = world.told(&json!({}));
        let key = &world.provider.key;
        for (what, token) in [
            ("another audience", world.token(&json!({"aud": "jeton"}))),
            ("another issuer", world.token(&json!({"iss": "https://evil.example"}))),
            ("over", world.token(&json!({"exp": world.now - 60}))),
            ("not yet", world.token(&json!({"nbf": world.now + 300}))),
            ("an ID token", world.token(&json!({"nonce": "n"}))),
            ("an ID token by its type", world.token(&json!({"typ": "ID"}))),
            ("no subject", world.token(&json!({"sub": null}))),
            ("another key", other.sign_with(&header, &told)),
            ("no signature", format!("{}.", unsigned(&none, &told))),
            ("the public key as a secret", key.hs256(&told)),
            ("a key of its own", key.sign_with(&jwk, &told)),
            ("nonsense", "x.y.z".to_owned()),
        ] {
            nobody(&mut world.at_proxy(), &bearer(&token), what).await;
        }
        assert_eq!(db.count("session").await, 0, "{}", db.name);
        let mut browser = world.at_proxy();
        assert!(browser.arrive("/", &bearer(&good)).await.body.contains("ACME"), "this one is good");
    }
}

#[actix_web::test]
async fn a_session_is_good_while_the_proxy_forwards_the_same_person() {
    for db in databases().await {
        let world = behind(&db, None).await;
        let acme = world.site.fixture.app("acme").await;
        let eve = bearer(&world.token(&json!({})));
        let mallory = bearer(&world.token(&json!({"sub": "s-2", "email": "mallory@example.com"})));
        let mut browser = world.at_proxy();
        assert!(browser.arrive("/", &eve).await.body.contains("eve@example.com"));
        // Signed out at the provider, the proxy lets the browser through without a token.
        assert_eq!(browser.carry("/", &[]).await.status, StatusCode::SEE_OTHER);
        assert!(browser.arrive("/", &[]).await.body.contains("name=\"password\""));
        assert_eq!(browser.carry("/", &eve).await.status, StatusCode::OK, "it is the same session again");
        let next = browser.arrive("/", &mallory).await;
        assert!(
            next.body.contains("mallory@example.com") && !next.body.contains("eve@example.com"),
            "{}",
            next.body
        );
        // The cookie alone, taken elsewhere, is worth nothing.
        let mut thief = world.site.browser();
        thief.cookies.clone_from(&browser.cookies);
        assert_eq!(thief.open("/").await.status, StatusCode::SEE_OTHER);
        // Who signs in by a password, where the proxy knows nobody, stays.
        let root = world.site.fixture.superadmin().await;
        world.site.fixture.member(&root, &acme, "ada@example.com").await;
        let mut ada = world.at_proxy();
        ada.sign_in(PASSWORD).await.leads_to("/");
        assert_eq!(ada.carry("/", &[]).await.status, StatusCode::OK);
        let stranger = bearer(&world.token(&json!({"sub": "s-3", "groups": []})));
        assert_eq!(ada.carry("/", &stranger).await.status, StatusCode::OK);
        assert_eq!(ada.carry("/", &eve).await.status, StatusCode::SEE_OTHER, "{}", db.name);
        let told = world.at_proxy().arrive("/", &stranger).await;
        assert!(told.body.contains("who is not known here"), "{}", told.body);
        // Claims taken away bind at the next sign-in; who was disabled is out at once.
        let conn = world.site.fixture.tools.store.conn();
        let known = conn.find_login(&crate::model::person::Email::parse("eve@example.com").unwrap()).await;
        let id = known.unwrap().unwrap().0.id;
        world.site.fixture.people.update_user(&root, id, None, None, Some(true)).await.unwrap();
        let out = world.at_proxy().arrive("/", &eve).await;
        assert!(out.status == StatusCode::FORBIDDEN, "{}: {}", db.name, out.body);
    }
}

#[actix_web::test]
async fn a_provider_that_is_down_lets_in_whom_its_known_keys_vouch_for_and_nobody_else() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("acme").await;
        let eve = bearer(&world.token(&json!({})));
        world.provider.set("/.well-known/openid-configuration", Step::json(503, &json!({})));
        let unknown = world.at_proxy().arrive("/", &eve).await;
        assert!(unknown.body.contains("name=\"password\""), "never reached: {}", unknown.body);
        world.provider.discovery(|_| {});
        db.clock.advance(time::Duration::seconds(6));
        assert!(world.at_proxy().arrive("/", &eve).await.body.contains("eve@example.com"));
        world.provider.set("/.well-known/openid-configuration", Step::json(503, &json!({})));
        world.provider.set("/jwks", Step::json(503, &json!({})));
        // Long enough to look for a key again.
        db.clock.advance(time::Duration::seconds(40));
        let before = world.provider.seen("/jwks").len();
        for n in 0..1_000 {
            let header = json!({"alg": "ES256", "kid": format!("k-{n}-x")});
            let token = Key::new("x").sign_with(&header, &world.told(&json!({})));
            if n % 250 == 0 {
                let page = world.at_proxy().arrive("/", &bearer(&token)).await;
                assert!(page.body.contains("name=\"password\""));
            } else {
                world.at_proxy().carry("/", &bearer(&token)).await;
            }
        }
        let asked = world.provider.seen("/jwks").len() - before;
        assert!(asked <= 2, "{asked} requests for 1,000 keys that nobody has");
        assert!(world.at_proxy().arrive("/", &eve).await.body.contains("eve@example.com"), "{}", db.name);
    }
}

#[actix_web::test]
async fn a_stranger_makes_nobody_ask_the_provider() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("acme").await;
        let good = bearer(&world.token(&json!({})));
        let header = json!({"alg": "ES256", "kid": "k-of-nobody"});
        let unknown = bearer(&Key::new("x").sign_with(&header, &world.told(&json!({}))));
        let asked = || {
            let of = |path: &str| world.provider.seen(path).len();
            (of("/.well-known/openid-configuration"), of("/jwks"))
        };
        for address in ["192.0.2.7:4711", "10.1.3.1:4711", "[2001:db8::1]:4711"] {
            for headers in [&good, &unknown] {
                let mut stranger = Browser { address, ..world.site.browser() };
                let page = stranger.arrive("/", headers).await;
                assert!(page.body.contains("name=\"password\""), "{address}: {}", page.body);
                // Neither the keys that were never fetched, nor one that nobody has.
                assert_eq!(asked(), (0, 0), "{}: {address}", db.name);
            }
        }
        // A proxy that forwards nothing is no reason to ask, either.
        world.at_proxy().arrive("/", &[]).await;
        assert_eq!(asked(), (0, 0), "{}", db.name);
        world.at_proxy().arrive("/", &good).await;
        assert_eq!(asked(), (1, 1), "{}: the proxy's is", db.name);
    }
}

#[actix_web::test]
async fn an_id_token_that_has_ended_takes_nothing_away_that_it_gave() {
    for db in databases().await {
        let world = behind(&db, None).await;
        world.site.fixture.app("globex").await;
        let signed = |changes: &Value| {
            let mut claims = world.told(changes);
            claims.as_object_mut().unwrap().remove("groups");
            claims
        };
        // Only the ID token says the groups, and it ends long before the access token.
        let mut id_token = signed(&json!({"aud": "the-proxy", "exp": world.now + 60}));
        id_token["groups"] = json!(["globex", "boss"]);
        let id_token = world.provider.key.sign(&id_token);
        let access = world.provider.key.sign(&signed(&json!({"exp": world.now + 7_200})));
        let mut headers = bearer(&access);
        headers.push(("x-id-token", id_token));
        assert!(world.at_proxy().arrive("/", &headers).await.body.contains("GLOBEX"), "{}", db.name);
        let given = async || {
            let members = db.count("membership").await;
            (
                members,
                db.count("\"user\" WHERE email = 'eve@example.com' AND claimed_role = 'superadmin'").await,
            )
        };
        let before = given().await;
        assert_eq!(before, (1, 1), "{}: by the ID token", db.name);

        db.clock.advance(time::Duration::minutes(10));
        // A new browser, whose proxy still keeps the first ID token.
        let page = world.at_proxy().arrive("/", &headers).await;
        assert!(page.body.contains("GLOBEX"), "{}: {}", db.name, page.body);
        assert_eq!(given().await, before, "{}", db.name);

        // A proxy that forwards the access token alone means all that it says.
        let page = world.at_proxy().arrive("/", &headers[..1]).await;
        assert!(!page.body.contains("GLOBEX"), "{}: {}", db.name, page.body);
        assert_eq!(given().await, (0, 0), "{}", db.name);
    }
}
