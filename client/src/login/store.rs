//! Where may a sign-in be kept, and what can go wrong there?

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use url::Url;

use super::Login;

/// Keeps one sign-in. Its calls may block.
///
/// A refresh token is spent by being sent. So whoever refreshes takes the lock, loads, refreshes, saves and only
/// then lets go; nobody uses a token that is not saved.
pub trait LoginStore: fmt::Debug + Send + Sync {
    /// Keeps every other process and thread out until the lock is dropped.
    ///
    /// # Errors
    /// [`LoginError::Busy`] where somebody else keeps it for too long.
    fn lock(&self) -> Result<LoginLock, LoginError>;

    /// What is kept.
    ///
    /// # Errors
    /// Where it is there and cannot be used.
    fn load(&self) -> Result<Option<Login>, LoginError>;

    /// Keeps `login`, for good once it returns.
    ///
    /// # Errors
    /// Where the old one is still kept.
    fn save(&self, login: &Login) -> Result<(), LoginError>;

    /// Keeps it no more.
    ///
    /// # Errors
    /// Where it is still kept.
    fn delete(&self) -> Result<(), LoginError>;

    /// Where it is, for people.
    fn place(&self) -> String;
}

/// What is wrong with a sign-in that is kept, or should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Nobody signed in.
    #[error("nobody is signed in at {0}")]
    Absent(String),
    /// Several sign-ins are kept, and none was named.
    #[error("sign-ins at several brokers are kept: {}", .0.join(", "))]
    Several(Vec<String>),
    /// The broker takes the refresh token no more, or never gave one.
    #[error("the sign-in at {0} has ended")]
    Ended(String),
    /// Others can read the tokens, or could put others in their place.
    #[error("{} is open to other people of this machine", .0.display())]
    Exposed(PathBuf),
    /// The client that the person let in may not know who it is.
    #[error("the sign-in at {0} brings no ID token")]
    NoIdToken(String),
    /// The file is not what was written.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
    /// Somebody else has been refreshing for too long.
    #[error("another process keeps {} locked", .0.display())]
    Busy(PathBuf),
    /// The system refused.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Neither XDG_STATE_HOME nor HOME is set.
    #[error("there is no folder for sign-ins: neither XDG_STATE_HOME nor HOME is set")]
    Homeless,
}

impl LoginError {
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), reason: error.to_string() }
    }

    pub(crate) fn absent(url: &Url) -> Self {
        Self::Absent(address(url))
    }

    /// What the person does about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Absent(_) => "run `jeton login`".to_owned(),
            Self::Several(_) => "say which in JETON_URL".to_owned(),
            Self::Ended(_) => "run `jeton login` again".to_owned(),
            Self::Exposed(path) => {
                let path = path.display();
                format!("run `chmod go= {path}`, and `jeton login` again if it has been so for long")
            }
            Self::NoIdToken(_) => "give its client the scope openid, and run `jeton login` again".to_owned(),
            Self::Damaged(path) => format!("delete {} and run `jeton login` again", path.display()),
            Self::Busy(_) => "try again later".to_owned(),
            Self::Io { .. } => "mend that, or set XDG_STATE_HOME to a folder of yours".to_owned(),
            Self::Homeless => "set one of them".to_owned(),
        }
    }
}

/// A broker's address as people write it.
pub(crate) fn address(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// A lock that ends when it is dropped, or with its process.
#[derive(Debug)]
pub struct LoginLock {
    _file: File,
}

impl LoginLock {
    /// Longer than one refresh of another process may take.
    const PATIENCE: Duration = Duration::from_secs(90);

    /// Takes the lock of this file, which is made if need be.
    pub(crate) fn take(path: &Path) -> Result<Self, LoginError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(|error| LoginError::io(path, &error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < Self::PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => return Err(LoginError::Busy(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(LoginError::io(path, &error)),
            }
        }
    }
}
