//! What is remembered of a verified token, and when is it forgotten?

use std::sync::Arc;
use std::time::Duration;

use jeton_guard::{Error, GivenKeys, Guard, KeySet};

use crate::support::{ES, ES_OTHER, ISSUER, NOW, builder, draft, key_set};

#[tokio::test]
async fn a_verified_token_is_remembered_until_the_guard_is_cleared() {
    let guard = builder(&[&ES]).build().unwrap();
    let token = draft().sign(&ES);
    let first = guard.verify(&token, NOW).await.unwrap();
    let second = guard.verify(&token, NOW).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "the second answer is the remembered one");
    let clone = guard.clone().verify(&token, NOW).await.unwrap();
    assert!(Arc::ptr_eq(&first, &clone), "a clone remembers the same");
    guard.clear();
    let third = guard.verify(&token, NOW).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &third) && first == third);
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let guard = builder(&[&ES]).build().unwrap();
    let token = draft().sign(&ES);
    assert_eq!(guard.verify(&token, NOW).await.map(drop), Ok(()));
    assert_eq!(guard.verify(&token, NOW + Duration::from_secs(3629)).await.map(drop), Ok(()));
    assert_eq!(guard.verify(&token, NOW + Duration::from_secs(3630)).await.map(drop), Err(Error::Expired));
}

#[tokio::test]
async fn a_remembered_token_is_judged_anew_when_the_clock_is_set_back() {
    let guard = builder(&[&ES]).build().unwrap();
    let token = draft().at("nbf", 0).sign(&ES);
    assert_eq!(guard.verify(&token, NOW).await.map(drop), Ok(()));
    assert_eq!(guard.verify(&token, NOW - Duration::from_secs(31)).await.map(drop), Err(Error::NotYetValid));
}

#[tokio::test]
async fn a_remembered_token_dies_with_its_key() {
    let keys = GivenKeys::new(key_set(&[&ES]));
    let guard = Guard::builder(ISSUER).audience(ISSUER).keys(keys.clone()).build().unwrap();
    let (old, new) = (draft().by(&ES), draft().by(&ES_OTHER));
    let before = guard.verify(&old, NOW).await.unwrap();

    keys.replace(key_set(&[&ES]));
    assert!(Arc::ptr_eq(&before, &guard.verify(&old, NOW).await.unwrap()), "the same keys change nothing");
    keys.replace(key_set(&[&ES, &ES_OTHER]));
    assert!(!Arc::ptr_eq(&before, &guard.verify(&old, NOW).await.unwrap()), "verified anew");
    assert_eq!(guard.verify(&new, NOW).await.map(drop), Ok(()));
    keys.replace(key_set(&[&ES_OTHER]));
    assert_eq!(guard.verify(&old, NOW).await.map(drop), Err(Error::UnknownKey));
    assert_eq!(guard.verify(&new, NOW).await.map(drop), Ok(()));
    keys.replace(KeySet::default());
    assert_eq!(guard.verify(&new, NOW).await.map(drop), Err(Error::KeysUnavailable));
}

#[tokio::test]
async fn the_memory_can_be_turned_off() {
    let guard = builder(&[&ES]).cached_tokens(0).build().unwrap();
    let token = draft().sign(&ES);
    let first = guard.verify(&token, NOW).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &guard.verify(&token, NOW).await.unwrap()));
}
