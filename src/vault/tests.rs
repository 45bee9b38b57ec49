//! Does a ciphertext open in its place alone, and a hash count in its row alone?

use proptest::prelude::*;

use super::*;
use crate::model::entropy::SystemEntropy;

fn vault() -> (Vault, InstanceKeys, Arc<keyring::Keyring>) {
    let keys = Arc::new(keyring::Keyring::generate(&SystemEntropy));
    let (vault, instance) = Vault::create(keys.clone(), Arc::new(SystemEntropy), Uuid::from_u128(1)).unwrap();
    (vault, instance, keys)
}

#[expect(clippy::disallowed_methods, reason = "the test looks at the plaintext")]
fn text(secret: &Secret) -> &str {
    secret.expose_secret()
}

#[test]
fn what_was_sealed_opens_in_its_place_and_nowhere_else() {
    let (vault, _, _) = vault();
    let (acme, globex) = (AppId::parse("acme").unwrap(), AppId::parse("globex").unwrap());
    let github = ConnectorId::parse("github").unwrap();
    let aircall = ConnectorId::parse("aircall").unwrap();
    let key = vault.new_data_key(Uuid::from_u128(2)).unwrap();
    let home = Place {
        token_set: Some(TokenSetId(Uuid::from_u128(3))),
        origin: Some("https://github.com"),
        ..Place::of("token_set", "sealed_refresh", Uuid::from_u128(3)).in_app(&acme, &github)
    };
    let sealed = vault.seal(&key, &home, &Secret::new("ghr_canary")).unwrap();
    assert_eq!(text(&vault.open(&key, &home, &sealed).unwrap()), "ghr_canary");
    let moved = [
        Place { app: Some(&globex), ..home },
        Place { app: None, ..home },
        Place { connector: Some(&aircall), ..home },
        Place { column: "sealed_access", ..home },
        Place { table: "signup", ..home },
        Place { row: Uuid::from_u128(4), ..home },
        Place { token_set: None, ..home },
        Place { origin: Some("https://evil.example"), ..home },
    ];
    for place in moved {
        assert!(matches!(vault.open(&key, &place, &sealed), Err(Error::DoesNotOpen { .. })), "{place:?}");
    }
}

#[test]
fn another_keyring_does_not_unlock() {
    let (_, instance, _) = vault();
    let other = Arc::new(keyring::Keyring::generate(&SystemEntropy));
    assert!(matches!(Vault::unlock(other, Arc::new(SystemEntropy), &instance), Err(Error::DataKey(_))));
}

#[test]
fn the_same_keyring_unlocks_and_hashes_alike() {
    let (vault, instance, keys) = vault();
    let again = Vault::unlock(keys, Arc::new(SystemEntropy), &instance).unwrap();
    let secret = Secret::new("s");
    let hash = vault.hash_secret("session", "token_hash", b"row", &secret);
    assert!(again.hash_matches("session", "token_hash", b"row", &secret, &hash.0));
    assert!(!again.hash_matches("session", "token_hash", b"other", &secret, &hash.0));
}

#[test]
fn a_data_key_of_the_same_id_but_other_bytes_is_not_answered_from_the_cache() {
    let (vault, _, _) = vault();
    let key = vault.new_data_key(Uuid::from_u128(2)).unwrap();
    let place = Place::of("signup", "sealed_verifier", Uuid::from_u128(5));
    let sealed = vault.seal(&key, &place, &Secret::new("v")).unwrap();
    let mut swapped = key;
    swapped.bytes.reverse();
    assert!(matches!(vault.open(&swapped, &place, &sealed), Err(Error::DataKey(_))));
}

proptest! {
    #[test]
    fn any_text_survives_and_any_changed_byte_is_noticed(plain in ".*", at in any::<prop::sample::Index>()) {
        let (vault, _, _) = vault();
        let place = Place::of("token_set", "sealed_access", Uuid::from_u128(7));
        let key = vault.instance_key().clone();
        let mut sealed = vault.seal(&key, &place, &Secret::new(plain.clone())).unwrap();
        let opened = vault.open(&key, &place, &sealed).unwrap();
        prop_assert_eq!(text(&opened), plain.as_str());
        let at = at.index(sealed.bytes.len());
        sealed.bytes[at] ^= 1;
        prop_assert!(vault.open(&key, &place, &sealed).is_err());
    }
}
