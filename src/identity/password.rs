//! Is this the person's password?
//!
//! argon2id over a keyed hash of password and user id: a hash copied to another person is worth nothing, nor is
//! the table without the instance's key. Two are computed at once; a bounded number waits, the rest is refused.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::entropy::Entropy;
use crate::model::person::Email;
use crate::model::principal::UserId;
use crate::model::secret::{KeyedHash, Secret};
use crate::vault::Vault;

const AT_ONCE: usize = 2;
const WAITING: usize = 100;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The password breaks a rule.
    #[error("the password {0}")]
    Rule(&'static str),
    /// Too many wait already.
    #[error("too many passwords are being checked")]
    Overloaded,
    /// The stored hash is no hash, or memory ran out.
    #[error("the password hash could not be computed")]
    Hash(#[from] argon2::password_hash::Error),
}

/// Checks what a new password must be: 12 to 256 characters and not the login name.
pub fn check_rules(password: &Secret, email: &Email) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "door: the rules look at the password")]
    let text = password.expose_secret();
    match text.chars().count() {
        ..12 => Err(Error::Rule("must have at least 12 characters")),
        257.. => Err(Error::Rule("must have at most 256 characters")),
        _ if text.trim().eq_ignore_ascii_case(email.as_str()) => {
            Err(Error::Rule("must not be the e-mail address"))
        }
        _ => Ok(()),
    }
}

/// Hashes and verifies passwords.
pub struct Passwords {
    vault: Arc<Vault>,
    entropy: Arc<dyn Entropy>,
    places: Arc<Semaphore>,
    work: Arc<Semaphore>,
}

impl Passwords {
    /// With nothing under way.
    pub fn new(vault: Arc<Vault>, entropy: Arc<dyn Entropy>) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE + WAITING));
        Self { vault, entropy, places, work: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The text to store for this person.
    pub async fn hash(&self, user: UserId, password: &Secret) -> Result<String, Error> {
        let keyed = self.keyed(user, password);
        let mut salt = [0_u8; 16];
        self.entropy.fill(&mut salt);
        self.compute(move || Ok(argon2().hash_password_with_salt(&keyed.0, &salt)?.to_string())).await
    }

    /// Whether `stored` was made of this person's id and this password. Without a stored hash the answer is no,
    /// at the same cost.
    pub async fn verify(&self, user: UserId, password: &Secret, stored: Option<&str>) -> Result<bool, Error> {
        let keyed = self.keyed(user, password);
        let stored = stored.map(str::to_owned);
        self.compute(move || match stored {
            Some(stored) => match argon2().verify_password(&keyed.0, stored.as_str()) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error.into()),
            },
            None => {
                argon2().hash_password_with_salt(&keyed.0, &[0_u8; 16])?;
                Ok(false)
            }
        })
        .await
    }

    fn keyed(&self, user: UserId, password: &Secret) -> KeyedHash {
        self.vault.hash_secret("user", "password_hash", user.0.as_bytes(), password)
    }

    /// The permits go with the work, so that a caller who hangs up does not make room too early.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let turn = Arc::clone(&self.work).acquire_owned().await.map_err(|_| Error::Overloaded)?;
        let permits: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, turn);
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permits);
            done
        });
        done.await.map_err(|_| Error::Overloaded)?
    }
}

#[expect(clippy::expect_used, reason = "the parameters are constants within argon2's limits")]
fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("constant parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::entropy::SystemEntropy;
    use crate::vault::keyring::Keyring;

    fn passwords() -> Passwords {
        let keys = Arc::new(Keyring::generate(&SystemEntropy));
        let (vault, _) = Vault::create(keys, Arc::new(SystemEntropy), Uuid::from_u128(1)).unwrap();
        Passwords::new(Arc::new(vault), Arc::new(SystemEntropy))
    }

    #[tokio::test]
    async fn a_hash_verifies_for_its_person_alone() {
        let (passwords, password) = (passwords(), Secret::new("correct horse battery"));
        let (ada, eve) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let hash = passwords.hash(ada, &password).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(ada, &password, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(eve, &password, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(ada, &Secret::new("wrong horse battery"), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(ada, &password, None).await.unwrap());
    }

    #[tokio::test]
    async fn beyond_a_hundred_waiting_the_next_is_told_at_once() {
        let passwords = passwords();
        let all = Arc::clone(&passwords.places).acquire_many_owned(102).await.unwrap();
        let refused = passwords.verify(UserId(Uuid::nil()), &Secret::new("x"), None).await;
        assert!(matches!(refused, Err(Error::Overloaded)));
        drop(all);
        assert!(!passwords.verify(UserId(Uuid::nil()), &Secret::new("x"), None).await.unwrap());
    }

    #[test]
    fn new_passwords_are_long_and_not_the_login_name() {
        let email = Email::parse("ada.lovelace@example.com").unwrap();
        assert!(check_rules(&Secret::new("twelve chars"), &email).is_ok());
        assert!(check_rules(&Secret::new("é".repeat(256)), &email).is_ok());
        let too_long = "x".repeat(257);
        for bad in ["eleven char", too_long.as_str(), "Ada.Lovelace@example.com"] {
            assert!(check_rules(&Secret::new(bad), &email).is_err(), "{bad}");
        }
    }
}
