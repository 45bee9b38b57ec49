//! Does a call reach the broker once, again, and with the right bearer?

use std::time::Duration;

use super::*;
use crate::problem::Action;
use crate::scripted::{Scripted, ScriptedServer, Seen};
use crate::secret::Secret;
use crate::token::TokenRequest;

const TOKEN: &str = r#"{"access_token":"gho_canary","token_type":"Bearer","expires_in":3312,
    "expires_at":"2026-11-24T10:00:00Z","guaranteed_until":"2026-11-24T09:59:30Z","scope":"repo read:org",
    "app_id":"acme","connector":"github","flow":"default","generation":17,"refreshed":true,
    "extra":{"instance_url":"https://x.example"},"degraded":null}"#;

fn signed_in(nth: usize) -> Scripted {
    (200, "", format!(r#"{{"access_token":"bearer-{nth}","token_type":"Bearer","expires_in":3600}}"#))
}

fn refused(status: u16, code: &str, action: &str) -> Scripted {
    (status, "", format!(r#"{{"code":"{code}","action":"{action}","detail":"no","trace_id":"t"}}"#))
}

fn broker(server: &ScriptedServer) -> Broker {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut settings = BrokerSettings::new(&server.url, "job", Secret::new("s%:+é")).unwrap();
    settings.first_pause = Duration::from_millis(1);
    Broker::new(settings).unwrap()
}

fn is_sign_in(seen: &Seen) -> bool {
    seen.target == "/o/token/"
}

#[tokio::test]
async fn a_token_is_handed_out_with_its_terms() {
    let server =
        ScriptedServer::start(
            |seen, n| {
                if is_sign_in(seen) { signed_in(n) } else { (200, "", TOKEN.to_owned()) }
            },
        )
        .await;
    let request =
        TokenRequest { flow: Some("b b".into()), min_ttl_s: Some(600), rejected: Some(16), wait_s: Some(5) };
    let token = broker(&server).retrieve_token("acme", "github", &request).await.unwrap();
    assert_eq!((token.generation, token.expires_in, token.refreshed), (17, Some(3312), true));
    assert!(!format!("{token:?}").contains("canary"));
    let seen = server.seen();
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].body, "grant_type=client_credentials");
    // base64 of "job:s%25%3A%2B%C3%A9"
    assert_eq!(seen[0].headers["authorization"], "Basic am9iOnMlMjUlM0ElMkIlQzMlQTk=");
    assert_eq!(seen[1].target, "/acme/github/binb-token?flow=b+b&min_ttl=600&rejected=16&wait=5");
    assert_eq!(seen[1].headers["authorization"], "Bearer bearer-0");
}

#[tokio::test]
async fn a_hundred_tasks_sign_in_once() {
    let server =
        ScriptedServer::start(
            |seen, n| {
                if is_sign_in(seen) { signed_in(n) } else { (200, "", TOKEN.to_owned()) }
            },
        )
        .await;
    let broker = broker(&server);
    let request = TokenRequest::default();
    // One thread polls them in turn, so all have asked before the first answer can be read.
    let tasks = (0..100).map(|_| broker.retrieve_token("acme", "github", &request));
    for token in futures_util::future::join_all(tasks).await {
        assert_eq!(token.unwrap().generation, 17);
    }
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|seen| is_sign_in(seen)).count(), 1);
    assert_eq!(seen.len(), 101);
}

