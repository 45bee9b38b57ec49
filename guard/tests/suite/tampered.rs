//! Which tokens are refused, and with which cause?

use aws_lc_rs::hmac;
use jeton_guard::{Error, MAX_TOKEN_BYTES};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Draft, ED, ES, ES_OTHER, ISSUER, NOW, RS, base64, builder, draft, sign_raw};

fn hs256(secret: &[u8]) -> String {
    let signed = draft().header("alg", "HS256").unsigned();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", base64(tag.as_ref()))
}

fn part(token: &str, index: usize) -> String {
    token.split('.').nth(index).unwrap_or_default().to_owned()
}

fn by_es(change: impl Fn(Draft) -> Draft) -> String {
    change(draft()).sign(&ES)
}

/// The claims of one good token under the signature of another.
fn grafted() -> String {
    let (good, wide) = (draft().sign(&ES), draft().claim("role", "admin").sign(&ES));
    format!("{}.{}.{}", part(&good, 0), part(&wide, 1), part(&good, 2))
}

fn repeated_expiry() -> String {
    let payload = format!(r#"{{"iss":"{ISSUER}","sub":"a","aud":"{ISSUER}","exp":1,"exp":4102444800}}"#);
    sign_raw(&ES, r#"{"typ":"at+jwt","alg":"ES256","kid":"es-1"}"#, &payload)
}

/// What nobody may take, and why: each made of a good token of `ES`, where the issuer's keys are `ES`, `RS` and `ED`.
pub(crate) fn tampered() -> Vec<Tampered> {
    [forged(), unfit()].concat()
}

type Tampered = (&'static str, Error, String);

/// What its form and its signature give away.
fn forged() -> Vec<Tampered> {
    vec![
        // The algorithm.
        ("none", Error::Algorithm, format!("{}.", draft().header("alg", "none").unsigned())),
        ("none_capitalised", Error::Algorithm, format!("{}.", draft().header("alg", "NoNe").unsigned())),
        ("none_signed", Error::Algorithm, by_es(|d| d.header("alg", "none"))),
        ("no_algorithm", Error::Malformed, by_es(|d| d.without_header("alg"))),
        ("hs256_with_the_public_key", Error::Algorithm, hs256(&ES.public_bytes())),
        ("hs256_with_the_public_jwk", Error::Algorithm, hs256(ES.jwk().to_string().as_bytes())),
        ("algorithm_of_another_key", Error::Algorithm, by_es(|d| d.header("alg", "RS256"))),
        ("rsa_key_as_ec", Error::Algorithm, by_es(|d| d.header("kid", "rs-1"))),
        ("algorithm_not_allowed", Error::Algorithm, draft().by(&ED)),
        (
            "padding_not_allowed",
            Error::Algorithm,
            draft().header("alg", "PS256").header("kid", "rs-1").sign(&RS),
        ),
        // The key.
        ("embedded_key", Error::Header("jwk"), by_es(|d| d.header("jwk", ES.jwk()))),
        ("key_address", Error::Header("jku"), by_es(|d| d.header("jku", "https://evil.example/jwks"))),
        (
            "certificate_address",
            Error::Header("x5u"),
            by_es(|d| d.header("x5u", "https://evil.example/cert")),
        ),
        ("certificate", Error::Header("x5c"), by_es(|d| d.header("x5c", json!(["MIIB"])))),
        ("unknown_key", Error::UnknownKey, by_es(|d| d.header("kid", "es-9"))),
        ("no_kid_among_several", Error::UnknownKey, by_es(|d| d.without_header("kid"))),
        ("kid_of_another_kind", Error::Malformed, by_es(|d| d.header("kid", json!(["es-1"])))),
        // What must be understood.
        ("critical_extension", Error::Header("crit"), by_es(|d| d.header("crit", json!(["exp"])))),
        ("critical_nothing", Error::Header("crit"), by_es(|d| d.header("crit", Value::Null))),
        ("compressed", Error::Header("zip"), by_es(|d| d.header("zip", "DEF"))),
        ("encrypted", Error::Header("enc"), by_es(|d| d.header("enc", "A256GCM"))),
        // The signature.
        ("signed_by_another_key", Error::Signature, draft().sign(&ES_OTHER)),
        ("claims_grafted", Error::Signature, grafted()),
        ("no_signature", Error::Signature, format!("{}.", draft().unsigned())),
        ("zero_signature", Error::Signature, format!("{}.{}", draft().unsigned(), base64(&[0; 64]))),
        ("padded_signature", Error::Malformed, format!("{}==", draft().sign(&ES))),
        // The form.
        ("two_parts", Error::Malformed, draft().unsigned()),
        ("four_parts", Error::Malformed, format!("{}.AAAA", draft().sign(&ES))),
        ("five_parts", Error::Malformed, "a.b.c.d.e".to_owned()),
        ("empty", Error::Malformed, String::new()),
        ("space_before", Error::Malformed, format!(" {}", draft().sign(&ES))),
        ("header_not_json", Error::Malformed, sign_raw(&ES, "hello", "{}")),
        (
            "payload_not_json",
            Error::Malformed,
            sign_raw(&ES, r#"{"typ":"at+jwt","alg":"ES256","kid":"es-1"}"#, "hello"),
        ),
        ("repeated_claim", Error::Malformed, repeated_expiry()),
        ("too_long", Error::TooLong, by_es(|d| d.claim("pad", "x".repeat(MAX_TOKEN_BYTES)))),
    ]
}

/// Signed well, and not for us, not now, or not an access token.
fn unfit() -> Vec<Tampered> {
    vec![
        // The type.
        ("plain_jwt", Error::Type, by_es(|d| d.header("typ", "JWT"))),
        ("no_type", Error::Type, by_es(|d| d.without_header("typ"))),
        ("logout_token", Error::Type, by_es(|d| d.header("typ", "logout+jwt"))),
        ("proof", Error::Type, by_es(|d| d.header("typ", "dpop+jwt"))),
        // Issuer and audience.
        ("other_issuer", Error::Issuer, by_es(|d| d.claim("iss", "https://evil.example"))),
        ("issuer_with_a_slash", Error::Issuer, by_es(|d| d.claim("iss", format!("{ISSUER}/")))),
        ("issuer_in_capitals", Error::Issuer, by_es(|d| d.claim("iss", ISSUER.to_uppercase()))),
        ("other_audience", Error::Audience, by_es(|d| d.claim("aud", "https://terms.example.com"))),
        ("audience_prefix", Error::Audience, by_es(|d| d.claim("aud", format!("{ISSUER}.evil.example")))),
        ("audience_of_numbers", Error::Malformed, by_es(|d| d.claim("aud", json!([1])))),
        // What must be there.
        ("no_issuer", Error::MissingClaim("iss"), by_es(|d| d.without("iss"))),
        ("no_subject", Error::MissingClaim("sub"), by_es(|d| d.without("sub"))),
        ("empty_subject", Error::MissingClaim("sub"), by_es(|d| d.claim("sub", ""))),
        ("no_audience", Error::MissingClaim("aud"), by_es(|d| d.without("aud"))),
        ("empty_audience", Error::MissingClaim("aud"), by_es(|d| d.claim("aud", json!([])))),
        ("no_expiry", Error::MissingClaim("exp"), by_es(|d| d.without("exp"))),
        ("null_expiry", Error::MissingClaim("exp"), by_es(|d| d.claim("exp", Value::Null))),
        // Time.
        ("expired", Error::Expired, by_es(|d| d.at("exp", -30))),
        ("expired_at_the_epoch", Error::Expired, by_es(|d| d.claim("exp", 0))),
        ("expiry_as_text", Error::Malformed, by_es(|d| d.claim("exp", "4102444800"))),
        ("expiry_beyond_time", Error::Malformed, by_es(|d| d.claim("exp", i64::MAX))),
        ("expiry_beyond_numbers", Error::Malformed, by_es(|d| d.claim("exp", 1e300))),
        ("not_yet", Error::NotYetValid, by_es(|d| d.at("nbf", 31))),
        ("issued_in_the_future", Error::NotYetValid, by_es(|d| d.at("iat", 31))),
        // Confinement that cannot be read is not freedom.
        ("details_not_a_list", Error::Malformed, by_es(|d| d.claim("authorization_details", json!({})))),
        ("detail_without_type", Error::Malformed, by_es(|d| d.claim("authorization_details", json!([{}])))),
        (
            "locations_missing",
            Error::Malformed,
            by_es(|d| d.claim("authorization_details", json!([{"type": "binb_token"}]))),
        ),
        (
            "locations_as_text",
            Error::Malformed,
            by_es(|d| d.claim("authorization_details", json!([{"type": "binb_token", "locations": "*/*"}]))),
        ),
    ]
}

#[tokio::test]
async fn a_tampered_token_is_refused() {
    let guard = builder(&[&ES, &RS, &ED]).build().unwrap();
    assert_eq!(guard.verify(&draft().sign(&ES), NOW).await.map(drop), Ok(()), "the untampered one passes");
    for (name, expected, token) in tampered() {
        for time in ["first", "second"] {
            assert_eq!(guard.verify(&token, NOW).await.map(drop), Err(expected), "{name}, the {time} time");
        }
    }
}

#[rstest]
#[case::keycloak_id_token(|d: Draft| d.claim("typ", "ID"))]
#[case::keycloak_refresh_token(|d: Draft| d.claim("typ", "Refresh"))]
#[case::at_hash(|d: Draft| d.claim("at_hash", "x"))]
#[case::c_hash(|d: Draft| d.claim("c_hash", "x"))]
#[case::nonce(|d: Draft| d.claim("nonce", "x"))]
#[case::null_nonce(|d: Draft| d.claim("nonce", Value::Null))]
#[case::logout_token(|d: Draft| d.claim("events", json!({})))]
#[tokio::test]
async fn an_id_token_is_no_access_token_even_where_plain_jwts_are(#[case] mark: impl Fn(Draft) -> Draft) {
    let guard = builder(&[&ES]).accept_plain_jwt().build().unwrap();
    let plain = draft().header("typ", "JWT");
    assert_eq!(guard.verify(&plain.clone().sign(&ES), NOW).await.map(drop), Ok(()));
    assert_eq!(guard.verify(&mark(plain).sign(&ES), NOW).await.map(drop), Err(Error::Type));
}
