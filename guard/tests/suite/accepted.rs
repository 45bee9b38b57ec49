//! Which tokens are accepted, and what is read from them?

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jeton_guard::{Algorithm, AuthorizationDetail, BuildError, Error, GivenKeys, Guard, KeySet};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Draft, ED, ES, ISSUER, NOW, RS, builder, draft};

#[tokio::test]
async fn the_claims_of_our_own_tokens_are_typed() {
    let guard = builder(&[&ES]).build().unwrap();
    let details = json!([
        {"type": "binb_token", "locations": ["acme/github", "globex/*"], "note": "n"},
        {"type": "payment", "amount": 3},
    ]);
    let token = draft().claim("authorization_details", details).claim("preferred_username", "ada").sign(&ES);
    let claims = guard.verify(&token, NOW).await.unwrap();

    assert_eq!(claims.issuer, ISSUER);
    assert_eq!(claims.subject, "pipeline");
    assert_eq!(claims.audience, [ISSUER]);
    assert_eq!(claims.client_id.as_deref(), Some("pipeline"));
    assert_eq!(claims.issued_at, Some(NOW));
    assert_eq!(claims.expires_at, NOW + Duration::from_secs(3600));
    assert_eq!(claims.not_before, None);
    assert_eq!(claims.id.as_deref(), Some("0199"));
    assert_eq!(claims.role.as_deref(), Some("superadmin"));
    assert!(claims.has_scope("binb:read") && claims.has_scope("apps:read"));
    assert!(!claims.has_scope("binb") && !claims.has_scope("BINB:READ") && !claims.has_scope(""));
    assert_eq!(claims.binb_locations(), Some(vec!["acme/github", "globex/*"]));
    let details = claims.authorization_details.as_ref().unwrap();
    assert!(matches!(&details[0], AuthorizationDetail::BinbToken { extra, .. } if extra["note"] == "n"));
    assert!(matches!(&details[1], AuthorizationDetail::Other(raw) if raw["amount"] == 3));
    assert_eq!(Value::Object(claims.extra.clone()), json!({"preferred_username": "ada"}));
}

#[tokio::test]
async fn a_token_without_details_is_not_confined_and_one_for_other_things_is() {
    let guard = builder(&[&ES]).build().unwrap();
    let free = guard.verify(&draft().sign(&ES), NOW).await.unwrap();
    assert_eq!(free.binb_locations(), None);
    let other = draft().claim("authorization_details", json!([{"type": "payment"}])).sign(&ES);
    assert_eq!(guard.verify(&other, NOW).await.unwrap().binb_locations(), Some(vec![]));
}

#[tokio::test]
async fn a_role_that_is_no_word_is_the_issuers_own_claim() {
    let guard = builder(&[&ES]).build().unwrap();
    let claims = guard.verify(&draft().claim("role", json!(["admin"])).sign(&ES), NOW).await.unwrap();
    assert_eq!((claims.role.as_deref(), &claims.extra["role"]), (None, &json!(["admin"])));
}

#[rstest]
#[case::type_in_full(|d: Draft| d.header("typ", "application/at+jwt"))]
#[case::type_in_capitals(|d: Draft| d.header("typ", "AT+JWT"))]
#[case::several_audiences(|d: Draft| d.claim("aud", json!(["https://terms.example.com", ISSUER])))]
#[case::expired_within_the_leeway(|d: Draft| d.at("exp", -29))]
#[case::not_before_within_the_leeway(|d: Draft| d.at("nbf", 30))]
#[case::issued_within_the_leeway(|d: Draft| d.at("iat", 30))]
#[case::fraction_of_a_second(|d: Draft| d.claim("exp", 4_102_444_800.5))]
#[case::no_issue_time(|d: Draft| d.without("iat"))]
#[case::no_scope(|d: Draft| d.without("scope"))]
#[case::thumbprint_header(|d: Draft| d.header("x5t", "abc"))]
#[tokio::test]
async fn an_unusual_but_good_token_is_accepted(#[case] change: impl Fn(Draft) -> Draft) {
    let guard = builder(&[&ES, &RS]).build().unwrap();
    assert_eq!(guard.verify(&change(draft()).sign(&ES), NOW).await.map(drop), Ok(()));
}

#[tokio::test]
async fn each_algorithm_is_verified_where_it_is_allowed() {
    let all = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa];
    let guard = builder(&[&ES, &RS, &ED]).algorithms(all).build().unwrap();
    let ps256 = draft().header("alg", "PS256").header("kid", "rs-1").sign(&RS);
    let ed25519 = draft().header("alg", "Ed25519").header("kid", "ed-1").sign(&ED);
    for token in [draft().by(&ES), draft().by(&RS), ps256, draft().by(&ED), ed25519] {
        assert_eq!(guard.verify(&token, NOW).await.map(drop), Ok(()));
    }
    let only_rs256 = builder(&[&ES, &RS]).algorithms([Algorithm::Rs256]).build().unwrap();
    assert_eq!(only_rs256.verify(&draft().by(&ES), NOW).await.map(drop), Err(Error::Algorithm));
    assert_eq!(only_rs256.verify(&draft().by(&RS), NOW).await.map(drop), Ok(()));
}

