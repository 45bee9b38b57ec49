//! Every fault, as the caller sees it and as the ledger tells it.

use std::time::Duration;

use reqwest::{Response, header};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::driver::{Driver, Tokens, json_of, returned};
use crate::sandbox::{ExpiresIn, Faults, Format, Iss, Outcome, Profile, Rotation, Trouble};

/// What came back for a refresh under a fault.
enum Seen {
    /// No answer at all.
    Broken,
    Answer(Response),
}

async fn refresh_under(driver: &Driver, tokens: &Tokens, faults: Faults) -> Seen {
    driver.faults(faults);
    match driver.refresh_request(tokens.refresh()).send().await {
        Ok(answer) => Seen::Answer(answer),
        Err(error) => {
            assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
            Seen::Broken
        }
    }
}

/// Status, beginning of the content type, whether the body is readable JSON.
type Look = (u16, &'static str, bool);

/// Each trouble, and what the caller must see of it; none: a broken connection.
fn on_the_wire() -> Vec<(Trouble, Option<Look>)> {
    vec![
        (Trouble::Reset, None),
        (Trouble::RateLimited { retry_after_s: 7 }, Some((429, "application/json", true))),
        (Trouble::Status(500), Some((500, "text/plain", false))),
        (Trouble::invalid_grant(), Some((400, "application/json", true))),
        (Trouble::forbidden_grant(), Some((403, "application/json", true))),
        (Trouble::invalid_client(), Some((401, "application/json", true))),
        (Trouble::error_with_200("bad_refresh_token"), Some((200, "application/json", true))),
        (Trouble::Html, Some((200, "text/html", false))),
        (Trouble::Truncated, Some((200, "application/json", false))),
        (Trouble::BrokenJson, Some((200, "application/json", false))),
        (Trouble::Huge, Some((200, "application/json", true))),
        (Trouble::GzipBomb, Some((200, "application/json", false))),
        (Trouble::Redirect, Some((307, "", false))),
    ]
}

#[tokio::test]
async fn trouble_before_spends_nothing_and_trouble_after_has_spent() {
    let driver = Driver::of(Profile::standard());
    for (trouble, expected) in on_the_wire() {
        let tokens = driver.connect().await;
        for (faults, outcome) in [
            (Faults::before(trouble.clone()), Outcome::NotProcessed),
            (Faults::after(trouble.clone()), Outcome::Rotated),
        ] {
            match (refresh_under(&driver, &tokens, faults.times(1)).await, expected) {
                (Seen::Broken, None) => {}
                (Seen::Answer(answer), Some((status, content_type, readable))) => {
                    assert_eq!(answer.status(), status, "{trouble:?}");
                    let told = answer.headers().get(header::CONTENT_TYPE).map(|t| t.to_str().unwrap());
                    assert!(told.unwrap_or_default().starts_with(content_type), "{trouble:?}: {told:?}");
                    assert_eq!(answer.json::<Value>().await.is_ok(), readable, "{trouble:?}");
                }
                (Seen::Broken, Some(_)) => panic!("{trouble:?} broke the connection"),
                (Seen::Answer(answer), None) => panic!("{trouble:?} answered {}", answer.status()),
            }
            let ledger = driver.ledger();
            let mut presentations = ledger.refresh_tokens.iter().flat_map(|entry| &entry.presentations);
            let last = presentations.next_back().unwrap();
            assert_eq!((last.outcome, last.trouble.as_ref()), (outcome, Some(&trouble)));
        }
        let (status, refused) = driver.refresh(tokens.refresh()).await;
        assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")), "{trouble:?} had spent it");
    }
    driver.stop().await;
}

#[tokio::test]
async fn floods_are_as_big_as_they_say() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    for (trouble, least) in [(Trouble::Huge, 64 << 20), (Trouble::GzipBomb, 64 << 20)] {
        let Seen::Answer(answer) = refresh_under(&driver, &tokens, Faults::before(trouble)).await else {
            panic!("no answer");
        };
        let sent = answer.content_length();
        let body = answer.bytes().await.expect("a body that unpacks, its checksum right");
        assert!(body.len() >= least, "{} bytes", body.len());
        assert!(sent.is_none_or(|length| length < 1 << 20));
    }
    driver.stop().await;
}

#[tokio::test]
async fn a_cut_body_ends_short_of_its_length() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    let Seen::Answer(answer) = refresh_under(&driver, &tokens, Faults::before(Trouble::Truncated)).await
    else {
        panic!("no answer");
    };
    let promised = answer.content_length().expect("a length");
    assert!(promised > 50);
    assert!(answer.bytes().await.is_err());
    driver.stop().await;
}

#[tokio::test]
async fn retry_after_and_the_redirect_say_where_to_go() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    let limited = Faults::before(Trouble::RateLimited { retry_after_s: 7 });
    let Seen::Answer(answer) = refresh_under(&driver, &tokens, limited).await else { panic!("no answer") };
    assert_eq!(answer.headers()[header::RETRY_AFTER], "7");
    let Seen::Answer(answer) = refresh_under(&driver, &tokens, Faults::before(Trouble::Redirect)).await
    else {
        panic!("no answer");
    };
    assert!(answer.headers()[header::LOCATION].to_str().unwrap().ends_with("/redirected"));
    driver.stop().await;
}

