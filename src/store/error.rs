//! Why did the database not do it?

use std::path::PathBuf;

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use super::sqlite;

/// Why the database gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not reachable, read only, overloaded, or it refused the statement. The cause stands in the text, since a log line
    /// tells no more than that; it holds no values.
    #[error("the database did not do it: {0}")]
    Unavailable(#[source] DbErr),
    /// Its certificate is not trusted, or it speaks no TLS though that was asked for.
    #[error(
        "the database gives no TLS connection that can be trusted: name its CA with `sslrootcert=FILE` in \
         database_url, or choose another `sslmode` there (`disable` only on a network that is yours alone)"
    )]
    Untrusted(#[source] DbErr),
    /// It was reachable a moment ago, and what it did then is not known.
    #[error("the database was interrupted")]
    Interrupted,
    /// A unique index has this value already.
    #[error("it exists already")]
    AlreadyExists,
    /// A row holds what this program never writes.
    #[error("column `{column}` of table `{table}` holds an unknown value")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
    },
    /// A row that says what somebody may do can be written only with the instance's key.
    #[error("the store has no key to sign rows with")]
    NoKey,
    /// Another process has the SQLite database open.
    #[error("another process uses the data directory ({})", .0.display())]
    Locked(PathBuf),
    /// The SQLite file or its lock could not be opened.
    #[error("cannot open {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::AlreadyExists,
            _ => Self::Unavailable(error),
        }
    }
}

impl Error {
    /// Whether SQLite's file is damaged: that does not pass.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Unavailable(error) if sqlite::is_damage(error))
    }

    /// A handshake that failed reaches us as a TLS error or as invalid data.
    pub(super) fn connecting(error: DbErr) -> Self {
        let handshake = match &error {
            DbErr::Conn(RuntimeErr::SqlxError(cause)) => match &**cause {
                sqlx::Error::Tls(_) => true,
                sqlx::Error::Io(cause) => cause.kind() == std::io::ErrorKind::InvalidData,
                _ => false,
            },
            _ => false,
        };
        if handshake { Self::Untrusted(error) } else { error.into() }
    }
}
