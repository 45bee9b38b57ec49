//! Is a token asked for once, used while it lives, and a refresh token spent once?

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::*;
use crate::authorized::Authorized;
use crate::problem::Action;
use crate::scripted::{Scripted, ScriptedServer, Seen};

fn grant(server: &ScriptedServer) -> Grant {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    Grant {
        token_endpoint: Url::parse(&server.url).unwrap().join("/o/token/").unwrap(),
        client_id: "pipeline".to_owned(),
        proof: ClientProof::Secret(Secret::new("canary%")),
        scope: Some("terms:write".to_owned()),
        resource: Some("https://terms.example".to_owned()),
    }
}

fn tokens(nth: usize, lifetime: u64) -> Scripted {
    (200, "", format!(r#"{{"access_token":"t-{nth}","token_type":"Bearer","expires_in":{lifetime}}}"#))
}

#[expect(clippy::disallowed_methods, reason = "the test compares the plaintext")]
fn text(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tasks_ask_once() {
    let server = ScriptedServer::start(|_, nth| tokens(nth, 3600)).await;
    let source = TokenSource::client_credentials(grant(&server)).unwrap();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { text(source.bearer().await.unwrap().token()) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "t-0");
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let form = "grant_type=client_credentials&scope=terms%3Awrite&resource=https%3A%2F%2Fterms.example";
    assert_eq!(seen[0].body, form);
    assert_eq!(seen[0].headers["authorization"], format!("Basic {}", STANDARD.encode("pipeline:canary%25")));
}

#[tokio::test]
async fn a_token_of_two_seconds_serves_a_minute_of_calls_and_none_is_over() {
    let millis = Arc::new(AtomicU64::new(0));
    let issued = Arc::clone(&millis);
    let server = ScriptedServer::start(move |_, _| {
        let at = issued.load(Ordering::SeqCst);
        (200, "", format!(r#"{{"access_token":"{at}","token_type":"Bearer","expires_in":2}}"#))
    })
    .await;
    let (base, now) = (Instant::now(), Arc::clone(&millis));
    let ticks: Ticks = Arc::new(move || base + Duration::from_millis(now.load(Ordering::SeqCst)));
    let source = TokenSource::client_credentials_by(grant(&server), ticks).unwrap();
    for at in (0..60_000_u64).step_by(50) {
        millis.store(at, Ordering::SeqCst);
        let born: u64 = text(source.bearer().await.unwrap().token()).parse().unwrap();
        assert!(at - born < 2000, "at {at} a token of {born}");
        // What is under way in the background lands before time goes on.
        source.landed().await;
    }
    // Each is replaced when 1.2 of its 2 seconds are over.
    assert_eq!(server.seen().len(), 50);
}

#[tokio::test]
async fn an_answer_that_took_long_is_as_old_as_its_question() {
    let millis = Arc::new(AtomicU64::new(0));
    let (server_clock, now, base) = (Arc::clone(&millis), Arc::clone(&millis), Instant::now());
    // The server thinks for nine seconds.
    let server = ScriptedServer::start(move |_, nth| {
        server_clock.fetch_add(9_000, Ordering::SeqCst);
        tokens(nth, 10)
    })
    .await;
    let ticks: Ticks = Arc::new(move || base + Duration::from_millis(now.load(Ordering::SeqCst)));
    let source = TokenSource::client_credentials_by(grant(&server), ticks).unwrap();
    assert_eq!(text(source.bearer().await.unwrap().token()), "t-0");
    assert_eq!(text(source.bearer().await.unwrap().token()), "t-1", "the first one has a second left");
}

#[tokio::test]
async fn a_call_carries_the_token_and_a_new_one_after_a_401_once() {
    let api = |seen: &Seen, nth: usize| match seen.target.as_str() {
        "/o/token/" => tokens(nth, 3600),
        "/never" => (401, "", String::new()),
        _ if seen.headers["authorization"] == "Bearer t-0" => (401, "", String::new()),
        _ => (200, "", seen.body.clone()),
    };
    let server = ScriptedServer::start(api).await;
    let source = TokenSource::client_credentials(grant(&server)).unwrap();
    let http = broker::http_client(TIMEOUT).unwrap();
    let api = Authorized::new(http, source);
    let call = api.http().post(format!("{}/terms", server.url)).body("term");
    let answer = api.send(call).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "term"));
    assert_eq!(server.seen().len(), 4);
    let refused = api.send(api.http().get(format!("{}/never", server.url))).await.unwrap();
    assert_eq!((refused.status().as_u16(), server.seen().len()), (401, 7));
}

#[tokio::test]
async fn a_users_refresh_token_is_kept_before_its_access_token_is_used() {
    let script = |seen: &Seen, nth: usize| {
        let fresh = if nth == 1 { String::new() } else { format!(r#","refresh_token":"r-{nth}""#) };
        assert!(seen.body.starts_with("grant_type=refresh_token&refresh_token=r-"), "{}", seen.body);
        (200, "", format!(r#"{{"access_token":"t-{nth}","token_type":"Bearer","expires_in":0{fresh}}}"#))
    };
    let server = ScriptedServer::start(script).await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let on_rotation: OnRotation = Arc::new(move |token: &Secret| {
        keep.lock().unwrap().push(text(token));
        Ok(())
    });
    let grant = Grant { proof: ClientProof::None, scope: None, resource: None, ..grant(&server) };
    let source = TokenSource::refresh_token(grant, Secret::new("r-first"), Some(on_rotation)).unwrap();
    for _ in 0..4 {
        source.bearer().await.unwrap();
    }
    let spent: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
    let spent: Vec<_> =
        spent.iter().map(|body| &body[body.find("r-").unwrap()..body.rfind('&').unwrap()]).collect();
    assert_eq!(spent, ["r-first", "r-0", "r-0", "r-2"]);
    assert_eq!(*kept.lock().unwrap(), ["r-0", "r-2", "r-3"]);
}

#[tokio::test]
async fn a_refresh_token_whose_answer_was_lost_is_not_sent_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = ScriptedServer::start(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        (0, "", String::new())
    })
    .await;
    let source = TokenSource::refresh_token(grant(&server), Secret::new("r"), None).unwrap();
    assert!(matches!(source.bearer().await, Err(Error::Transport(_))));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_hostile_answer_is_no_token() {
    for body in [
        "{}",
        r#"{"access_token":"","token_type":"Bearer","expires_in":1}"#,
        r#"{"access_token":"canary\nX: 1","token_type":"Bearer","expires_in":1}"#,
        r#"{"access_token":"canary","token_type":"DPoP","expires_in":1}"#,
        r#"{"access_token":"canary","token_type":"Bearer","expires_in":-1}"#,
    ] {
        let server = ScriptedServer::start(move |_, _| (200, "", body.to_owned())).await;
        let error = TokenSource::client_credentials(grant(&server)).unwrap().bearer().await.unwrap_err();
        assert!(matches!(error, Error::Garbled(_)) && !format!("{error:?}").contains("canary"), "{body}");
    }
    let server = ScriptedServer::start(|_, nth| tokens(nth, u64::MAX)).await;
    TokenSource::client_credentials(grant(&server)).unwrap().bearer().await.unwrap();
}

#[tokio::test]
async fn a_key_proves_the_client_by_an_assertion_that_is_new_each_time() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = pair.to_pkcs8v1().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let key = AssertionKey::from_pem(&Secret::new(pem), Some("k1"), "https://b.example").unwrap();
    let server = ScriptedServer::start(|_, nth| tokens(nth, 0)).await;
    let grant = Grant { proof: ClientProof::PrivateKey(Arc::new(key)), ..grant(&server) };
    let source = TokenSource::client_credentials(grant).unwrap();
    let mut seen_before = None;
    for nth in 0..2 {
        source.bearer().await.unwrap();
        let body = server.seen()[nth].body.clone();
        let form: std::collections::BTreeMap<_, _> =
            url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(form["client_assertion_type"], crate::assertion::TYPE);
        let assertion = &form["client_assertion"];
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&"pipeline".into(), &"pipeline".into(), &"https://b.example".into())
        );
        assert_ne!(Some(claims["jti"].clone()), seen_before);
        seen_before = Some(claims["jti"].clone());
    }
    assert!(AssertionKey::from_pem(&Secret::new("canary"), None, "x").is_err());
}

#[tokio::test]
async fn a_replaced_credential_is_read_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let script = |seen: &Seen, nth: usize| match seen.headers["authorization"].as_str() {
        "Basic YzE6bmV3" => tokens(nth, 0),
        _ => (401, "", r#"{"error":"invalid_client"}"#.to_owned()),
    };
    let server = ScriptedServer::start(script).await;
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let variables = crate::secret_store::Variables::of([(
        "JETON_SECRETS_DIR",
        folder.path().join("s").to_str().unwrap(),
    )]);
    let reference: crate::secret_store::Reference = "file:pipeline".parse().unwrap();
    let store = crate::secret_store::open(&reference, &variables).unwrap();
    let document = |secret: &str| crate::secret_store::ServiceCredential {
        issuer: Url::parse(&server.url).unwrap(),
        token_endpoint: grant(&server).token_endpoint,
        client_id: "c1".to_owned(),
        client_secret: Secret::new(secret),
        scope: None,
        audience: None,
        version: 1,
    };
    use crate::secret_store::Expected;
    let old = store.put(&document("old").document(), &Expected::Absent).await.unwrap();
    let credential = Arc::new(StoredCredential::open(&reference, &variables).await.unwrap());
    let source = TokenSource::stored(Arc::clone(&credential)).unwrap();
    // Refused, and nothing newer is there: one request, no more.
    let refused = source.bearer().await.unwrap_err();
    assert_eq!((refused.exit_code(), refused.problem().unwrap().code.as_str()), (77, "invalid_client"));
    assert!(refused.to_string().starts_with("the credential at `file:pipeline` is refused: "), "{refused}");
    assert_eq!(server.seen().len(), 1);
    store.put(&document("new").document(), &Expected::Version(old)).await.unwrap();
    source.bearer().await.unwrap();
    source.bearer().await.unwrap();
    assert_eq!(server.seen().len(), 4, "refused, then the new one, then the new one at once");

    // For another resource server it looks again just so, and asks for that one both times.
    let seen = Expected::Version(store.get().await.unwrap().unwrap().version);
    let elsewhere = TokenSource::stored_for(credential, "https://tasks.example").unwrap();
    let old = store.put(&document("old").document(), &seen).await.unwrap();
    let stale = Arc::new(StoredCredential::open(&reference, &variables).await.unwrap());
    store.put(&document("new").document(), &Expected::Version(old)).await.unwrap();
    elsewhere.bearer().await.unwrap();
    TokenSource::stored_for(stale, "https://tasks.example").unwrap().bearer().await.unwrap();
    let asked: Vec<_> = server.seen().iter().skip(4).map(|seen| seen.body.clone()).collect();
    let form = "grant_type=client_credentials&resource=https%3A%2F%2Ftasks.example";
    assert_eq!(asked, [form; 3], "the current one at once; the stale one refused, then the new one");
}

#[tokio::test]
async fn a_server_that_is_busy_for_ever_is_asked_four_times() {
    let server = ScriptedServer::start(|_, _| (503, "retry-after: 0\r\n", String::new())).await;
    let own = TokenSource::client_credentials(grant(&server)).unwrap();
    let of_user = TokenSource::refresh_token(grant(&server), Secret::new("r"), None).unwrap();
    for (source, asked) in [(own, 4), (of_user, 8)] {
        let error = source.bearer().await.unwrap_err();
        assert_eq!((error.action(), server.seen().len()), (Some(Action::Retry), asked), "{error}");
    }
    // One that asks for more time than there is, is believed.
    let server = ScriptedServer::start(|_, _| (503, "retry-after: 31\r\n", String::new())).await;
    let error = TokenSource::client_credentials(grant(&server)).unwrap().bearer().await.unwrap_err();
    assert_eq!((error.action(), server.seen().len()), (Some(Action::Retry), 1), "{error}");
}

#[tokio::test]
async fn a_refresh_ahead_that_fails_takes_no_living_token_and_is_tried_again_after_a_rest() {
    let millis = Arc::new(AtomicU64::new(0));
    let (base, now) = (Instant::now(), Arc::clone(&millis));
    let ticks: Ticks = Arc::new(move || base + Duration::from_millis(now.load(Ordering::SeqCst)));
    let server = ScriptedServer::start(|_, nth| match nth {
        1..=8 => (503, "retry-after: 0\r\n", String::new()),
        _ => tokens(nth, 100),
    })
    .await;
    let source = TokenSource::client_credentials_by(grant(&server), ticks).unwrap();
    // It is renewed from 60 s on and used until 80 s.
    for (at, held, asked) in [
        (0, "t-0", 1),
        (59_999, "t-0", 1),
        (60_000, "t-0", 5),
        (64_999, "t-0", 5),
        (65_000, "t-0", 9),
        (69_999, "t-0", 9),
        (70_000, "t-0", 10),
        (70_001, "t-9", 10),
    ] {
        millis.store(at, Ordering::SeqCst);
        for _ in 0..20 {
            assert_eq!(text(source.bearer().await.unwrap().token()), held, "at {at}");
        }
        // What is under way in the background ends before time goes on.
        source.ended().await.ok();
        assert_eq!(server.seen().len(), asked, "at {at}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_repeated_is_sent_once_and_the_refused_token_is_dropped() {
    let script = |seen: &Seen, nth: usize| match seen.target.as_str() {
        "/o/token/" => tokens(nth, 3600),
        "/term" => (200, "", "term".to_owned()),
        _ => (401, "", String::new()),
    };
    let server = ScriptedServer::start(script).await;
    let source = TokenSource::client_credentials(grant(&server)).unwrap();
    let api = Authorized::new(broker::http_client(TIMEOUT).unwrap(), source);
    let stream = api.http().get(format!("{}/term", server.url)).send().await.unwrap();
    let call = api.http().post(format!("{}/never", server.url)).body(stream);
    assert_eq!(api.send(call).await.unwrap().status().as_u16(), 401);
    let targets = || server.seen().into_iter().map(|seen| seen.target).collect::<Vec<_>>();
    assert_eq!(targets(), ["/term", "/o/token/", "/never"]);
    // The next request has another token than the one that was refused.
    let next = api.http().get(format!("{}/term", server.url));
    assert_eq!(api.send(next).await.unwrap().status().as_u16(), 200);
    assert_eq!(targets()[3..], ["/o/token/", "/term"]);
    assert_eq!(server.seen()[4].headers["authorization"], "Bearer t-3");
}
