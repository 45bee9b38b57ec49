//! Which keys of a JWKS are used?

use jeton_guard::{Error, GivenKeys, Guard, KeySet, KeySetError};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{ED, ES, ISSUER, NOW, RS, base64, draft, jwks};

fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

#[rstest]
#[case::symmetric(json!({"kty": "oct", "k": "AAAA", "kid": "es-1"}))]
#[case::other_curve(with(ES.jwk(), "crv", "P-384"))]
#[case::no_curve(with(ES.jwk(), "crv", Value::Null))]
#[case::encryption(with(ES.jwk(), "use", "enc"))]
#[case::signing_only(with(ES.jwk(), "key_ops", json!(["sign"])))]
#[case::algorithm_of_another_family(with(ES.jwk(), "alg", "RS256"))]
#[case::unknown_algorithm(with(ES.jwk(), "alg", "ES256K"))]
#[case::point_off_the_curve(with(ES.jwk(), "x", base64(&[1; 32])))]
#[case::short_coordinate(with(ES.jwk(), "x", base64(&[1; 31])))]
#[case::short_modulus(with(RS.jwk(), "n", base64(&[0xff; 128])))]
#[case::short_modulus_padded(with(RS.jwk(), "n", base64(&[[0; 128], [0xff; 128]].concat())))]
#[case::even_exponent(with(RS.jwk(), "e", base64(&[2])))]
#[case::exponent_one(with(RS.jwk(), "e", base64(&[0, 1])))]
#[case::even_modulus(with(RS.jwk(), "n", base64(&[0xfe; 256])))]
#[case::no_modulus(with(RS.jwk(), "n", Value::Null))]
#[case::short_ed25519(with(ED.jwk(), "x", base64(&[1; 31])))]
#[case::not_base64(with(ES.jwk(), "x", "***"))]
#[case::not_an_object(json!(17))]
fn a_key_that_cannot_be_used_is_skipped_and_the_others_stay(#[case] unusable: Value) {
    let document = json!({"keys": [unusable, RS.jwk()]}).to_string();
    let usable: KeySet = jwks(&[&RS]).parse().unwrap();
    assert_eq!(document.parse(), Ok(usable));
}

#[rstest]
#[case::not_json("keys")]
#[case::no_keys("{}")]
#[case::keys_not_a_list(r#"{"keys": {}}"#)]
#[case::list_of_keys("17")]
fn a_document_without_keys_is_an_error(#[case] document: &str) {
    assert_eq!(document.parse::<KeySet>(), Err(KeySetError::NotAKeySet));
}

#[test]
fn private_members_are_not_looked_at() {
    let private = json!({"keys": [with(ES.jwk(), "d", base64(&[7; 32]))]}).to_string();
    let set: KeySet = private.parse().unwrap();
    assert_eq!(set, jwks(&[&ES]).parse().unwrap());
    assert!(!format!("{set:?}").contains(&base64(&[7; 32])));
}

#[tokio::test]
async fn a_key_verifies_only_the_algorithm_it_names() {
    let document = json!({"keys": [with(RS.jwk(), "alg", "PS256"), ES.jwk()]}).to_string();
    let keys = GivenKeys::new(document.parse().unwrap());
    let guard = Guard::builder(ISSUER).audience(ISSUER).keys(keys).build().unwrap();
    assert_eq!(guard.verify(&draft().by(&RS), NOW).await.map(drop), Err(Error::Algorithm));
    assert_eq!(guard.verify(&draft().by(&ES), NOW).await.map(drop), Ok(()));
}
