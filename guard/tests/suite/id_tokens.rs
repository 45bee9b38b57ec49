//! Which ID tokens are believed?

use aws_lc_rs::{digest, hmac};
use jeton_guard::{
    Algorithm, Error, Expected, GivenKeys, IdTokenError, IdTokens, KeySet, MAX_ID_TOKEN_BYTES,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Draft, ED, ES, ES_OTHER, ISSUER, NOW, RS, base64, draft, key_set};

const EXPECTED: Expected<'static> = Expected { nonce: "n-1", access_token: Some("the access token") };

fn good() -> Draft {
    ["client_id", "scope", "role", "jti"]
        .into_iter()
        .fold(draft(), Draft::without)
        .without_header("typ")
        .claim("aud", "jeton")
        .claim("nonce", "n-1")
}

fn tokens() -> IdTokens {
    IdTokens::new(ISSUER, "jeton", GivenKeys::new(key_set(&[&ES, &RS, &ED])))
}

fn half(hash: &'static digest::Algorithm) -> String {
    let hash = digest::digest(hash, b"the access token");
    base64(&hash.as_ref()[..hash.as_ref().len() / 2])
}

#[rstest]
#[case::bare(good().sign(&ES))]
#[case::named(good().header("typ", "JWT").sign(&ES))]
#[case::rsa(good().by(&RS))]
#[case::ed25519(good().claim("at_hash", half(&digest::SHA512)).by(&ED))]
#[case::hash_of_the_access_token(good().claim("at_hash", half(&digest::SHA256)).sign(&ES))]
#[case::one_audience_in_a_list(good().claim("aud", json!(["jeton"])).sign(&ES))]
#[case::several_audiences_and_us(good().claim("aud", json!(["a", "jeton"])).claim("azp", "jeton").sign(&ES))]
#[case::claims_of_any_kind(good().claim("role", json!(["a"])).claim("scope", 7).sign(&ES))]
#[case::expired_within_the_leeway(good().at("exp", -29).sign(&ES))]
#[tokio::test]
async fn the_answer_to_our_own_request_is_believed(#[case] token: String) {
    let tokens = tokens().algorithms([Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]);
    let identity = tokens.verify(&token, EXPECTED, NOW).await.unwrap();
    assert_eq!(identity.subject, "pipeline");
    assert!(!identity.claims.contains_key("iss") && !identity.claims.contains_key("nonce"));
}

#[rstest]
#[case::another_nonce(IdTokenError::Nonce, good().claim("nonce", "n-2").sign(&ES))]
#[case::no_nonce(IdTokenError::Nonce, good().without("nonce").sign(&ES))]
#[case::another_party(IdTokenError::AuthorizedParty, good().claim("azp", "a").sign(&ES))]
#[case::no_party(IdTokenError::AuthorizedParty, good().claim("aud", json!(["jeton", "a"])).sign(&ES))]
#[case::another_access_token(IdTokenError::AccessTokenHash, good().claim("at_hash", "x").sign(&ES))]
#[case::access_token(Error::Type, good().header("typ", "at+jwt").sign(&ES))]
#[case::logout_token(Error::Type, good().header("typ", "logout+jwt").sign(&ES))]
#[case::another_audience(Error::Audience, good().claim("aud", "Jeton").sign(&ES))]
#[case::no_audience(Error::MissingClaim("aud"), good().without("aud").sign(&ES))]
#[case::another_issuer(Error::Issuer, good().claim("iss", format!("{ISSUER}/")).sign(&ES))]
#[case::no_issuer(Error::MissingClaim("iss"), good().without("iss").sign(&ES))]
#[case::no_subject(Error::MissingClaim("sub"), good().claim("sub", "").sign(&ES))]
#[case::no_end(Error::MissingClaim("exp"), good().without("exp").sign(&ES))]
#[case::no_issue_time(Error::MissingClaim("iat"), good().without("iat").sign(&ES))]
#[case::expired(Error::Expired, good().at("exp", -30).sign(&ES))]
#[case::issued_in_the_future(Error::NotYetValid, good().at("iat", 31).sign(&ES))]
#[case::not_before(Error::NotYetValid, good().at("nbf", 31).sign(&ES))]
#[case::another_key(Error::Signature, good().sign(&ES_OTHER))]
#[case::unknown_key(Error::UnknownKey, good().header("kid", "es-9").sign(&ES))]
#[case::its_own_key(Error::Header("jwk"), good().header("jwk", ES.jwk()).sign(&ES))]
#[case::algorithm_not_listed(Error::Algorithm, good().by(&ED))]
#[case::none(Error::Algorithm, format!("{}.", good().header("alg", "none").unsigned()))]
#[case::hs256(Error::Algorithm, hs256())]
#[case::no_token(Error::Malformed, String::new())]
#[case::too_long(Error::TooLong, "a".repeat(MAX_ID_TOKEN_BYTES + 1))]
#[tokio::test]
async fn anything_else_is_refused(#[case] error: impl Into<IdTokenError>, #[case] token: String) {
    let error = error.into();
    assert_eq!(tokens().verify(&token, EXPECTED, NOW).await, Err(error));
    let hint = tokens().verify_hint(&token, NOW).await;
    match error {
        // It answers no request of now, and need not live.
        IdTokenError::Nonce | IdTokenError::AccessTokenHash | IdTokenError::Token(Error::Expired) => {
            assert_eq!(hint.unwrap().subject, "pipeline");
        }
        other => assert_eq!(hint, Err(other)),
    }
}

#[tokio::test]
async fn a_request_without_nonce_is_answered_by_no_token() {
    let expected = Expected { nonce: "", access_token: None };
    for token in [good().claim("nonce", ""), good().without("nonce")] {
        assert_eq!(tokens().verify(&token.sign(&ES), expected, NOW).await, Err(IdTokenError::Nonce));
    }
}

#[tokio::test]
async fn a_hash_without_an_access_token_beside_it_is_of_no_use_and_no_harm() {
    let expected = Expected { access_token: None, ..EXPECTED };
    let token = good().claim("at_hash", Value::from("x")).sign(&ES);
    assert!(tokens().verify(&token, expected, NOW).await.is_ok());
}

#[tokio::test]
async fn without_keys_nobody_can_say() {
    let keyless = IdTokens::new(ISSUER, "jeton", GivenKeys::new(KeySet::default()));
    let refused = keyless.verify(&good().sign(&ES), EXPECTED, NOW).await;
    assert_eq!(refused, Err(Error::KeysUnavailable.into()));
}

fn hs256() -> String {
    let signed = good().header("alg", "HS256").unsigned();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &ES.public_bytes()), signed.as_bytes());
    format!("{signed}.{}", base64(tag.as_ref()))
}
