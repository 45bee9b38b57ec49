//! What of a provider, a browser or an address is refused?

use super::provider::{Key, unsigned};
use super::*;
use crate::outbound::scripted::Step;

#[actix_web::test]
async fn a_state_is_used_once_in_its_own_browser_and_in_time() {
    for db in databases().await {
        let world = world(&db).await;
        ada(&world.site).await;
        let mut browser = world.browser();
        let asked = world.leave(&mut browser, "/").await;
        world.provider.id_token(&world.provider.key.sign(&world.claims(&asked, &json!({"groups": "boss"}))));
        let back = asked.back("");
        let bare = world.browser();
        let mut other = world.browser();
        let of_other = world.leave(&mut other, "/").await;
        let mut signed_in = world.browser();
        signed_in.sign_in(PASSWORD).await.leads_to("/");
        let of_signed_in = world.leave(&mut signed_in, "/").await;
        let mut browsers = [bare, other, signed_in, browser];
        for (thief, path) in [
            (0, back.clone()),
            (1, back.clone()),
            (2, back.clone()),
            (3, of_other.back("")),
            (3, of_signed_in.back("")),
            (3, back.replace("state=", "state=0")),
            (3, "/login/oidc/callback".into()),
            (3, format!("/login/oidc/callback?code={CODE}&state=x")),
        ] {
            let thief = &mut browsers[thief];
            let before = thief.session().cloned();
            let refused = thief.open(&path).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{} {path}", db.name);
            assert!(refused.body.contains("belongs to another browser"), "{}", refused.body);
            assert_eq!(thief.session().cloned(), before);
        }
        assert!(world.provider.seen("/token").is_empty(), "nobody asked the provider");
        // None of them used it up.
        let [_, mut other, _, mut browser] = browsers;
        browser.open(&back).await.leads_to("/");
        assert_eq!(browser.open(&back).await.status, StatusCode::BAD_REQUEST);
        let late = world.leave(&mut other, "/").await;
        db.clock.advance(time::Duration::minutes(10));
        assert_eq!(other.open(&late.back("")).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(world.provider.seen("/token").len(), 1);
    }
}

#[actix_web::test]
async fn a_form_without_our_token_leads_nowhere() {
    for db in databases().await {
        let world = world(&db).await;
        let mut browser = world.browser();
        browser.open("/login").await;
        for fields in [&[][..], &[("csrf_token", "x")]] {
            assert_eq!(
                browser.post("/login/oidc", fields).await.status,
                StatusCode::FORBIDDEN,
                "{}",
                db.name
            );
        }
        assert_eq!(browser.open("/login/oidc").await.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(db.count("upstream_login").await, 0);
    }
}

#[actix_web::test]
async fn an_id_token_that_is_not_ours_signs_nobody_in() {
    for db in databases().await {
        let world = world(&db).await;
        let key = &world.provider.key;
        let es = json!({"alg": "ES256", "kid": "k-1"});
        let forged = Key::new("k-1");
        type Forge<'f> = Box<dyn Fn(&Value) -> String + 'f>;
        let changed = |name: &'static str, value: Value| -> Forge<'_> {
            Box::new(move |good| {
                let mut claims = good.clone();
                claims[name] = value.clone();
                key.sign(&claims)
            })
        };
        let cases: Vec<(&str, Forge<'_>)> = vec![
            ("another nonce", changed("nonce", json!("x"))),
            ("no nonce", changed("nonce", Value::Null)),
            ("another audience", changed("aud", json!("other"))),
            ("several audiences and no azp", changed("aud", json!(["jeton", "other"]))),
            ("another azp", changed("azp", json!("other"))),
            ("another issuer", changed("iss", json!("https://evil.example"))),
            ("a slash more", changed("iss", json!(format!("{}/", world.provider.issuer())))),
            ("expired", changed("exp", json!(world.now - 31))),
            ("from the future", changed("iat", json!(world.now + 600))),
            ("no iat", changed("iat", Value::Null)),
            ("no subject", changed("sub", json!(""))),
            ("wrong at_hash", changed("at_hash", json!(half_hash("another")))),
            ("none", Box::new(|good| format!("{}.", unsigned(&json!({"alg": "none"}), good)))),
            ("HS256 with the public key", Box::new(|good| key.hs256(good))),
            ("another key", Box::new(|good| forged.sign(good))),
            (
                "its own key",
                Box::new(|good| {
                    forged.sign_with(&json!({"alg": "ES256", "kid": "k-1", "jwk": {"kty": "EC"}}), good)
                }),
            ),
            (
                "an access token",
                Box::new(|good| key.sign_with(&json!({"alg": "ES256", "kid": "k-1", "typ": "at+jwt"}), good)),
            ),
            ("no signature", Box::new(|good| format!("{}.", unsigned(&es, good)))),
            ("no token", Box::new(|_| "x".into())),
        ];
        for (name, forge) in &cases {
            let mut browser = world.browser();
            let asked = world.leave(&mut browser, "/").await;
            world.provider.id_token(&forge(&world.claims(&asked, &json!({"groups": "boss"}))));
            let refused = browser.open(&asked.back("")).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name} on {}: {}", db.name, refused.body);
            assert!(refused.body.contains("cannot be trusted") && browser.session().is_none(), "{name}");
        }
        assert_eq!(db.count("\"user\"").await, 0);
        let refused = "audit_event WHERE action = 'login' AND result = 'refused'";
        assert_eq!(db.count(refused).await, i64::try_from(cases.len()).unwrap());
        world.go(&mut world.browser(), "/", json!({"groups": "boss"})).await.leads_to("/");
    }
}

#[actix_web::test]
async fn a_document_that_is_not_the_providers_leads_nobody_there_and_passwords_go_on() {
    for db in databases().await {
        let world = world(&db).await;
        ada(&world.site).await;
        let good = world.provider.document();
        let with = |name: &str, value: Value| {
            let mut document = good.clone();
            document[name] = value;
            Step::json(200, &document)
        };
        let elsewhere = [("Location", "http://127.0.0.1:1/")];
        let cases = [
            ("a redirect", Step::answer(302, &elsewhere, "")),
            (
                "ten megabytes",
                Step::answer(200, &[("Content-Type", "application/json")], vec![b' '; 10 << 20]),
            ),
            ("nothing", Step::Hang),
            ("an error", Step::json(500, &good)),
            ("a page", Step::answer(200, &[("Content-Type", "text/html")], good.to_string())),
            ("no JSON", Step::answer(200, &[("Content-Type", "application/json")], "{")),
            ("another issuer", with("issuer", json!("https://evil.example"))),
            ("a slash more", with("issuer", json!(format!("{}/", world.provider.issuer())))),
            ("plain http", with("token_endpoint", json!("http://sso.example.com/token"))),
            ("a user in the address", with("token_endpoint", json!("https://u:p@sso.example.com/token"))),
            ("no address", with("authorization_endpoint", json!("javascript:alert(1)"))),
            ("keys in a file", with("jwks_uri", json!("file:///etc/passwd"))),
            ("no code", with("response_types_supported", json!(["id_token"]))),
            ("no S256", with("code_challenge_methods_supported", json!(["plain"]))),
            ("no algorithm", with("id_token_signing_alg_values_supported", json!(["HS256", "none"]))),
        ];
        for (name, step) in cases {
            world.provider.set("/.well-known/openid-configuration", step);
            let mut browser = world.browser();
            let token = browser.open("/login").await.form_token();
            let fields = [("csrf_token", token.as_str()), ("return_to", "/acme/connect")];
            let told = browser.post("/login/oidc", &fields).await;
            assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE, "{name} on {}", db.name);
            assert!(
                told.body.contains("does not answer") && told.body.contains("with your password"),
                "{name}"
            );
            assert!(told.body.contains("value=\"/acme/connect\"") && told.header("retry-after") == "5");
            let asked = world.provider.seen("/.well-known/openid-configuration").len();
            browser.post("/login/oidc", &fields).await;
            assert_eq!(world.provider.seen("/.well-known/openid-configuration").len(), asked, "left alone");
            let password = [("email", "ada@example.com"), ("password", PASSWORD), ("csrf_token", &token)];
            browser.post("/login", &password).await.leads_to("/");
            db.clock.advance(time::Duration::seconds(6));
        }
        world.provider.discovery(|_| {});
        world.leave(&mut world.browser(), "/").await;
    }
}

