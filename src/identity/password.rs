//! Is this the person's password?
//!
//! argon2id over a keyed hash of password and user id: a hash copied to another person is worth nothing, nor is
//! the table without the instance's key. Two are computed at once; a bounded number waits, the rest is refused. The
//! memory they need is kept for the next ones: given back each time, it would stay with the allocator, again for each
//! thread.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
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
    Hash(#[from] argon2::Error),
    /// What is stored is no hash.
    #[error("the stored password hash cannot be read")]
    Unreadable(#[from] argon2::password_hash::Error),
    /// What is stored is a hash that is not made here, or would take more memory than any of ours.
    #[error("the stored password hash is none of ours")]
    NotOurs,
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
    memory: Arc<Memory>,
}

/// What [`AT_ONCE`] computations work in.
type Memory = Mutex<Vec<Vec<Block>>>;

impl Passwords {
    /// With nothing under way.
    pub fn new(vault: Arc<Vault>, entropy: Arc<dyn Entropy>) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE + WAITING));
        Self { vault, entropy, places, work: Arc::new(Semaphore::new(AT_ONCE)), memory: Arc::default() }
    }

    /// The text to store for this person.
    pub async fn hash(&self, user: UserId, password: &Secret) -> Result<String, Error> {
        let keyed = self.keyed(user, password);
        let mut salt = [0_u8; 16];
        self.entropy.fill(&mut salt);
        self.compute(move |memory| {
            let hash = hash_in(memory, &params(), &keyed, &salt)?;
            Ok(phc(&salt, &hash)?.to_string())
        })
        .await
    }

    /// Whether `stored` was made of this person's id and this password. Without a stored hash the answer is no,
    /// at the same cost.
    pub async fn verify(&self, user: UserId, password: &Secret, stored: Option<&str>) -> Result<bool, Error> {
        let keyed = self.keyed(user, password);
        let stored = stored.map(str::to_owned);
        self.compute(move |memory| {
            let Some(stored) = stored else {
                hash_in(memory, &params(), &keyed, &[0; 16])?;
                return Ok(false);
            };
            let stored = PasswordHash::new(&stored).map_err(argon2::password_hash::Error::from)?;
            let (Some(salt), Some(hash)) = (stored.salt, stored.hash) else { return Err(Error::NotOurs) };
            let params = Params::try_from(&stored)?;
            if stored.algorithm != Algorithm::Argon2id.ident() || params.block_count() > memory.len() {
                return Err(Error::NotOurs);
            }
            Ok(hash_in(memory, &params, &keyed, &salt)?.ct_eq(hash.as_bytes()).into())
        })
        .await
    }

    fn keyed(&self, user: UserId, password: &Secret) -> KeyedHash {
        self.vault.hash_secret("user", "password_hash", user.0.as_bytes(), password)
    }

    /// The permits go with the work, so that a caller who hangs up does not make room too early.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut [Block]) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let turn = Arc::clone(&self.work).acquire_owned().await.map_err(|_| Error::Overloaded)?;
        let permits: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, turn);
        let kept = Arc::clone(&self.memory);
        let done = tokio::task::spawn_blocking(move || {
            let free = || kept.lock().unwrap_or_else(PoisonError::into_inner);
            let one = free().pop();
            let mut memory = one.unwrap_or_else(|| vec![Block::default(); params().block_count()]);
            let done = work(&mut memory);
            free().push(memory);
            drop(permits);
            done
        });
        done.await.map_err(|_| Error::Overloaded)?
    }
}

/// As text it is stored.
fn phc(salt: &[u8], hash: &[u8]) -> argon2::password_hash::Result<PasswordHash> {
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params())?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(hash)?),
    })
}

fn hash_in(
    memory: &mut [Block],
    params: &Params,
    keyed: &KeyedHash,
    salt: &[u8],
) -> Result<[u8; 32], argon2::Error> {
    let mut hash = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2.hash_password_into_with_memory(&keyed.0, salt, &mut hash, memory)?;
    Ok(hash)
}

#[expect(clippy::expect_used, reason = "the parameters are constants within argon2's limits")]
fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("constant parameters are valid")
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
    async fn the_memory_is_that_of_two_however_many_sign_in() {
        let (passwords, password) = (passwords(), Secret::new("correct horse battery"));
        let all = (0..10).map(|_| passwords.verify(UserId(Uuid::nil()), &password, None));
        assert!(futures_util::future::join_all(all).await.into_iter().all(|right| !right.unwrap()));
        let kept = passwords.memory.lock().unwrap();
        assert!((1..=AT_ONCE).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().all(|memory| memory.len() == params().block_count()));
    }

    #[tokio::test]
    async fn a_hash_made_elsewhere_is_refused_and_takes_no_more_memory() {
        let (passwords, password) = (passwords(), Secret::new("correct horse battery"));
        let ada = UserId(Uuid::from_u128(1));
        let hash = passwords.hash(ada, &password).await.unwrap();
        for other in
            [hash.replace("m=19456", "m=1000000"), hash.replace("argon2id", "argon2i"), "x".to_owned()]
        {
            let refused = passwords.verify(ada, &password, Some(&other)).await;
            assert!(matches!(refused, Err(Error::NotOurs | Error::Unreadable(_))), "{other}: {refused:?}");
        }
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
