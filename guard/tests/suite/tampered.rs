//! Which tokens are refused, and with which cause?

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use jeton_guard::{Error, MAX_TOKEN_BYTES};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Draft, ED, ES, ES_OTHER, ISSUER, NOW, RS, base64, builder, draft, sign_raw};

fn hs256(secret: &[u8]) -> String {
    by_secret(draft().header("alg", "HS256"), hmac::HMAC_SHA256, secret)
}

fn by_secret(draft: Draft, algorithm: hmac::Algorithm, secret: &[u8]) -> String {
    let signed = draft.unsigned();
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", base64(tag.as_ref()))
}

/// The public key in the form that files have.
fn pem(info: &[u8]) -> String {
    let body = STANDARD.encode(info);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

fn part(token: &str, index: usize) -> String {
    token.split('.').nth(index).unwrap_or_default().to_owned()
}

fn by_es(change: impl Fn(Draft) -> Draft) -> String {
    change(draft()).sign(&ES)
}

/// One header before the rest of a good token.
fn under(header: &Draft, token: &str) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", part(&header.unsigned(), 0))
}

/// The claims of one good token under the signature of another.
fn grafted() -> String {
    let (good, wide) = (draft().sign(&ES), draft().claim("role", "admin").sign(&ES));
    format!("{}.{}.{}", part(&good, 0), part(&wide, 1), part(&good, 2))
}

const HEADER: &str = r#"{"typ":"at+jwt","alg":"ES256","kid":"es-1"}"#;

