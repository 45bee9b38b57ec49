//! Does the pipeline work on for longer than its token lives, and does the service let nobody else in?

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jeton_client::Secret;
use jeton_client::secret_store::{Expected, ServiceCredential, Variables, open};
use reqwest::{Method, StatusCode};
use serde_json::json;
use url::Url;

use super::{call, house, prepare, tampered, token};
use crate::scripted::ScriptedServer;
use crate::support::app::Home;
use crate::support::documented::Example;

pub(super) const SAMPLE: &str = include_str!("../../../examples/terms/env.example");
const TERMS: &str = "https://terms.example.com";
const MIRROR: &str = "https://mirror.example.com";
const SCOPES: [&str; 2] = ["terms:write", "terms:read"];

#[expect(clippy::disallowed_methods, reason = "the test looks for it elsewhere")]
async fn kept(folder: &str) -> String {
    let variables = Variables::of([("JETON_SECRETS_DIR", folder)]);
    let store = open(&"file:prod/pipeline-token".parse().unwrap(), &variables).unwrap();
    store.get().await.unwrap().unwrap().value.expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_creates_terms_for_longer_than_a_token_lives() {
    for home in Home::each().await {
        let (house, folder) = house(home).await;
        prepare(&house, &folder, "### A pipeline and a web service\n").await;
        let mirror = json!({"uri": MIRROR, "name": "Mirror", "scopes": SCOPES});
        house.write(Method::POST, "/resources", &mirror).await;
        let [reader, writer] =
            [token(&house, "r", TERMS, &SCOPES[1..]).await, token(&house, "w", TERMS, &SCOPES[..1]).await];
        let stranger = token(&house, "s", MIRROR, &SCOPES).await;
        let own = [("JETON_URL", house.broker.url.as_str()), ("JETON_SECRETS_DIR", &folder)];
        let mut example = Example::start("terms", &own);
        let at = example.address().await;
        let [create, list] = ["create-term", "list-terms"].map(|path| format!("{at}/api/{path}/"));

        let term = json!({"name": "churn", "definition": "who left"});
        assert_eq!(call(&house, Method::POST, &create, Some(&writer), &term).await, StatusCode::CREATED);
        assert_eq!(call(&house, Method::GET, &list, Some(&reader), &term).await, StatusCode::OK);
        assert_eq!(call(&house, Method::POST, &create, Some(&reader), &term).await, StatusCode::FORBIDDEN);
        assert_eq!(call(&house, Method::GET, &list, Some(&writer), &term).await, StatusCode::FORBIDDEN);
        let superadmin = house.broker.token_of(&house.broker.superadmin).await;
        let [signature, claims] = tampered(&writer, &reader);
        for bad in [None, Some(&stranger), Some(&superadmin), Some(&signature), Some(&claims)] {
            let bad = bad.map(String::as_str);
            assert_eq!(call(&house, Method::POST, &create, bad, &term).await, StatusCode::UNAUTHORIZED);
            assert_eq!(call(&house, Method::GET, &list, bad, &term).await, StatusCode::UNAUTHORIZED);
        }

        let report = example.line().await;
        let (code, rest, log) = example.end().await;
        assert_eq!((code, rest.as_str()), (Some(0), ""), "{log}");
        let tokens = report
            .strip_prefix("5 terms created, 6 listed, with ")
            .and_then(|rest| rest.strip_suffix(" token(s), the last one kept at file:prod/pipeline-token"));
        let tokens: u32 = tokens.unwrap_or_else(|| panic!("{report}")).parse().unwrap();
        assert!(tokens >= 2, "{report}");
        let kept = kept(&folder).await;
        assert_eq!(kept.matches('.').count(), 2, "a JWT");
        assert!(!log.contains(&kept) && log.contains("creates the term `term-5`"), "{log}");
        house.stop().await;
    }
}

/// A token endpoint whose tokens live two seconds, and a service that counts those that come too late.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_of_the_pipeline_carries_a_token_that_has_ended() {
    let minted: Mutex<HashMap<String, Instant>> = Mutex::default();
    let late = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&late);
    let server = ScriptedServer::start(move |seen, nth| {
        let mut minted = minted.lock().unwrap();
        if seen.target == "/o/token/" {
            minted.insert(format!("Bearer t-{nth}"), Instant::now());
            let answer = json!({"access_token": format!("t-{nth}"), "token_type": "Bearer", "expires_in": 2});
            return (200, "content-type: application/json\r\n", answer.to_string());
        }
        if minted[&seen.headers["authorization"]].elapsed() > Duration::from_secs(2) {
            *counted.lock().unwrap() += 1;
        }
        (200, "content-type: application/json\r\n", json!({"terms": []}).to_string())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("secrets").display().to_string();
    let credential = ServiceCredential {
        issuer: Url::parse(&server.url).unwrap(),
        token_endpoint: Url::parse(&format!("{}/o/token/", server.url)).unwrap(),
        client_id: "pipeline".to_owned(),
        client_secret: Secret::new("canary"),
        scope: None,
        audience: Some(TERMS.to_owned()),
        version: 1,
    };
    let variables = Variables::of([("JETON_SECRETS_DIR", folder.as_str())]);
    let store = open(&"file:prod/pipeline".parse().unwrap(), &variables).unwrap();
    store.put(&credential.document(), &Expected::Absent).await.unwrap();

    let own = [("TERMS_URL", server.url.as_str()), ("JETON_SECRETS_DIR", &folder)];
    let mut example = Example::start("terms", &own);
    let report = example.line().await;
    let (code, rest, log) = example.end().await;
    assert_eq!((code, rest.as_str()), (Some(0), ""), "{log}");
    assert!(report.starts_with("5 terms created, 0 listed, with "), "{report}");
    assert_eq!(*late.lock().unwrap(), 0);
    let asked = server.seen().iter().filter(|seen| seen.target == "/o/token/").count();
    assert!(asked >= 3, "{asked} tokens");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_without_its_credential_says_so_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let own = [("JETON_SECRETS_DIR", folder.path().to_str().unwrap()), ("TERMS_URL", "http://127.0.0.1:1/")];
    let (code, rest, log) = Example::start("terms", &own).end().await;
    assert_eq!((code, rest.as_str()), (Some(78), ""), "{log}");
    assert!(log.contains("secret files, `file:prod/pipeline`: there is no such secret"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}
