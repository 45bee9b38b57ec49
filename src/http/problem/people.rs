//! Which problem each failure about people, sessions and sign-in is.

use super::{Chain, Code, Problem};
use crate::identity::{login, password, people, session};

impl From<session::Error> for Problem {
    fn from(error: session::Error) -> Self {
        match error {
            session::Error::Store(cause) => storage(&cause),
            session::Error::Audit(cause) => cause.into(),
        }
    }
}

impl From<password::Error> for Problem {
    fn from(error: password::Error) -> Self {
        match error {
            password::Error::Rule(why) => Self::invalid("password", why),
            password::Error::Overloaded => Self::new(Code::Overloaded),
            broken => Self::internal(&broken),
        }
    }
}

impl From<login::Error> for Problem {
    fn from(error: login::Error) -> Self {
        match error {
            login::Error::Wrong => Self::of(Code::Unauthenticated, WRONG),
            login::Error::Limited { retry_after_s } => {
                Self::of(Code::RateLimited, limited(retry_after_s)).retry_after(retry_after_s)
            }
            login::Error::Password(error) => error.into(),
            login::Error::Store(cause) => storage(&cause),
            login::Error::Audit(cause) => audit(&cause),
        }
    }
}

impl From<people::Error> for Problem {
    fn from(error: people::Error) -> Self {
        match error {
            people::Error::Denied(denied) => denied.into(),
            people::Error::Invalid { field, why } => Self::invalid(field, why),
            people::Error::NoApp => Self::new(Code::AppNotFound),
            people::Error::NotFound => Self::new(Code::NotFound),
            people::Error::EmailTaken => {
                Self::of(Code::AlreadyExists, "Somebody with this e-mail address exists.")
            }
            people::Error::Unusable => Self::of(Code::NotFound, UNUSABLE),
            people::Error::SignInFirst => Self::of(Code::AlreadyExists, SIGN_IN_FIRST),
            people::Error::SomebodyElse => Self::of(Code::Forbidden, SOMEBODY_ELSE),
            people::Error::Password(error) => error.into(),
            people::Error::Store(cause) => storage(&cause),
            people::Error::Audit(cause) => audit(&cause),
        }
    }
}

/// Said of a failed sign-in, whatever of it was wrong.
const WRONG: &str = "The e-mail address or the password is wrong.";
const UNUSABLE: &str = "This link was used already, has expired, was withdrawn, or was not copied completely. \
                        Ask whoever gave it to you for a new one.";
const SIGN_IN_FIRST: &str =
    "There is an account with this e-mail address. Sign in, then open the link again.";
const SOMEBODY_ELSE: &str = "This link is for another person than the one signed in here.";

fn limited(seconds: u64) -> String {
    let minutes = seconds.div_ceil(60);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    format!("Too many attempts to sign in have failed from here. Try again in {minutes} {unit}.")
}

fn storage(cause: &dyn std::error::Error) -> Problem {
    tracing::warn!(cause = %Chain(cause), "people and sessions cannot be read or written");
    Problem::new(Code::StorageUnavailable)
}

fn audit(cause: &dyn std::error::Error) -> Problem {
    tracing::warn!(cause = %Chain(cause), "the audit trail takes no record");
    Problem::new(Code::AuditUnavailable)
}
