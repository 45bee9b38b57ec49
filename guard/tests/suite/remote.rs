//! How does the guard behave towards the issuer's key server?

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jeton_guard::{Error, Guard, RemoteKeys, UrlError};
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::{ES, ES_OTHER, ISSUER, NOW, draft, jwks};

/// A key server that counts, on a port of its own.
struct Issuer {
    url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    answers: Mutex<HashMap<String, String>>,
    counts: Mutex<HashMap<String, usize>>,
    /// Where set, each answer waits for a permit.
    gate: Mutex<Option<Arc<Semaphore>>>,
    arrived: tokio::sync::Notify,
}

impl Issuer {
    async fn start() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::default())
    }

    fn listen(listener: TcpListener, state: Arc<State>) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.answer(stream).await;
            }
        });
        Self { url, state, task }
    }

    fn serve(&self, path: &str, body: &str) {
        self.respond(path, "200 OK", "", body);
    }

    fn respond(&self, path: &str, status: &str, headers: &str, body: &str) {
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            body.len()
        );
        self.state.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn count(&self, path: &str) -> usize {
        self.state.counts.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// Lets the port go: connections are refused from here on.
    async fn stop(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    fn guard(&self) -> Guard {
        guard(RemoteKeys::jwks(&format!("{}/jwks", self.url)).unwrap(), ISSUER)
    }
}

impl State {
    async fn answer(&self, mut stream: TcpStream) {
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
            request.push(byte[0]);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        *self.counts.lock().unwrap().entry(path.clone()).or_default() += 1;
        self.arrived.notify_one();
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        let answer =
            answer.unwrap_or_else(|| "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned());
        // A client that has read enough hangs up; that is its good right.
        stream.write_all(answer.as_bytes()).await.ok();
    }
}

fn guard(keys: RemoteKeys, issuer: &str) -> Guard {
    Guard::builder(issuer).audience(ISSUER).keys(keys).build().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_thousand_unknown_keys_cost_one_fetch_more_than_the_first() {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    let guard = issuer.guard();
    assert_eq!(guard.verify(&draft().by(&ES), NOW).await.map(drop), Ok(()));
    let mut all = JoinSet::new();
    for number in 0..1_000 {
        let (guard, token) = (guard.clone(), draft().header("kid", format!("random-{number}")).sign(&ES));
        all.spawn(async move { guard.verify(&token, NOW + seconds(30)).await.map(drop) });
    }
    assert!(all.join_all().await.into_iter().all(|verified| verified == Err(Error::UnknownKey)));
    assert_eq!(issuer.count("/jwks"), 2);
    assert_eq!(guard.verify(&draft().by(&ES), NOW + seconds(30)).await.map(drop), Ok(()));
}

#[tokio::test]
async fn a_thousand_first_tokens_share_one_fetch() {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    let guard = issuer.guard();
    let mut all = JoinSet::new();
    for number in 0..1_000 {
        let (guard, token) = (guard.clone(), draft().claim("jti", number.to_string()).by(&ES));
        all.spawn(async move { guard.verify(&token, NOW).await.map(drop) });
    }
    assert!(all.join_all().await.into_iter().all(|verified| verified == Ok(())));
    assert_eq!(issuer.count("/jwks"), 1);
}

#[tokio::test]
async fn an_issuer_that_goes_down_locks_nobody_out_and_lets_nobody_in() {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    let guard = issuer.guard();
    let seen = draft().by(&ES);
    assert_eq!(guard.verify(&seen, NOW).await.map(drop), Ok(()));
    issuer.stop().await;

    let later = NOW + seconds(600);
    let fresh = draft().claim("jti", "fresh").by(&ES);
    assert_eq!(guard.verify(&draft().by(&ES_OTHER), later).await.map(drop), Err(Error::UnknownKey));
    assert_eq!(guard.verify(&seen, later).await.map(drop), Ok(()));
    assert_eq!(guard.verify(&fresh, later).await.map(drop), Ok(()));
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_first_start_is_no_fault_of_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let guard = guard(RemoteKeys::jwks(&format!("http://{address}/jwks")).unwrap(), ISSUER);
    let token = draft().by(&ES);
    assert_eq!(guard.verify(&token, NOW).await.map(drop), Err(Error::KeysUnavailable));
    assert_eq!(guard.verify("garbage", NOW).await.map(drop), Err(Error::Malformed));

    let issuer = Issuer::listen(TcpListener::bind(address).await.unwrap(), Arc::default());
    issuer.serve("/jwks", &jwks(&[&ES]));
    assert_eq!(
        guard.verify(&token, NOW + seconds(4)).await.map(drop),
        Err(Error::KeysUnavailable),
        "too soon"
    );
    assert_eq!(issuer.count("/jwks"), 0);
    assert_eq!(guard.verify(&token, NOW + seconds(5)).await.map(drop), Ok(()));
}

#[tokio::test]
async fn a_new_key_is_found_as_soon_as_the_issuer_may_be_asked_again() {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    let guard = issuer.guard();
    assert_eq!(guard.verify(&draft().by(&ES), NOW).await.map(drop), Ok(()));
    issuer.serve("/jwks", &jwks(&[&ES, &ES_OTHER]));
    let token = draft().by(&ES_OTHER);
    assert_eq!(guard.verify(&token, NOW + seconds(29)).await.map(drop), Err(Error::UnknownKey));
    assert_eq!(guard.verify(&token, NOW + seconds(30)).await.map(drop), Ok(()));
    assert_eq!(issuer.count("/jwks"), 2);
}

#[tokio::test]
async fn an_unnamed_key_that_was_rolled_is_found() {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    let guard = issuer.guard();
    let unnamed = draft().without_header("kid");
    assert_eq!(guard.verify(&unnamed.sign(&ES), NOW).await.map(drop), Ok(()));
    issuer.serve("/jwks", &jwks(&[&ES_OTHER]));
    assert_eq!(guard.verify(&unnamed.sign(&ES_OTHER), NOW + seconds(30)).await.map(drop), Ok(()));
    assert_eq!(guard.verify(&unnamed.sign(&ES), NOW + seconds(30)).await.map(drop), Err(Error::Signature));
}

#[tokio::test]
async fn a_withdrawn_key_goes_within_the_hour_without_anyone_waiting() {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    let guard = issuer.guard();
    let (token, unknown) = (draft().at("exp", 9_000).by(&ES), draft().header("kid", "unknown").sign(&ES));
    assert_eq!(guard.verify(&token, NOW).await.map(drop), Ok(()));
    issuer.state.arrived.notified().await;
    issuer.serve("/jwks", &jwks(&[&ES_OTHER]));
    let later = NOW + seconds(3_600);
    assert_eq!(guard.verify(&token, later).await.map(drop), Ok(()), "answered from memory, asking meanwhile");
    let asked = tokio::time::timeout(seconds(10), issuer.state.arrived.notified()).await;
    assert!(asked.is_ok(), "the issuer is asked again");
    assert_eq!(guard.verify(&unknown, later).await.map(drop), Err(Error::UnknownKey), "waits for the answer");
    assert_eq!(guard.verify(&token, later).await.map(drop), Err(Error::UnknownKey));
    assert_eq!(issuer.count("/jwks"), 2);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_take_the_fetch_along() {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    let gate = Arc::new(Semaphore::new(0));
    *issuer.state.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let guard = issuer.guard();
    let token = draft().by(&ES);
    let impatient = tokio::spawn({
        let (guard, token) = (guard.clone(), token.clone());
        async move { guard.verify(&token, NOW).await.map(drop) }
    });
    issuer.state.arrived.notified().await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    assert_eq!(guard.verify(&token, NOW).await.map(drop), Ok(()));
    assert_eq!(issuer.count("/jwks"), 1);
}

#[tokio::test]
async fn the_keys_are_found_through_discovery_once() {
    let issuer = Issuer::start().await;
    let url = issuer.url.clone();
    let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
    issuer.serve("/.well-known/openid-configuration", &document);
    issuer.serve("/keys", &jwks(&[&ES]));
    let guard = guard(RemoteKeys::discovery(&url).unwrap(), &url);
    let token = draft().claim("iss", url.clone());
    assert_eq!(guard.verify(&token.clone().by(&ES), NOW).await.map(drop), Ok(()));
    issuer.serve("/keys", &jwks(&[&ES, &ES_OTHER]));
    assert_eq!(guard.verify(&token.by(&ES_OTHER), NOW + seconds(30)).await.map(drop), Ok(()));
    assert_eq!(issuer.count("/.well-known/openid-configuration"), 1);
    assert_eq!(issuer.count("/keys"), 2);
}

#[tokio::test]
async fn keys_that_moved_are_discovered_again() {
    let issuer = Issuer::start().await;
    let url = issuer.url.clone();
    let discovery = "/.well-known/openid-configuration";
    issuer.serve(discovery, &json!({"issuer": url, "jwks_uri": format!("{url}/old")}).to_string());
    issuer.serve("/old", &jwks(&[&ES]));
    let guard = guard(RemoteKeys::discovery(&url).unwrap(), &url);
    let token = draft().claim("iss", url.clone());
    assert_eq!(guard.verify(&token.clone().by(&ES), NOW).await.map(drop), Ok(()));
    issuer.respond("/old", "410 Gone", "", "");
    issuer.serve(discovery, &json!({"issuer": url, "jwks_uri": format!("{url}/new")}).to_string());
    issuer.serve("/new", &jwks(&[&ES, &ES_OTHER]));
    let rolled = token.by(&ES_OTHER);
    assert_eq!(guard.verify(&rolled, NOW + seconds(30)).await.map(drop), Err(Error::UnknownKey));
    assert_eq!(guard.verify(&rolled, NOW + seconds(60)).await.map(drop), Ok(()));
}

#[rstest]
#[case::issuer_with_a_slash(|url: &str| json!({"issuer": format!("{url}/"), "jwks_uri": format!("{url}/jwks")}))]
#[case::other_issuer(|url: &str| json!({"issuer": ISSUER, "jwks_uri": format!("{url}/jwks")}))]
#[case::no_issuer(|url: &str| json!({"jwks_uri": format!("{url}/jwks")}))]
#[case::no_keys(|url: &str| json!({"issuer": url}))]
#[case::keys_over_plain_http(|url: &str| json!({"issuer": url, "jwks_uri": "http://192.0.2.1/jwks"}))]
#[case::keys_in_a_file(|url: &str| json!({"issuer": url, "jwks_uri": "file:///etc/passwd"}))]
#[tokio::test]
async fn a_discovery_document_that_does_not_fit_gives_no_keys(
    #[case] document: impl Fn(&str) -> serde_json::Value,
) {
    let issuer = Issuer::start().await;
    let url = issuer.url.clone();
    issuer.serve("/.well-known/openid-configuration", &document(&url).to_string());
    issuer.serve("/jwks", &jwks(&[&ES]));
    let guard = guard(RemoteKeys::discovery(&url).unwrap(), &url);
    let token = draft().claim("iss", url).by(&ES);
    assert_eq!(guard.verify(&token, NOW).await.map(drop), Err(Error::KeysUnavailable));
    assert_eq!(issuer.count("/.well-known/openid-configuration"), 1);
    assert_eq!(issuer.count("/jwks"), 0);
}

#[rstest]
#[case::error("500 Internal Server Error", "", jwks(&[&ES_OTHER]))]
#[case::redirect("302 Found", "location: /elsewhere\r\n", String::new())]
#[case::not_json("200 OK", "", "<html>".to_owned())]
#[case::no_usable_key("200 OK", "", r#"{"keys":[]}"#.to_owned())]
#[case::too_large("200 OK", "", format!("{}{}", " ".repeat(256 * 1024), jwks(&[&ES_OTHER])))]
#[tokio::test]
async fn an_answer_that_cannot_be_used_leaves_the_keys_as_they_were(
    #[case] status: &str,
    #[case] headers: &str,
    #[case] body: String,
) {
    let issuer = Issuer::start().await;
    issuer.serve("/jwks", &jwks(&[&ES]));
    issuer.serve("/elsewhere", &jwks(&[&ES_OTHER]));
    let guard = issuer.guard();
    assert_eq!(guard.verify(&draft().by(&ES), NOW).await.map(drop), Ok(()));
    issuer.respond("/jwks", status, headers, &body);
    let later = NOW + seconds(30);
    assert_eq!(guard.verify(&draft().by(&ES_OTHER), later).await.map(drop), Err(Error::UnknownKey));
    assert_eq!(issuer.count("/jwks"), 2);
    assert_eq!(issuer.count("/elsewhere"), 0);
    assert_eq!(guard.verify(&draft().claim("jti", "fresh").by(&ES), later).await.map(drop), Ok(()));
}

#[tokio::test]
async fn the_largest_answer_is_read() {
    let issuer = Issuer::start().await;
    let keys = jwks(&[&ES]);
    issuer.serve("/jwks", &format!("{}{keys}", " ".repeat(256 * 1024 - keys.len())));
    assert_eq!(issuer.guard().verify(&draft().by(&ES), NOW).await.map(drop), Ok(()));
}

#[rstest]
#[case::plain_http("http://idp.example.com/jwks")]
#[case::looks_like_loopback("http://127.0.0.1.example.com/jwks")]
#[case::other_scheme("ftp://idp.example.com/jwks")]
#[case::credentials("https://user:pass@idp.example.com/jwks")]
fn keys_are_not_fetched_over_a_wire_anyone_may_sit_on(#[case] url: &str) {
    assert!(matches!(RemoteKeys::jwks(url), Err(UrlError::NotAllowed)));
    assert!(matches!(RemoteKeys::discovery(url), Err(UrlError::NotAllowed)));
}

#[test]
fn an_address_that_is_no_url_is_refused_and_a_public_one_taken() {
    assert!(matches!(RemoteKeys::jwks("idp"), Err(UrlError::Invalid(_))));
    assert!(RemoteKeys::jwks("https://idp.example.com/jwks").is_ok());
    assert!(RemoteKeys::discovery("http://[::1]:8080/realms/acme").is_ok());
}
