//! Answers as providers send them, and as none should.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

fn definition() -> Definition {
    serde_json::from_value(json!({
        "id": "example", "display_name": "Example", "reauthorize_errors": ["token_gone", "Grant is over"],
        "authorization_url": "https://example.com/a", "token_url": "https://example.com/t",
        "extra_fields": ["instance_url", "refresh_token"],
    }))
    .unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect()
}

fn json_answer(status: u16, body: &Value) -> Result<Grant, Error> {
    let headers = headers(&[("content-type", "application/json")]);
    read(status, &headers, body.to_string().as_bytes(), &definition(), AskedFor::Refresh)
}

fn granted(body: &Value) -> Grant {
    json_answer(200, body).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test compares tokens")]
fn text(secret: &Secret) -> &str {
    secret.expose_secret()
}

#[test]
fn a_whole_answer_is_read() {
    let grant = granted(&json!({
        "access_token": "at", "refresh_token": "rt", "expires_in": 3600, "refresh_token_expires_in": 15897600,
        "scope": "repo,read:org gist", "token_type": "bearer", "instance_url": "https://eu1", "other": 1,
    }));
    assert_eq!((text(&grant.access_token), grant.refresh_token.as_ref().map(text)), ("at", Some("rt")));
    assert_eq!((grant.expires_in, grant.refresh_expires_in), (Some(3600), Some(15_897_600)));
    assert_eq!(grant.scope.as_deref(), Some("repo read:org gist"));
    assert_eq!(grant.extra, BTreeMap::from([("instance_url".to_owned(), json!("https://eu1"))]));
}

#[rstest]
#[case(json!(3600), Some(3600))]
#[case(json!("3600"), Some(3600))]
#[case(json!(" 60 "), Some(60))]
#[case(json!(3599.9), Some(3599))]
#[case(json!(1), Some(1))]
#[case(json!(315_360_000), Some(315_360_000))]
#[case(json!(315_360_001), None)]
#[case(json!(0), None)]
#[case(json!(-1), None)]
#[case(json!("-1"), None)]
#[case(json!("soon"), None)]
#[case(json!("NaN"), None)]
#[case(json!("inf"), None)]
#[case(json!(1e300), None)]
#[case(json!(null), None)]
#[case(json!([3600]), None)]
fn a_lifetime_is_known_or_it_is_not(#[case] told: Value, #[case] known: Option<i64>) {
    assert_eq!(granted(&json!({"access_token": "at", "expires_in": told})).expires_in, known);
}

#[test]
fn an_absent_lifetime_is_not_an_hour() {
    assert_eq!(granted(&json!({"access_token": "at"})).expires_in, None);
}

#[test]
fn scopes_come_in_many_forms() {
    for (told, read) in [
        (json!("a b"), Some("a b")),
        (json!(" a,,b , c"), Some("a b c")),
        (json!(["a", "b"]), Some("a b")),
        (json!(""), None),
        (json!(7), None),
        (json!("é"), None),
    ] {
        assert_eq!(granted(&json!({"access_token": "at", "scope": told})).scope.as_deref(), read);
    }
}

#[rstest]
#[case(json!("a\r\nb"))]
#[case(json!("a\u{0}b"))]
#[case(json!("é"))]
#[case(json!(""))]
#[case(json!(" "))]
#[case(json!("a "))]
#[case(json!(7))]
#[case(json!(["a"]))]
fn an_unclean_token_is_no_grant(#[case] token: Value) {
    let access = json_answer(200, &json!({"access_token": token}));
    assert!(matches!(access, Err(Error::Ambiguous { .. })), "{access:?}");
    if token != json!("") {
        let refresh = json_answer(200, &json!({"access_token": "at", "refresh_token": token}));
        assert!(matches!(refresh, Err(Error::Ambiguous { .. })), "{refresh:?}");
    }
}

#[test]
fn an_absent_refresh_token_is_none() {
    for absent in [json!(null), json!(""), json!(false)] {
        assert!(granted(&json!({"access_token": "at", "refresh_token": absent})).refresh_token.is_none());
    }
}

#[rstest]
#[case(200, "bad_refresh_token")]
#[case(200, "invalid_grant")]
#[case(400, "invalid_grant")]
#[case(401, "invalid_grant")]
#[case(403, "invalid_grant")]
#[case(400, "INVALID_GRANT")]
#[case(400, "token_gone")]
#[case(400, "Grant is over")]
fn a_refusal_is_told_apart(#[case] status: u16, #[case] told: &str) {
    let read = json_answer(status, &json!({"error": told, "access_token": "at", "error_description": "x"}));
    assert!(matches!(&read, Err(Error::Refused { code }) if code == told), "{read:?}");
}

#[test]
fn a_refused_code_is_refused_only_as_a_code() {
    let body = json!({"error": "bad_verification_code"}).to_string();
    let asked = |asked| read(200, &HeaderMap::new(), body.as_bytes(), &definition(), asked).unwrap_err();
    assert!(matches!(asked(AskedFor::Code), Error::Refused { .. }));
    assert!(matches!(asked(AskedFor::Refresh), Error::RequestRejected { status: 200, .. }));
}

#[rstest]
#[case(401, "invalid_client")]
#[case(400, "unauthorized_client")]
#[case(200, "incorrect_client_credentials")]
fn a_refused_client_is_ours_to_fix(#[case] status: u16, #[case] told: &str) {
    let read = json_answer(status, &json!({"error": told}));
    assert!(matches!(&read, Err(Error::ClientRejected { code }) if code == told), "{read:?}");
}

#[rstest]
#[case(200, "redirect_uri_mismatch")]
#[case(400, "invalid_scope")]
#[case(404, "invalid_grant")]
fn other_oauth_errors_are_the_requests_fault(#[case] status: u16, #[case] told: &str) {
    let read = json_answer(status, &json!({"error": told}));
    assert!(matches!(&read, Err(Error::RequestRejected { status: s, code }) if *s == status && code == told));
}

#[rstest]
#[case(500, r#"{"error":"invalid_grant"}"#)]
#[case(503, "")]
#[case(302, "")]
#[case(101, "")]
#[case(204, "")]
#[case(200, "")]
#[case(200, "<html>access_token=at</html>")]
#[case(200, "access_token=at")]
#[case(200, r#"{"access_token":"at""#)]
#[case(200, r#"[{"access_token":"at"}]"#)]
#[case(200, r#"{"error":{"code":400},"access_token":"at"}"#)]
#[case(200, r#"{"error":true,"access_token":"at"}"#)]
#[case(200, "{}")]
#[case(404, "not found")]
#[case(400, r#"{"message":"no"}"#)]
#[case(400, r#"{"error":"temporarily_unavailable"}"#)]
#[case(200, r#"{"error":"server_error","access_token":"at"}"#)]
#[case(400, r#"{"error":"this is prose, not a code"}"#)]
fn the_rest_is_ambiguous(#[case] status: u16, #[case] body: &str) {
    let read = read(status, &HeaderMap::new(), body.as_bytes(), &definition(), AskedFor::Refresh);
    assert!(matches!(read, Err(Error::Ambiguous { .. })), "{read:?}");
}

#[test]
fn a_blank_error_is_none() {
    for blank in [json!(null), json!("")] {
        assert!(json_answer(200, &json!({"error": blank, "access_token": "at"})).is_ok());
    }
}

#[test]
fn forms_are_read_where_expected_or_named() {
    let body = b"access_token=gho_1&scope=repo%2Cgist&token_type=bearer&expires_in=28800";
    let named = headers(&[("content-type", "application/x-www-form-urlencoded; charset=utf-8")]);
    let grant = read(200, &named, body, &definition(), AskedFor::Code).unwrap();
    assert_eq!((grant.expires_in, grant.scope.as_deref()), (Some(28_800), Some("repo gist")));
    let form = Definition { response_format: Format::Form, ..definition() };
    assert!(read(200, &HeaderMap::new(), body, &form, AskedFor::Code).is_ok());
    assert!(read(200, &HeaderMap::new(), br#"{"access_token":"at"}"#, &form, AskedFor::Code).is_ok());
    let page = headers(&[("content-type", "text/html")]);
    assert!(read(200, &page, body, &form, AskedFor::Code).is_err());
    let twice = read(200, &named, b"access_token=a&access_token=b", &definition(), AskedFor::Code);
    assert!(matches!(twice, Err(Error::Ambiguous { .. })));
    let refusal = read(200, &named, b"error=bad_refresh_token&access_token=a", &form, AskedFor::Refresh);
    assert!(matches!(refusal, Err(Error::Refused { .. })));
}

#[rstest]
#[case(&[("retry-after", "120")], Some(120))]
#[case(&[("retry-after", "Wed, 25 Nov 2026 10:01:30 GMT"), ("date", "Wed, 25 Nov 2026 10:00:00 GMT")], Some(90))]
#[case(&[("retry-after", "Wed, 25 Nov 2026 09:00:00 GMT"), ("date", "Wed, 25 Nov 2026 10:00:00 GMT")], Some(0))]
#[case(&[("retry-after", "Wed, 25 Nov 2026 10:01:30 GMT")], None)]
#[case(&[("retry-after", "-1")], None)]
#[case(&[("retry-after", "soon")], None)]
#[case(&[], None)]
fn a_rate_limit_tells_how_long(#[case] pairs: &[(&str, &str)], #[case] seconds: Option<u64>) {
    let body = br#"{"error":"invalid_grant"}"#;
    let error = read(429, &headers(pairs), body, &definition(), AskedFor::Refresh).unwrap_err();
    let Error::RateLimited { retry_after } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, seconds.map(Duration::from_secs));
}

#[test]
fn an_outage_may_tell_how_long_too() {
    let error =
        read(503, &headers(&[("retry-after", "7")]), b"", &definition(), AskedFor::Refresh).unwrap_err();
    assert!(matches!(error, Error::Ambiguous { retry_after: Some(wait), .. } if wait.as_secs() == 7));
}

#[test]
fn a_large_extra_is_dropped() {
    let grant = granted(&json!({"access_token": "at", "instance_url": "x".repeat(EXTRA_LIMIT)}));
    assert!(grant.extra.is_empty());
}

#[test]
fn errors_hold_nothing_of_the_answer() {
    for body in [
        r#"{"error":"canary canary"}"#,
        r#"{"access_token":"can\nary"}"#,
        "canary",
        r#"{"error":{"canary":1}}"#,
    ] {
        let error =
            read(400, &HeaderMap::new(), body.as_bytes(), &definition(), AskedFor::Refresh).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

/// Bodies near to real ones: some fields of an answer with odd values, as JSON or form.
fn near_bodies() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "access_token",
        "refresh_token",
        "expires_in",
        "scope",
        "error",
        "token_type",
        "instance_url",
    ]);
    let value = prop_oneof![
        any::<String>().prop_map(Value::String),
        "[ -~]{0,40}".prop_map(Value::String),
        any::<f64>().prop_map(|n| json!(n)),
        any::<i64>().prop_map(|n| json!(n)),
        Just(Value::Null),
        Just(json!(["a", 1])),
        Just(json!({"a": true})),
    ];
    let fields = prop::collection::vec((name, value), 0..6);
    (fields, any::<bool>()).prop_map(|(fields, json)| {
        if json {
            let object: Map<_, _> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Value::Object(object).to_string().into_bytes()
        } else {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in fields {
                form.append_pair(name, value.as_str().unwrap_or("7"));
            }
            form.finish().into_bytes()
        }
    })
}

proptest! {
    #[test]
    fn whatever_comes_a_grant_has_a_clean_token(
        status in 100_u16..600,
        content_type in prop::sample::select(vec!["", "application/json", "application/x-www-form-urlencoded", "text/html"]),
        retry in "[ -~]{0,30}",
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), near_bodies()],
        form in any::<bool>(),
        asked in prop::sample::select(vec![AskedFor::Code, AskedFor::Refresh]),
    ) {
        let format = if form { Format::Form } else { Format::Json };
        let definition = Definition { response_format: format, ..definition() };
        let headers = headers(&[("content-type", content_type), ("retry-after", retry.trim())]);
        match read(status, &headers, &body, &definition, asked) {
            Ok(grant) => {
                prop_assert!((200..300).contains(&status));
                let tokens = [Some(&grant.access_token), grant.refresh_token.as_ref()];
                for token in tokens.into_iter().flatten().map(text) {
                    prop_assert!(!token.is_empty() && token.bytes().all(|b| (b' '..=b'~').contains(&b)));
                }
                prop_assert!(grant.expires_in.is_none_or(|s| s > 0 && s <= 315_360_000));
                prop_assert!(!grant.extra.contains_key("refresh_token"));
            }
            Err(error) => prop_assert!(error.to_string().len() < 200),
        }
    }

    #[test]
    fn a_sound_answer_is_always_read(token in "[!-~]{1,200}", life in 1_i64..315_360_000, text_life in any::<bool>()) {
        let told = if text_life { json!(life.to_string()) } else { json!(life) };
        let grant = granted(&json!({"access_token": token, "expires_in": told}));
        prop_assert_eq!(text(&grant.access_token), token.as_str());
        prop_assert_eq!(grant.expires_in, Some(life));
    }
}