#[tokio::test]
async fn a_bearer_without_life_is_not_kept() {
    let server = ScriptedServer::start(|seen, _| match is_sign_in(seen) {
        true => (200, "", r#"{"access_token":"b","expires_in":0}"#.to_owned()),
        false => (200, "", TOKEN.to_owned()),
    })
    .await;
    let broker = broker(&server);
    for _ in 0..2 {
        broker.retrieve_token("acme", "github", &TokenRequest::default()).await.unwrap();
    }
    assert_eq!(server.seen().iter().filter(|seen| is_sign_in(seen)).count(), 2);
}

#[tokio::test]
async fn a_refused_bearer_is_renewed_once() {
    let server = ScriptedServer::start(|seen, n| match is_sign_in(seen) {
        true => signed_in(n),
        false if seen.headers["authorization"] == "Bearer bearer-0" => {
            refused(401, "invalid_token", "request_access")
        }
        false => (200, "", TOKEN.to_owned()),
    })
    .await;
    broker(&server).retrieve_token("acme", "github", &TokenRequest::default()).await.unwrap();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_second_refusal_of_the_bearer_is_final() {
    let server = ScriptedServer::start(|seen, n| match is_sign_in(seen) {
        true => signed_in(n),
        false => refused(401, "client_disabled", "request_access"),
    })
    .await;
    let asked = broker(&server).retrieve_token("acme", "github", &TokenRequest::default()).await;
    let error = asked.unwrap_err();
    assert_eq!((error.exit_code(), error.problem().unwrap().code.as_str()), (77, "client_disabled"));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_busy_broker_is_asked_again_when_it_says() {
    let server = ScriptedServer::start(|seen, n| match (is_sign_in(seen), n) {
        (true, 0) => (503, "retry-after: 0\r\n", String::new()),
        (true, _) => signed_in(n),
        (false, 2) => (503, "retry-after: 0\r\n", r#"{"code":"refresh_in_progress"}"#.to_owned()),
        (false, 3) => (0, "", String::new()),
        _ => (200, "", TOKEN.to_owned()),
    })
    .await;
    broker(&server).retrieve_token("acme", "github", &TokenRequest::default()).await.unwrap();
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn a_long_wait_is_the_callers_to_decide() {
    let server = ScriptedServer::start(|seen, n| match is_sign_in(seen) {
        true => signed_in(n),
        false => {
            (503, "retry-after: 3000\r\n", r#"{"code":"provider_unavailable","action":"retry"}"#.to_owned())
        }
    })
    .await;
    let asked = broker(&server).retrieve_token("acme", "github", &TokenRequest::default()).await;
    let error = asked.unwrap_err();
    assert_eq!(error.problem().unwrap().retry_after, Some(Duration::from_secs(3000)));
    assert_eq!((error.action(), error.exit_code()), (Some(Action::Retry), 75));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn repetitions_are_bounded() {
    let server = ScriptedServer::start(|seen, n| match is_sign_in(seen) {
        true => signed_in(n),
        false => (503, "retry-after: 0\r\n", String::new()),
    })
    .await;
    let asked = broker(&server).retrieve_token("acme", "github", &TokenRequest::default()).await;
    assert_eq!(asked.unwrap_err().exit_code(), 75);
    assert_eq!(server.seen().len(), 1 + 4);
}

#[tokio::test]
async fn a_broker_that_keeps_silent_is_waited_for_once() {
    let server = ScriptedServer::start(|seen, n| match is_sign_in(seen) {
        true => signed_in(n),
        false => (1, "", String::new()),
    })
    .await;
    let mut settings = BrokerSettings::new(&server.url, "job", Secret::new("s")).unwrap();
    settings.timeout = Duration::from_secs(1);
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let asked =
        Broker::new(settings).unwrap().retrieve_token("acme", "github", &TokenRequest::default()).await;
    assert!(matches!(&asked, Err(Error::Transport(error)) if error.is_timeout()), "{asked:?}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_write_is_not_sent_twice() {
    let server = ScriptedServer::start(|seen, n| match is_sign_in(seen) {
        true => signed_in(n),
        false => (0, "", String::new()),
    })
    .await;
    let body = serde_json::json!({"id": "acme"});
    let written = broker(&server).admin(Method::POST, &["apps"], &[], Some(&body)).await;
    assert!(matches!(written.unwrap_err(), Error::Transport(_)));
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[1].target.as_str(), seen[1].body.as_str()), ("/admin/v1/apps", r#"{"id":"acme"}"#));
}

#[tokio::test]
async fn a_list_is_read_page_after_page() {
    let server = ScriptedServer::start(|seen, n| match seen.target.as_str() {
        "/o/token/" => signed_in(n),
        "/admin/v1/apps?limit=2" => (200, "", r#"{"items":[1,2],"next_cursor":"c d"}"#.to_owned()),
        "/admin/v1/apps?limit=2&cursor=c+d" => (200, "", r#"{"items":[3],"next_cursor":null}"#.to_owned()),
        _ => refused(404, "not_found", "fix_configuration"),
    })
    .await;
    let items = broker(&server).admin_items(&["apps"], &[("limit", "2".to_owned())]).await.unwrap();
    assert_eq!(items, [1, 2, 3]);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_strange_answer_not_quoted() {
    let server = ScriptedServer::start(|seen, n| match seen.target.as_str() {
        "/o/token/" => signed_in(n),
        "/a/b/binb-token" => (302, "location: /elsewhere\r\n", String::new()),
        _ => (200, "", r#"{"access_token":"canary","expires_in":"canary"}"#.to_owned()),
    })
    .await;
    let broker = broker(&server);
    let moved = broker.retrieve_token("a", "b", &TokenRequest::default()).await.unwrap_err();
    assert_eq!(moved.exit_code(), 78);
    assert!(server.seen().iter().all(|seen| seen.target != "/elsewhere"));
    let strange = broker.retrieve_token("a", "c", &TokenRequest::default()).await.unwrap_err();
    assert!(matches!(strange, Error::Garbled(_)));
    assert!(!format!("{strange:?} {strange} {broker:?}").contains("canary"));
}

#[tokio::test]
async fn a_wrong_secret_lacks_permission() {
    let answer = || (401, "", r#"{"error":"invalid_client","error_description":"wrong secret"}"#.to_owned());
    let server = ScriptedServer::start(move |_, _| answer()).await;
    let asked = broker(&server).retrieve_token("acme", "github", &TokenRequest::default()).await;
    assert_eq!(asked.unwrap_err().exit_code(), 77);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn segments_stay_segments() {
    let base = Url::parse("https://b.example/laputa/").unwrap();
    let joined = join(&base, &["a/b", "c?d", ""]).unwrap();
    assert_eq!(joined.as_str(), "https://b.example/laputa/a%2Fb/c%3Fd/");
    for bad in ["", ".", ".."] {
        assert!(matches!(join(&base, &[bad, "x"]), Err(Error::Segment(_))), "{bad:?}");
    }
}