#[tokio::test]
async fn bent_answers_are_still_answers() {
    let driver = Driver::of(Profile::standard());
    let bent = |faults: Faults| async {
        let tokens = driver.connect().await;
        driver.faults(faults);
        let answer = driver.refresh(tokens.refresh()).await.1;
        driver.faults(Faults::default());
        (tokens, answer)
    };
    let expires_in = |expires_in| Faults { expires_in: Some(expires_in), ..Faults::default() };
    assert!(bent(expires_in(ExpiresIn::Missing)).await.1.get("expires_in").is_none());
    assert_eq!(bent(expires_in(ExpiresIn::String)).await.1["expires_in"], "3600");
    assert_eq!(bent(expires_in(ExpiresIn::Negative)).await.1["expires_in"], -1);
    assert_eq!(bent(expires_in(ExpiresIn::Absurd)).await.1["expires_in"], 1_000_000_000_000_u64);
    let short = Faults { lifetime_s: Some(90), ..Faults::default() };
    assert_eq!(bent(short).await.1["expires_in"], 90);
    let narrowed = Faults { scope: Some("less".into()), ..Faults::default() };
    assert_eq!(bent(narrowed).await.1["scope"], "less");

    let omitted = Faults { omit_refresh_token: true, ..Faults::default() };
    let (tokens, answer) = bent(omitted).await;
    assert!(answer.get("refresh_token").is_none());
    assert_eq!(driver.refresh(tokens.refresh()).await.0, 200, "the old one stays in force");

    let still = Faults { rotation: Some(Rotation::None), ..Faults::default() };
    let (tokens, answer) = bent(still).await;
    assert_eq!(answer["refresh_token"], tokens.0["refresh_token"]);

    let deadly = Faults { kills_access_token: Some(true), ..Faults::default() };
    let (tokens, _) = bent(deadly).await;
    assert!(!driver.lives(tokens.access()).await);
    driver.stop().await;
}

#[tokio::test]
async fn an_answer_comes_as_a_form_where_a_fault_says_so() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    let form = Faults { format: Some(Format::Form), ..Faults::default() };
    let Seen::Answer(answer) = refresh_under(&driver, &tokens, form).await else { panic!("no answer") };
    assert!(answer.headers()[header::CONTENT_TYPE].to_str().unwrap().contains("form-urlencoded"));
    assert!(answer.text().await.unwrap().contains("expires_in=3600"));
    driver.stop().await;
}

#[tokio::test]
async fn slowness_is_felt_and_told() {
    let driver = Driver::of(Profile::standard());
    for faults in [
        Faults { delay_ms: Some(60), ..Faults::default() },
        Faults { slow_head_ms: Some(60), ..Faults::default() },
        Faults { slow_body_ms: Some(60), ..Faults::default() },
    ] {
        let tokens = driver.connect().await;
        driver.faults(faults.times(1));
        let begun = std::time::Instant::now();
        let (status, answer) = driver.refresh(tokens.refresh()).await;
        assert!(begun.elapsed() >= Duration::from_millis(60));
        assert_eq!((status, answer["token_type"].as_str()), (200, Some("Bearer")));
        let ledger = driver.ledger();
        let slow = ledger.refresh_tokens.iter().flat_map(|entry| &entry.presentations).next_back().unwrap();
        assert_eq!(slow.waiting_ms, 60);
    }
    driver.stop().await;
}

/// Sends a refresh by hand, and resets the connection as soon as it has arrived.
async fn refresh_and_reset(driver: &Driver, token: &str) {
    let url = driver.url("/token");
    let body =
        format!("grant_type=refresh_token&client_id=app&client_secret=sandbox-secret&refresh_token={token}");
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    stream.set_zero_linger().unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    while driver.ledger().refresh_tokens[0].presented == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_caller_who_breaks_off_does_not_stop_the_spending() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    driver.faults(Faults { delay_ms: Some(100), ..Faults::default() });
    refresh_and_reset(&driver, tokens.refresh()).await;
    // The same delay again: this one is processed behind the one that broke off.
    assert_eq!(driver.refresh(tokens.refresh()).await.1["error"], "invalid_grant");
    let outcomes: Vec<_> =
        driver.ledger().refresh_tokens[0].presentations.iter().map(|p| p.outcome).collect();
    assert_eq!(outcomes, [Outcome::Rotated, Outcome::Reused]);
    driver.stop().await;
}

#[tokio::test]
async fn a_cap_kills_the_oldest_and_a_wrong_issuer_is_named() {
    let driver = Driver::of(Profile::standard());
    driver.faults(Faults { token_cap: Some(2), iss: Some(Iss::Wrong), ..Faults::default() });
    let (first, second) = (driver.connect().await, driver.connect().await);
    driver.connect().await;
    assert!(!driver.lives(first.access()).await && driver.lives(second.access()).await);
    let answer = driver.decide(driver.asking("app", "read"), "alice", "approve").await;
    assert_eq!(returned(&answer)["iss"], "https://somebody-else.example");
    driver.faults(Faults { iss: Some(Iss::Missing), ..Faults::default() });
    let answer = driver.decide(driver.asking("app", "read"), "alice", "approve").await;
    assert!(!returned(&answer).contains_key("iss"));
    driver.stop().await;
}

#[tokio::test]
async fn a_revocation_can_fail() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    driver.faults(Faults { revocation_status: Some(503), ..Faults::default() });
    let form = [("client_id", "app"), ("client_secret", "sandbox-secret"), ("token", tokens.access())];
    assert_eq!(json_of(driver.http.post(driver.url("/revoke")).form(&form)).await.0, 503);
    assert!(driver.lives(tokens.access()).await);
    driver.stop().await;
}