/// Claims that end in this very text.
fn written(members: &str) -> String {
    sign_raw(&ES, HEADER, &format!(r#"{{"iss":"{ISSUER}","sub":"a","aud":"{ISSUER}",{members}}}"#))
}

/// Good claims under this very header.
fn headed(header: &str) -> String {
    let payload = part(&draft().unsigned(), 1);
    let signed = format!("{}.{payload}", base64(header.as_bytes()));
    format!("{signed}.{}", base64(&ES.sign("ES256", &signed)))
}

fn padded_payload() -> String {
    let signed = format!("{}=", draft().unsigned());
    format!("{signed}.{}", base64(&ES.sign("ES256", &signed)))
}

/// As other libraries write a signature: two integers of ASN.1, where JWS has two of 32 bytes (RFC 7518 §3.4).
fn signature_in_der() -> String {
    let signed = draft().unsigned();
    let signature = ES.sign("ES256", &signed);
    let tagged = |tag: u8, body: &[u8]| [&[tag, u8::try_from(body.len()).unwrap()], body].concat();
    let integer = |half: &[u8]| {
        let digits = &half[half.iter().position(|byte| *byte != 0).unwrap()..];
        let sign: &[u8] = if digits[0] > 127 { &[0] } else { &[] };
        tagged(2, &[sign, digits].concat())
    };
    let integers: Vec<u8> = signature.chunks(32).flat_map(integer).collect();
    format!("{signed}.{}", base64(&tagged(0x30, &integers)))
}

/// Its first character: what is last carries bits that nobody reads.
fn signature_changed() -> String {
    let signed = draft().sign(&ES);
    let (head, signature) = signed.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    format!("{head}.{first}{}", &signature[1..])
}

/// Signed with a key that the token brings itself, in one way or another.
fn by_a_stranger(name: &str, value: impl Into<Value>) -> String {
    draft().header(name, value).sign(&ES_OTHER)
}

/// As issuers that sign everything as `JWT` mark what is no access token.
fn plain(change: impl Fn(Draft) -> Draft) -> String {
    change(draft().header("typ", "JWT")).sign(&ES)
}

/// What nobody may take, and why: each made of a good token of `ES`, where the issuer's keys are `ES`, `RS` and `ED`.
/// The Python client has the same kinds by the same names, and a test that reads them here.
pub(crate) fn tampered() -> Vec<Tampered> {
    [other_algorithms(), other_keys(), broken(), unfit()].concat()
}

type Tampered = (&'static str, Error, String);

/// Signed in another way than the issuer's keys are for.
fn other_algorithms() -> Vec<Tampered> {
    vec![
        ("none", Error::Algorithm, format!("{}.", draft().header("alg", "none").unsigned())),
        ("none_capitalised", Error::Algorithm, format!("{}.", draft().header("alg", "NoNe").unsigned())),
        ("none_signed", Error::Algorithm, by_es(|d| d.header("alg", "none"))),
        ("none_put_before", Error::Algorithm, under(&draft().header("alg", "none"), &draft().sign(&ES))),
        ("no_algorithm", Error::Malformed, by_es(|d| d.without_header("alg"))),
        ("hs256_with_the_public_key", Error::Algorithm, hs256(&ES.public_bytes())),
        ("hs256_with_the_public_jwk", Error::Algorithm, hs256(ES.jwk().to_string().as_bytes())),
        ("hs256_with_the_public_pem", Error::Algorithm, hs256(pem(&ES.public_info()).as_bytes())),
        (
            "hs256_with_the_public_rsa",
            Error::Algorithm,
            by_secret(
                draft().header("alg", "HS256").header("kid", "rs-1"),
                hmac::HMAC_SHA256,
                pem(&RS.public_info()).as_bytes(),
            ),
        ),
        (
            "hs512_with_an_empty_key",
            Error::Algorithm,
            by_secret(draft().header("alg", "HS512"), hmac::HMAC_SHA512, b""),
        ),
        ("algorithm_of_another_key", Error::Algorithm, by_es(|d| d.header("alg", "RS256"))),
        ("rsa_key_as_ec", Error::Algorithm, by_es(|d| d.header("kid", "rs-1"))),
        ("algorithm_not_allowed", Error::Algorithm, draft().by(&ED)),
        (
            "padding_not_allowed",
            Error::Algorithm,
            draft().header("alg", "PS256").header("kid", "rs-1").sign(&RS),
        ),
        (
            "hash_not_allowed",
            Error::Algorithm,
            draft().header("alg", "RS512").header("kid", "rs-1").sign(&RS),
        ),
    ]
}

/// Verified by another key, or by rules that its header brings.
fn other_keys() -> Vec<Tampered> {
    vec![
        ("embedded_key", Error::Header("jwk"), by_es(|d| d.header("jwk", ES.jwk()))),
        ("key_address", Error::Header("jku"), by_es(|d| d.header("jku", "https://evil.example/jwks"))),
        (
            "certificate_address",
            Error::Header("x5u"),
            by_es(|d| d.header("x5u", "https://evil.example/cert")),
        ),
        ("certificate", Error::Header("x5c"), by_es(|d| d.header("x5c", json!(["MIIB"])))),
        ("embedded_key_of_a_stranger", Error::Header("jwk"), by_a_stranger("jwk", ES_OTHER.jwk())),
        (
            "key_address_of_a_stranger",
            Error::Header("jku"),
            by_a_stranger("jku", "https://evil.example/jwks"),
        ),
        (
            "certificate_address_of_a_stranger",
            Error::Header("x5u"),
            by_a_stranger("x5u", "https://evil.example/cert"),
        ),
        ("certificate_of_a_stranger", Error::Header("x5c"), by_a_stranger("x5c", json!(["MIIB"]))),
        ("unknown_key", Error::UnknownKey, by_es(|d| d.header("kid", "es-9"))),
        ("kid_as_a_path", Error::UnknownKey, by_es(|d| d.header("kid", "../../dev/null"))),
        ("no_kid_among_several", Error::UnknownKey, by_es(|d| d.without_header("kid"))),
        ("kid_of_another_kind", Error::Malformed, by_es(|d| d.header("kid", json!(["es-1"])))),
        ("kid_as_a_number", Error::Malformed, by_es(|d| d.header("kid", 1))),
        // What must be understood.
        ("critical_extension", Error::Header("crit"), by_es(|d| d.header("crit", json!(["exp"])))),
        ("critical_nothing", Error::Header("crit"), by_es(|d| d.header("crit", Value::Null))),
        ("critical_empty", Error::Header("crit"), by_es(|d| d.header("crit", json!([])))),
        ("compressed", Error::Header("zip"), by_es(|d| d.header("zip", "DEF"))),
        ("encrypted", Error::Header("enc"), by_es(|d| d.header("enc", "A256GCM"))),
    ]
}

/// What its form and its signature give away.
fn broken() -> Vec<Tampered> {
    vec![
        // The signature.
        ("signed_by_another_key", Error::Signature, draft().sign(&ES_OTHER)),
        ("claims_grafted", Error::Signature, grafted()),
        ("signature_changed", Error::Signature, signature_changed()),
        ("signature_in_der", Error::Signature, signature_in_der()),
        ("no_signature", Error::Signature, format!("{}.", draft().unsigned())),
        ("zero_signature", Error::Signature, format!("{}.{}", draft().unsigned(), base64(&[0; 64]))),
        ("padded_signature", Error::Malformed, format!("{}==", draft().sign(&ES))),
        ("padded_payload", Error::Malformed, padded_payload()),
        // The form.
        ("two_parts", Error::Malformed, draft().unsigned()),
        ("four_parts", Error::Malformed, format!("{}.AAAA", draft().sign(&ES))),
        ("five_parts", Error::Malformed, "a.b.c.d.e".to_owned()),
        ("empty", Error::Malformed, String::new()),
        ("opaque", Error::Malformed, "opaque".to_owned()),
        ("space_before", Error::Malformed, format!(" {}", draft().sign(&ES))),
        ("header_not_json", Error::Malformed, headed("hello")),
        ("header_nested_deep", Error::Malformed, headed(&"[".repeat(3_000))),
        ("payload_not_json", Error::Malformed, sign_raw(&ES, HEADER, "hello")),
        ("payload_no_object", Error::Malformed, sign_raw(&ES, HEADER, "[]")),
        ("repeated_claim", Error::Malformed, written(r#""exp":1,"exp":4102444800"#)),
        ("repeated_subject", Error::Malformed, written(r#""exp":4102444800,"sub":"mallory""#)),
        (
            "repeated_algorithm",
            Error::Malformed,
            headed(r#"{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"es-1"}"#),
        ),
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
        ("typ_of_an_id_token", Error::Type, by_es(|d| d.header("typ", "ID"))),
        ("marked_as_id_token", Error::Type, plain(|d| d.claim("typ", "ID"))),
        ("marked_as_refresh_token", Error::Type, plain(|d| d.claim("typ", "Refresh"))),
        ("id_token", Error::Type, plain(|d| d.without("scope").claim("nonce", "n"))),
        ("id_token_with_at_hash", Error::Type, plain(|d| d.without("scope").claim("at_hash", "x"))),
        ("events_of_a_logout", Error::Type, plain(|d| d.claim("events", json!({"backchannel-logout": {}})))),
        // Issuer and audience.
        ("other_issuer", Error::Issuer, by_es(|d| d.claim("iss", "https://evil.example"))),
        ("issuer_with_a_slash", Error::Issuer, by_es(|d| d.claim("iss", format!("{ISSUER}/")))),
        ("issuer_in_capitals", Error::Issuer, by_es(|d| d.claim("iss", ISSUER.to_uppercase()))),
        ("other_audience", Error::Audience, by_es(|d| d.claim("aud", "https://terms.example.com"))),
        ("audience_prefix", Error::Audience, by_es(|d| d.claim("aud", format!("{ISSUER}.evil.example")))),
        ("audience_with_a_slash", Error::Audience, by_es(|d| d.claim("aud", format!("{ISSUER}/")))),
        ("audience_of_numbers", Error::Malformed, by_es(|d| d.claim("aud", json!([1])))),
        // What must be there.
        ("no_issuer", Error::MissingClaim("iss"), by_es(|d| d.without("iss"))),
        ("no_subject", Error::MissingClaim("sub"), by_es(|d| d.without("sub"))),
        ("empty_subject", Error::MissingClaim("sub"), by_es(|d| d.claim("sub", ""))),
        ("subject_as_a_number", Error::Malformed, by_es(|d| d.claim("sub", 7))),
        ("no_audience", Error::MissingClaim("aud"), by_es(|d| d.without("aud"))),
        ("empty_audience", Error::MissingClaim("aud"), by_es(|d| d.claim("aud", json!([])))),
        ("no_expiry", Error::MissingClaim("exp"), by_es(|d| d.without("exp"))),
        ("null_expiry", Error::MissingClaim("exp"), by_es(|d| d.claim("exp", Value::Null))),
        // Time.
        ("expired", Error::Expired, by_es(|d| d.at("exp", -30))),
        ("expired_at_the_epoch", Error::Expired, by_es(|d| d.claim("exp", 0))),
        ("expiry_as_text", Error::Malformed, by_es(|d| d.claim("exp", "4102444800"))),
        ("expiry_as_true", Error::Malformed, by_es(|d| d.claim("exp", true))),
        ("expiry_beyond_time", Error::Malformed, by_es(|d| d.claim("exp", i64::MAX))),
        ("expiry_beyond_numbers", Error::Malformed, by_es(|d| d.claim("exp", 1e300))),
        ("expiry_infinite", Error::Malformed, written(r#""exp":Infinity"#)),
        ("start_beyond_time", Error::Malformed, by_es(|d| d.claim("nbf", i64::MAX))),
        ("start_as_text", Error::Malformed, by_es(|d| d.claim("nbf", "4102444800"))),
        ("not_yet", Error::NotYetValid, by_es(|d| d.at("nbf", 31))),
        ("issued_in_the_future", Error::NotYetValid, by_es(|d| d.at("iat", 31))),
        ("not_yet_with_an_odd_subject", Error::Malformed, by_es(|d| d.at("nbf", 60).claim("sub", 7))),
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
    for untampered in [draft().sign(&ES), headed(HEADER), written(r#""exp":4102444800"#)] {
        assert_eq!(guard.verify(&untampered, NOW).await.map(drop), Ok(()), "{untampered}");
    }
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
