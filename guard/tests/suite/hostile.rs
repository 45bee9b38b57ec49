//! Does any text make the guard panic, or pass?

use jeton_guard::{Challenge, Error, Guard, KeySet, bearer};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::support::{ES, NOW, RS, builder, draft, sign_raw};

fn guard() -> (Runtime, Guard) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    (runtime, builder(&[&ES, &RS]).accept_plain_jwt().build().unwrap())
}

proptest! {
    #[test]
    fn no_text_is_a_token(text in any::<String>()) {
        let (runtime, guard) = guard();
        prop_assert!(runtime.block_on(guard.verify(&text, NOW)).is_err());
    }

    #[test]
    fn no_three_parts_are_a_token(text in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}") {
        let (runtime, guard) = guard();
        prop_assert!(runtime.block_on(guard.verify(&text, NOW)).is_err());
    }

    #[test]
    fn no_changed_character_survives(position in any::<prop::sample::Index>(), character in "[A-Za-z0-9_.=-]") {
        let (runtime, guard) = guard();
        let token = draft().sign(&ES);
        let position = position.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(position..=position, &character);
        let verified = runtime.block_on(guard.verify(&changed, NOW));
        prop_assert_eq!(verified.is_ok(), changed == token);
    }

    #[test]
    fn any_signed_payload_is_judged_without_a_panic(payload in any::<String>()) {
        let (runtime, guard) = guard();
        let token = sign_raw(&ES, r#"{"alg":"ES256","kid":"es-1"}"#, &payload);
        prop_assert_eq!(runtime.block_on(guard.verify(&token, NOW)).map(drop), Err(Error::Malformed));
    }

    #[test]
    fn any_times_are_judged_without_a_panic(exp in any::<i64>(), nbf in any::<f64>(), iat in any::<u64>()) {
        let (runtime, guard) = guard();
        let token = draft().claim("exp", exp).claim("nbf", nbf).claim("iat", iat).sign(&ES);
        prop_assert!(!matches!(runtime.block_on(guard.verify(&token, NOW)).map(drop), Err(Error::Signature)));
    }

    #[test]
    fn any_document_is_read_as_keys_or_refused(document in any::<Vec<u8>>()) {
        prop_assert!(KeySet::from_jwks(&document).is_ok_and(|set| set.is_empty()) || KeySet::from_jwks(&document).is_err());
    }

    #[test]
    fn a_header_gives_only_tokens_of_the_alphabet(value in any::<Vec<u8>>(), token in "[A-Za-z0-9._~+/-]{1,40}=?") {
        prop_assert!(bearer([value.as_slice()]).is_ok_and(|it| it.is_none()) || value.to_ascii_lowercase().starts_with(b"bearer"));
        let header = format!("bEARER {token}");
        prop_assert_eq!(bearer([header.as_bytes()]), Ok(Some(token.as_str())));
    }

    #[test]
    fn a_challenge_is_one_line_with_paired_quotes(realm in any::<String>(), text in any::<String>(), scope in any::<String>()) {
        let value = Challenge::new(&realm).description(&text).scope(&scope).to_string();
        prop_assert!(value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && !value.contains('\\'));
        let parameters = if value.contains(", scope=") { 3 } else { 2 };
        prop_assert_eq!(value.matches('"').count() % 2, 0);
        prop_assert!(value.matches('"').count() <= 2 * parameters);
    }
}