#[actix_web::test]
async fn what_the_other_endpoints_get_wrong_is_told_and_signs_nobody_in() {
    for db in databases().await {
        let world = world(&db).await;
        let good = json!({"id_token": "x.y.z"});
        let cases = [
            ("a refused code", Step::json(400, &json!({"error": "invalid_grant"})), 400),
            ("a refused client", Step::json(401, &json!({"error": "invalid_client"})), 502),
            ("an error of its own", Step::json(400, &json!({"error": CODE})), 503),
            ("down", Step::json(503, &json!({})), 503),
            ("a redirect", Step::answer(307, &[("Location", "http://127.0.0.1:1/")], ""), 503),
            (
                "ten megabytes",
                Step::answer(200, &[("Content-Type", "application/json")], vec![b' '; 10 << 20]),
                503,
            ),
            ("no ID token", Step::json(200, &json!({"access_token": "x"})), 503),
            ("a page", Step::answer(200, &[("Content-Type", "text/html")], good.to_string()), 503),
            ("silence", Step::Hang, 503),
        ];
        for (name, step, status) in cases {
            let mut browser = world.browser();
            let asked = world.leave(&mut browser, "/").await;
            world.provider.set("/token", step);
            let told = browser.open(&asked.back("")).await;
            assert_eq!(told.status.as_u16(), status, "{name} on {}: {}", db.name, told.body);
            assert!(browser.session().is_none() && !told.body.contains("canary"), "{name}");
        }
        world.provider.set("/jwks", Step::json(200, &json!({"keys": []})));
        let keyless = world.go(&mut world.browser(), "/", json!({"groups": "boss"})).await;
        assert_eq!(keyless.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[actix_web::test]
async fn an_answer_of_another_provider_is_not_used_and_its_words_are_escaped() {
    for db in databases().await {
        let world = world(&db).await;
        let issuer = |text: &str| serde_urlencoded::to_string([("iss", text)]).unwrap();
        let own = issuer(&world.provider.issuer());
        let cases = [
            (false, String::new(), 303),
            (false, own.clone(), 303),
            (false, issuer("https://evil.example"), 400),
            (true, own, 303),
            (true, String::new(), 400),
            (true, issuer("https://evil.example"), 400),
        ];
        for (promised, iss, status) in cases {
            world.provider.discovery(|document| {
                document["authorization_response_iss_parameter_supported"] = json!(promised);
            });
            db.clock.advance(time::Duration::hours(2));
            let mut browser = world.browser();
            let asked = world.leave(&mut browser, "/").await;
            let before = world.provider.seen("/token").len();
            let mut claims = world.claims(&asked, &json!({"groups": "boss"}));
            claims["iat"] = json!(db.clock().now().unix_timestamp());
            claims["exp"] = json!(db.clock().now().unix_timestamp() + 60);
            world.provider.id_token(&world.provider.key.sign(&claims));
            let back = browser.open(&asked.back(&format!("&{iss}"))).await;
            assert_eq!(back.status.as_u16(), status, "{promised} {iss} {}: {}", db.name, back.body);
            assert_eq!(world.provider.seen("/token").len() - before, usize::from(status == 303));
        }
        world.provider.discovery(|_| {});
        db.clock.advance(time::Duration::hours(2));
        let mut browser = world.browser();
        let asked = world.leave(&mut browser, "/").await;
        let denied = format!(
            "/login/oidc/callback?state={}&error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E",
            asked.get("state")
        );
        let told = browser.open(&denied).await;
        assert_eq!(told.status, StatusCode::FORBIDDEN);
        assert!(told.body.contains("access_denied") && told.body.contains("&#60;script&#62;alert"));
        assert!(!told.body.contains("<script"));
        let asked = world.leave(&mut browser, "/").await;
        let twice = browser.open(&asked.back("&code=other")).await;
        assert_eq!(twice.status, StatusCode::BAD_REQUEST);
        let empty = browser.open(&format!("/login/oidc/callback?state={}", asked.get("state"))).await;
        assert!(empty.body.contains("neither a code nor an error"), "{}", empty.body);
    }
}

#[actix_web::test]
async fn sign_ins_under_way_are_bounded_by_network_and_end_by_themselves() {
    for db in databases().await {
        let world = world(&db).await;
        let mut browser = world.browser();
        let token = browser.open("/login").await.form_token();
        let fields = [("csrf_token", token.as_str())];
        for _ in 0..200 {
            assert_eq!(browser.post("/login/oidc", &fields).await.status, StatusCode::SEE_OTHER);
        }
        let flooded = browser.post("/login/oidc", &fields).await;
        assert_eq!(flooded.status, StatusCode::TOO_MANY_REQUESTS, "{}", db.name);
        assert!(flooded.body.contains("with your password") && flooded.header("retry-after") == "600");
        browser.address = "198.51.100.1:4711";
        assert_eq!(browser.post("/login/oidc", &fields).await.status, StatusCode::SEE_OTHER);
        db.clock.advance(time::Duration::minutes(11));
        assert_eq!(browser.post("/login/oidc", &fields).await.status, StatusCode::SEE_OTHER);
        assert_eq!(db.count("upstream_login").await, 1, "the others are forgotten");
    }
}

#[actix_web::test]
async fn nothing_secret_of_a_sign_in_is_in_a_row() {
    let db = databases().await.remove(0);
    let world = world(&db).await;
    let root = world.site.fixture.superadmin().await;
    let acme = world.site.fixture.app("acme").await;
    let path = World::invitation(&world.site.fixture.invite(&root, &acme, "new@example.com").await);
    let asked = world.leave(&mut world.browser(), &path).await;
    let row =
        db.texts("SELECT hex(sealed_flow) || hex(state_hash) || hex(network_hash) FROM upstream_login").await;
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    let state = asked.get("state");
    for secret in [path.rsplit('.').next().unwrap(), state.split('.').nth(1).unwrap(), "203.0.113"] {
        assert!(!row[0].contains(&hex(secret)), "{secret}");
    }
}

#[actix_web::test]
async fn logs_and_pages_hold_nothing_of_what_a_sign_in_is_made_of() {
    let db = databases().await.remove(0);
    let world = world(&db).await;
    let (log, quiet) = super::logs::Log::start();
    let mut secrets = vec![CODE.to_owned(), ACCESS_TOKEN.to_owned(), "canary:secret".to_owned()];
    let mut pages = String::new();
    let echo = json!({"error": CODE, "error_description": ACCESS_TOKEN});
    for answer in [None, Some(Step::json(400, &echo)), Some(Step::json(200, &json!({"id_token": CODE})))] {
        let mut browser = world.browser();
        let asked = world.leave(&mut browser, "/").await;
        secrets.extend(["state", "nonce"].map(|name| asked.get(name)));
        let token = world.provider.key.sign(&world.claims(&asked, &json!({"groups": "boss"})));
        match answer {
            Some(answer) => world.provider.set("/token", answer),
            None => world.provider.id_token(&token),
        }
        secrets.push(token);
        pages.push_str(&browser.open(&asked.back("")).await.body);
        pages.push_str(&browser.open(&asked.back("&iss=x")).await.body);
    }
    drop(quiet);
    let lines = log.lines();
    assert!(lines.contains("GET /login/oidc/callback answered 303"), "{lines}");
    assert!(lines.contains("nobody was signed in through the upstream provider"));
    for seen in world.provider.seen("/token") {
        let form: BTreeMap<String, String> = serde_urlencoded::from_str(&seen.body).unwrap();
        secrets.push(form["code_verifier"].clone());
        secrets.push(seen.header("authorization").unwrap().to_owned());
    }
    for secret in secrets {
        assert!(!lines.contains(&secret), "{secret} in {lines}");
        assert!(!pages.contains(&secret), "{secret} in a page");
    }
}
