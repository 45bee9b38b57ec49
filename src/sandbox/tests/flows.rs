//! Consent, exchange, rotation, revocation, and the books kept about them.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use time::Duration;

use super::driver::{CALLBACK, Driver, VERIFIER, json_of, returned};
use crate::sandbox::{Client, Faults, Outcome, Profile, Rotation, Standard, TokenAuth};

#[tokio::test]
async fn the_consent_page_carries_the_request_and_escapes_it() {
    let driver = Driver::of(Profile::standard());
    let mut url = driver.url("/authorize");
    let mut asking = driver.asking("app", "read write");
    asking.insert("state", "\"><script>x</script>".into());
    url.query_pairs_mut().extend_pairs(&asking);
    let page = driver.http.get(url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
    let html = page.text().await.unwrap();
    assert!(!html.contains("<script"), "{html}");
    for part in ["name=\"user\"", "value=\"approve\"", "value=\"deny\"", "<code>write</code>", CALLBACK] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    driver.stop().await;
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_its_replay_kills_the_grant() {
    let driver = Driver::of(Profile::standard());
    let answer = driver.decide(driver.asking("app", "read"), "alice", "approve").await;
    let back = returned(&answer);
    assert_eq!(back["state"], "a state");
    assert_eq!(format!("{}/", back["iss"]), driver.url("/").as_str());

    let (status, tokens) = json_of(driver.exchange_request("app", &back["code"])).await;
    assert_eq!((status, &tokens["expires_in"], &tokens["scope"]), (200, &json!(3600), &json!("read")));
    let access = tokens["access_token"].as_str().unwrap();
    let who: Value = driver.call("/userinfo", access).await.json().await.unwrap();
    assert_eq!((&who["sub"], &who["email"]), (&json!("alice"), &json!("alice@sandbox.example")));

    let (status, again) = json_of(driver.exchange_request("app", &back["code"])).await;
    assert_eq!((status, &again["error"]), (400, &json!("invalid_grant")));
    assert!(!driver.lives(access).await);
    assert_eq!(driver.ledger().clients["app"].code_exchanges, 1);
    driver.stop().await;
}

#[tokio::test]
async fn requests_that_do_not_fit_are_refused() {
    let driver = Driver::of(Profile::standard());
    let with = |name: &'static str, value: &str| {
        let mut asking = driver.asking("app", "read");
        asking.insert(name, value.to_owned());
        asking
    };
    let here = driver.decide(with("redirect_uri", "http://127.0.0.1:9/callback/x"), "alice", "approve").await;
    assert_eq!(here.status(), 400, "another redirect URI is never redirected to");
    let here = driver.decide(with("client_id", "nobody"), "alice", "approve").await;
    assert_eq!(here.status(), 400);
    let there = driver.decide(with("code_challenge_method", "plain"), "alice", "approve").await;
    assert_eq!(returned(&there)["error"], "invalid_request");
    let there = driver.decide(driver.asking("app", "read"), "alice", "deny").await;
    assert_eq!(returned(&there)["error"], "access_denied");
    let again = driver.decide(driver.asking("app", "read"), "not a name", "approve").await;
    assert_eq!(again.status(), 400);

    for (name, value, error) in [
        ("code_verifier", "another-verifier", "invalid_grant"),
        ("redirect_uri", "http://127.0.0.1:9/other", "invalid_grant"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("client_secret", "wrong", "invalid_client"),
    ] {
        let code = driver.code("app", "alice", "read").await;
        let mut form = std::collections::HashMap::from([
            ("client_id", "app"),
            ("client_secret", "sandbox-secret"),
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]);
        form.insert(name, value);
        let (_, answer) = json_of(driver.http.post(driver.url("/token")).form(&form)).await;
        assert_eq!(answer["error"], error, "{name}");
    }
    driver.stop().await;
}

#[tokio::test]
async fn a_spent_refresh_token_kills_its_family() {
    let driver = Driver::of(Profile::standard());
    let first = driver.connect().await;
    let (_, second) = driver.refresh(first.refresh()).await;
    assert_ne!(second["refresh_token"], first.0["refresh_token"]);
    assert!(driver.lives(first.access()).await, "a plain provider leaves the old access token alone");

    let (status, refused) = driver.refresh(first.refresh()).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
    assert!(!driver.lives(second["access_token"].as_str().unwrap()).await);
    assert_eq!(driver.refresh(second["refresh_token"].as_str().unwrap()).await.0, 400);

    let ledger = driver.ledger();
    let outcomes =
        |n: usize| ledger.refresh_tokens[n].presentations.iter().map(|p| p.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes(0), [Outcome::Rotated, Outcome::Reused]);
    assert_eq!(outcomes(1), [Outcome::Refused]);
    assert_eq!(ledger.refresh_tokens[1].parent.as_deref(), Some(ledger.refresh_tokens[0].id.as_str()));
    assert_eq!(ledger.clients["app"].token_requests["refresh_token"], 3);
    assert!(ledger.refresh_tokens.iter().all(|entry| !entry.live && entry.id.len() == 64));
    let text = serde_json::to_string(&ledger).unwrap();
    assert!(!text.contains(first.refresh()), "the ledger never holds a token");
    driver.stop().await;
}

#[tokio::test]
async fn within_the_grace_window_a_spent_token_works_again() {
    let rotation = Rotation::Grace(30);
    let driver = Driver::of(Profile::Standard(Standard { rotation, ..Standard::default() }));
    let first = driver.connect().await;
    assert_eq!(driver.refresh(first.refresh()).await.0, 200);
    driver.clock.advance(Duration::seconds(20));
    assert_eq!(driver.refresh(first.refresh()).await.0, 200);
    driver.clock.advance(Duration::seconds(20));
    assert_eq!(driver.refresh(first.refresh()).await.0, 400, "the window counts from the first spending");
    let outcomes: Vec<_> =
        driver.ledger().refresh_tokens[0].presentations.iter().map(|p| p.outcome).collect();
    assert_eq!(outcomes, [Outcome::Rotated, Outcome::Repeated, Outcome::Reused]);
    driver.stop().await;
}

#[tokio::test]
async fn tokens_expire_by_the_clock_and_die_by_revocation() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    let introspect = async |token: &str| {
        let form = [("client_id", "app"), ("client_secret", "sandbox-secret"), ("token", token)];
        json_of(driver.http.post(driver.url("/introspect")).form(&form)).await.1
    };
    assert_eq!(introspect(tokens.access()).await["username"], "alice");
    assert_eq!(driver.ledger().clients["app"].introspections, 1);
    driver.clock.advance(Duration::seconds(3601));
    assert!(!driver.lives(tokens.access()).await);
    assert_eq!(introspect(tokens.access()).await, json!({"active": false}));
    assert_eq!(
        driver.call("/api/whoami", tokens.refresh()).await.status(),
        401,
        "a refresh token opens no API"
    );

    let (_, second) = driver.refresh(tokens.refresh()).await;
    let refresh = second["refresh_token"].as_str().unwrap();
    let form = [("client_id", "app"), ("client_secret", "sandbox-secret"), ("token", refresh)];
    assert_eq!(driver.http.post(driver.url("/revoke")).form(&form).send().await.unwrap().status(), 200);
    assert_eq!(driver.refresh(refresh).await.1["error"], "invalid_grant");
    assert!(!driver.lives(second["access_token"].as_str().unwrap()).await);
    driver.stop().await;
}

#[tokio::test]
async fn a_person_withdraws_what_was_granted() {
    let driver = Driver::of(Profile::standard());
    let (alice, bob) = (driver.connect().await, driver.connect_as("app", "bob", "read").await);
    let body = json!({"user": "alice", "client_id": "app"});
    let answer = driver.control(Method::POST, "/_sandbox/revoke", body).await;
    assert_eq!(answer, (200, json!({"user": "alice", "revoked": 1})));
    assert!(!driver.lives(alice.access()).await);
    assert_eq!(driver.refresh(alice.refresh()).await.1["error"], "invalid_grant");
    assert!(driver.lives(bob.access()).await);
    assert_eq!(driver.handle().revoke_grants_of("bob"), 1);
    assert!(!driver.lives(bob.access()).await);
    driver.stop().await;
}

#[tokio::test]
async fn a_client_shows_its_secret_the_way_it_must() {
    let client = |id: &str, token_auth| Client { token_auth, ..Client::new(id, Profile::standard()) };
    let driver = Driver::with(vec![client("basic", TokenAuth::Basic), client("post", TokenAuth::Post)]);
    let send = async |id: &str, basic: bool, post: bool| {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", id)];
        if post {
            form.push(("client_secret", "sandbox-secret"));
        }
        let mut request = driver.http.post(driver.url("/token")).form(&form);
        if basic {
            let pair = STANDARD.encode(format!("{id}:sandbox-secret"));
            request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
        }
        json_of(request).await.1["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(send("basic", true, false).await, "invalid_grant", "let in; the token is unknown");
    assert_eq!(send("basic", false, true).await, "invalid_client");
    assert_eq!(send("post", false, true).await, "invalid_grant");
    assert_eq!(send("post", true, false).await, "invalid_client");
    assert_eq!(send("post", true, true).await, "invalid_request");
    assert_eq!(send("post", false, false).await, "invalid_client");
    assert_eq!(driver.ledger().clients["post"].unknown_refresh_tokens, 4);
    driver.stop().await;
}

#[tokio::test]
async fn openid_brings_an_id_token_its_key_set_verifies() {
    let driver = Driver::of(Profile::standard());
    let mut asking = driver.asking("app", "openid");
    asking.insert("nonce", "once".into());
    let code = returned(&driver.decide(asking, "alice", "approve").await).remove("code").unwrap();
    let (_, tokens) = json_of(driver.exchange_request("app", &code)).await;
    let id_token = tokens["id_token"].as_str().unwrap();

    let metadata = driver.url("/.well-known/openid-configuration");
    let (_, metadata) = json_of(driver.http.get(metadata)).await;
    let (_, jwks) = json_of(driver.http.get(metadata["jwks_uri"].as_str().unwrap())).await;
    let (signed, signature) = id_token.rsplit_once('.').unwrap();
    let part = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
    let point = [vec![4], part(&jwks["keys"][0]["x"]), part(&jwks["keys"][0]["y"])].concat();
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, point);
    key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).expect("a good signature");
    let claims: Value = serde_json::from_slice(&part(&json!(signed.split_once('.').unwrap().1))).unwrap();
    assert_eq!(claims["iss"], metadata["issuer"]);
    assert_eq!(
        (&claims["aud"], &claims["sub"], &claims["nonce"]),
        (&json!("app"), &json!("alice"), &json!("once"))
    );
    driver.stop().await;
}

#[tokio::test]
async fn demo_clients_take_loopback_redirects_and_no_others() {
    let driver = Driver::demo();
    for (uri, status) in [
        ("http://127.0.0.1:9/callback", 303),
        ("http://localhost:8080/x?y=z", 303),
        ("http://[::1]:8080/", 303),
        ("https://127.0.0.1/", 400),
        ("http://127.0.0.1.evil.example/", 400),
        ("http://localhost@evil.example/", 400),
        ("http://evil.example/", 400),
    ] {
        let mut asking = driver.asking("sandbox-standard", "read");
        asking.insert("redirect_uri", uri.to_owned());
        let answer = driver.decide(asking, "alice", "approve").await;
        assert_eq!(answer.status(), status, "{uri}");
    }
    driver.stop().await;
}

#[tokio::test]
async fn an_installation_starts_without_a_state() {
    let driver = Driver::demo();
    let url = driver.url("/integrations/sandbox-aircall/install");
    assert_eq!(driver.http.get(url.clone()).send().await.unwrap().status(), 200);
    let go =
        async |uri: &str| driver.http.post(url.clone()).form(&[("install_uri", uri)]).send().await.unwrap();
    let sent = go("http://127.0.0.1:9/connect/aircall/install").await;
    assert_eq!(sent.status(), 303);
    assert_eq!(sent.headers()[header::LOCATION], "http://127.0.0.1:9/connect/aircall/install");
    assert_eq!(go("http://evil.example/").await.status(), 400);
    driver.stop().await;
}

#[tokio::test]
async fn unknown_faults_and_clients_are_refused_over_http() {
    let driver = Driver::of(Profile::standard());
    let put = async |body: Value| driver.control(Method::PUT, "/_sandbox/faults", body).await;
    let (status, answer) = put(json!({"client_id": "app", "faults": {"reste": 1}})).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("reste"), "{answer}");
    assert_eq!(put(json!({"client_id": "nobody", "faults": {}})).await.0, 404);
    assert_eq!(put(json!({"client_id": "app", "faults": {"before": "html", "times": 1}})).await.0, 200);
    let (_, all) = json_of(driver.http.get(driver.url("/_sandbox/faults"))).await;
    assert_eq!(
        (&all["items"][0]["faults"]["before"], &all["items"][0]["faults"]["times"]),
        (&json!("html"), &json!(1))
    );
    assert!(driver.handle().set_faults("nobody", Faults::default()).is_err());
    driver.stop().await;
}