#[tokio::test]
async fn a_token_without_kid_is_accepted_where_the_issuer_has_one_key() {
    let guard = builder(&[&ES]).build().unwrap();
    assert_eq!(guard.verify(&draft().without_header("kid").sign(&ES), NOW).await.map(drop), Ok(()));
}

#[tokio::test]
async fn a_foreign_issuer_may_send_plain_jwts_and_scp() {
    let guard = builder(&[&ES]).accept_plain_jwt().build().unwrap();
    let bare = draft().without_header("typ").without("scope");
    for scp in [json!("terms:read terms:write"), json!(["terms:read", "terms:write"])] {
        let claims = guard.verify(&bare.clone().claim("scp", scp).sign(&ES), NOW).await.unwrap();
        assert!(claims.has_scope("terms:read") && claims.has_scope("terms:write"));
    }
    let keycloak = draft().header("typ", "JWT").claim("typ", "Bearer").sign(&ES);
    assert_eq!(guard.verify(&keycloak, NOW).await.map(drop), Ok(()));
    assert_eq!(guard.verify(&draft().sign(&ES), NOW).await.map(drop), Ok(()), "at+jwt still passes");
}

#[tokio::test]
async fn leeway_is_what_was_asked_for() {
    let strict = builder(&[&ES]).leeway(Duration::ZERO).build().unwrap();
    assert_eq!(strict.verify(&draft().at("exp", 1).sign(&ES), NOW).await.map(drop), Ok(()));
    assert_eq!(strict.verify(&draft().at("exp", 0).sign(&ES), NOW).await.map(drop), Err(Error::Expired));
    assert_eq!(strict.verify(&draft().at("iat", 1).sign(&ES), NOW).await.map(drop), Err(Error::NotYetValid));
    let wide = builder(&[&ES]).leeway(Duration::from_secs(60)).build().unwrap();
    assert_eq!(wide.verify(&draft().at("exp", -59).sign(&ES), NOW).await.map(drop), Ok(()));
}

#[test]
fn a_guard_that_would_accept_too_much_is_not_built() {
    let keys = || GivenKeys::new(KeySet::default());
    let error = |built: Result<Guard, BuildError>| built.err();
    assert_eq!(error(Guard::builder("").audience("a").keys(keys()).build()), Some(BuildError::NoIssuer));
    assert_eq!(error(Guard::builder("i").keys(keys()).build()), Some(BuildError::NoAudience));
    assert_eq!(error(Guard::builder("i").audience("").keys(keys()).build()), Some(BuildError::NoAudience));
    assert_eq!(error(Guard::builder("i").audience("a").build()), Some(BuildError::NoKeys));
    let none = Guard::builder("i").audience("a").keys(keys()).algorithms([]);
    assert_eq!(error(none.build()), Some(BuildError::NoAlgorithm));
    let long = Guard::builder("i").audience("a").keys(keys()).leeway(Duration::from_millis(60_001));
    assert_eq!(error(long.build()), Some(BuildError::LeewayTooLong));
}

/// What this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn another_audience_or_issuer_is_named_in_the_log_once_a_minute() {
    let (lines, _quiet) = Lines::start();
    let guard = builder(&[&ES]).build().unwrap();
    let shop = draft().claim("aud", "https://shop.example").claim("sub", "canary").sign(&ES);
    let other = draft().claim("iss", "https://other.example").claim("sub", "canary").sign(&ES);
    for (later, count) in [(0, 1), (59, 1), (61, 2)] {
        let now = NOW + time::Duration::seconds(later);
        assert_eq!(guard.verify(&shop, now).await.map(drop), Err(Error::Audience));
        assert_eq!(guard.verify(&other, now).await.map(drop), Err(Error::Issuer));
        let log = lines.text();
        for told in [
            r#"WARN jeton_guard::guard: the token is for another audience; the same is not logged again for a minute"#,
            r#"WARN jeton_guard::guard: the token is from another issuer; the same is not logged again for a minute"#,
            &format!("expected={ISSUER:?} got=\"https://shop.example\""),
            &format!("expected={ISSUER:?} got=\"https://other.example\""),
        ] {
            assert_eq!(log.matches(told).count(), count, "{told} in {log}");
        }
        assert!(!log.contains("canary"), "{log}");
        assert!(
            [&shop, &other].into_iter().all(|token| !log.contains(token.rsplit('.').next().unwrap())),
            "{log}"
        );
    }
}

#[tokio::test]
async fn clock_skew_is_named_in_the_log_without_the_token() {
    let (lines, _quiet) = Lines::start();
    let guard = builder(&[&ES]).build().unwrap();
    for claim in ["iat", "nbf"] {
        lines.0.lock().unwrap().clear();
        let token = draft().at(claim, 95).sign(&ES);
        assert_eq!(guard.verify(&token, NOW).await.map(drop), Err(Error::NotYetValid));
        let log = lines.text();
        assert!(log.contains("clock skew") && log.contains("clock.skew_seconds=95"), "{log}");
        assert!(log.contains(&format!("a token whose `{claim}` lies")), "{log}");
        assert!(token.split('.').all(|part| !log.contains(part)), "{log}");
    }
}
