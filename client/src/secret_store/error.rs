//! Why does a secret store not give or take a secret, and what is to be done about it?
//!
//! One line: the store, the reference, what is the matter, what to do. A store's own sentences are not repeated, they
//! may quote what was sent; its short codes are.

use std::path::PathBuf;

use super::reference::{Reference, ReferenceError};
use crate::problem::Action;

/// A secret store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What was written names no secret.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The store, or what is kept there.
    #[error("{}, `{reference}`: {fault}{}", reference.store(), hint(reference, fault))]
    Fault {
        /// Which secret.
        reference: Reference,
        /// Why.
        fault: StoreFault,
    },
}

/// What is the matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// Nothing is there.
    #[error("there is no such secret: mend the reference, or store it first")]
    Absent,
    /// No file of this folder is it.
    #[error("there is no such secret in {}: mend the reference, or store it first", .0.display())]
    NotIn(PathBuf),
    /// Something is there that should not be.
    #[error("a secret is there already: choose another name, or delete that one first")]
    Exists,
    /// Something of others is there, beside which nothing is put.
    #[error(
        "a secret without this field is there, and may be somebody else's: choose another path, or have the operator name \
         this field in full"
    )]
    Shared,
    /// Somebody else wrote.
    #[error("somebody else changed it meanwhile: look at it, then try again")]
    Changed,
    /// Somebody else wrote too, and what this program wrote is what is read now. Which versions are theirs.
    #[error(
        "somebody else wrote it at the same time: their version ({0}) is kept there under this one, which is current now: \
         write theirs again if it is to stay, else try again"
    )]
    Beside(String),
    /// It is gone and its name is not free yet.
    #[error("it is deleted, and its name not free yet: restore or purge it, or choose another name")]
    Deleted,
    /// It is there and may not be read by anybody.
    #[error("it is disabled: enable it")]
    Disabled,
    /// The store takes nothing.
    #[error("this store can only be read: name another one")]
    ReadOnly,
    /// The program lacks a right.
    #[error("permission is missing: {0}")]
    Denied(String),
    /// The program has not proved who it is.
    #[error("the store does not know this program: {0}")]
    Unauthenticated(&'static str),
    /// Too many calls.
    #[error("the store asks for fewer calls: try again in a minute; where that goes on, raise its limit")]
    Throttled,
    /// Nobody can read.
    #[error("the store is sealed: unseal it, then try again")]
    Sealed,
    /// No answer.
    #[error(transparent)]
    Unreachable(Box<StoreUnreached>),
    /// What is kept is no credential.
    #[error("what is kept there {0}: store it again")]
    Malformed(&'static str),
    /// This program's own surroundings do not fit.
    #[error("{0}")]
    Unfit(String),
    /// The store's no that none of these tells.
    #[error("{} ({code}, status {status}): {}", refused(*status)[0], refused(*status)[1])]
    Refused {
        /// HTTP status.
        status: u16,
        /// The store's code, or `no code`.
        code: String,
    },
    /// The store's answer is not what it documents. What it held is not told: it may be the secret.
    #[error("the store's answer is not as documented: check the address of the store")]
    Garbled,
}

/// Nobody answered where a store should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer from {at} ({why}): check the network, {check}, then try again")]
pub struct StoreUnreached {
    /// The origin that was called.
    pub at: String,
    /// What this machine makes of it.
    pub why: String,
    /// What may be wrong instead.
    pub check: &'static str,
}

impl StoreError {
    /// What to do.
    pub fn action(&self) -> Action {
        let Self::Fault { fault, .. } = self else { return Action::FixConfiguration };
        match fault {
            StoreFault::Throttled | StoreFault::Sealed | StoreFault::Unreachable(_) => Action::Retry,
            StoreFault::Refused { status: 429 | 500.., .. } => Action::Retry,
            StoreFault::Denied(_) | StoreFault::Unauthenticated(_) => Action::RequestAccess,
            StoreFault::Exists | StoreFault::Shared | StoreFault::Changed | StoreFault::Beside(_) => {
                Action::ChangeRequest
            }
            StoreFault::Absent
            | StoreFault::NotIn(_)
            | StoreFault::Deleted
            | StoreFault::Disabled
            | StoreFault::ReadOnly
            | StoreFault::Malformed(_)
            | StoreFault::Unfit(_)
            | StoreFault::Refused { .. }
            | StoreFault::Garbled => Action::FixConfiguration,
        }
    }

    /// What is the matter, where it is not the reference itself.
    pub fn fault(&self) -> Option<&StoreFault> {
        match self {
            Self::Fault { fault, .. } => Some(fault),
            Self::Reference(_) => None,
        }
    }
}

/// What else may be wrong where nothing is there.
fn hint(reference: &Reference, fault: &StoreFault) -> &'static str {
    match (fault, reference) {
        (StoreFault::NotIn(_), _) => {
            " (JETON_SECRETS_DIR names the folder; a server's is `secrets` in its `data_dir`)"
        }
        (StoreFault::Absent, Reference::Env { .. }) => " (the variable is not set)",
        (StoreFault::Absent, Reference::Aws { .. }) => {
            " (another region, or another account's keys, has secrets of its own)"
        }
        (StoreFault::Absent, Reference::Azure { .. }) => " (one that was deleted is to be recovered)",
        (StoreFault::Absent, Reference::Vault { .. }) => {
            " (what follows # is the field; another namespace has secrets of its own)"
        }
        (StoreFault::Absent, Reference::File { .. }) | (_, _) => "",
    }
}

/// What happened, and what to do: a store that fails is no matter of reading.
fn refused(status: u16) -> [&'static str; 2] {
    match status {
        500.. => ["the store fails", "look after it, then try again"],
        _ => ["the store said no", "see its documentation"],
    }
}

impl StoreFault {
    pub(crate) fn at(self, reference: &Reference) -> StoreError {
        StoreError::Fault { reference: reference.clone(), fault: self }
    }

    /// A no that nothing else tells, by the store's code, if that is one.
    pub(crate) fn refused(status: u16, code: Option<&str>) -> Self {
        let is_code = |code: &&str| {
            (1..=64).contains(&code.len())
                && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        Self::Refused { status, code: code.filter(is_code).unwrap_or("no code").to_owned() }
    }
}
