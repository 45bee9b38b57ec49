//! Why is PostgreSQL not reached? Asked once more, by one connection: a pool waits out what refuses it, and tells of the
//! wait alone.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::Settings;

/// Why it is not reached. Neither the password nor the whole address is part of it.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// Nobody listens there, or it is another machine's network that says no.
    #[error("nothing is reached at {place}: {source}")]
    Network {
        /// Host and port, or a socket's folder.
        place: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No answer came in time.
    #[error("no answer came from {place} in time")]
    Silent {
        /// Host and port, or a socket's folder.
        place: String,
    },
    /// The server has no database of that name.
    #[error("the server at {place} has no database `{database}`")]
    NoDatabase {
        /// Host and port, or a socket's folder.
        place: String,
        /// Its name.
        database: String,
    },
    /// The server does not let this user in.
    #[error("the server at {place} refuses the user `{user}`: {says}")]
    Authentication {
        /// Host and port, or a socket's folder.
        place: String,
        /// The role.
        user: String,
        /// What the server said.
        says: String,
    },
    /// The server answers, and takes no connection now.
    #[error("the server at {place} takes no connection: {says}")]
    NotNow {
        /// Host and port, or a socket's folder.
        place: String,
        /// What the server said.
        says: String,
    },
}

impl Unreached {
    /// Whether it may pass without a change of settings.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Network { .. } | Self::Silent { .. } | Self::NotNow { .. } => true,
            Self::NoDatabase { .. } | Self::Authentication { .. } => false,
        }
    }
}

impl Settings {
    /// Why PostgreSQL is not reached; `None` where it is after all, for SQLite, and where this does not tell.
    pub async fn unreached(&self) -> Option<Unreached> {
        if self.url.starts_with("sqlite:") {
            return None;
        }
        let options = PgConnectOptions::from_str(&self.url).ok()?.disable_statement_logging();
        let place = || match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        match tokio::time::timeout(self.acquire_timeout, options.connect()).await {
            Err(_) => Some(Unreached::Silent { place: place() }),
            Ok(Err(error)) => cause(error, &options, place()),
            Ok(Ok(connection)) => {
                connection.close().await.ok();
                None
            }
        }
    }
}

fn cause(error: sqlx::Error, options: &PgConnectOptions, place: String) -> Option<Unreached> {
    let says = match error {
        sqlx::Error::Io(source) => return Some(Unreached::Network { place, source }),
        sqlx::Error::Database(says) => says,
        _ => return None,
    };
    let text = says.message().to_owned();
    let user = options.get_username().to_owned();
    Some(match says.code().as_deref() {
        Some("3D000") => {
            let database = options.get_database().map_or(user, str::to_owned);
            Unreached::NoDatabase { place, database }
        }
        // Class 28: invalid authorization.
        Some(code) if code.starts_with("28") => Unreached::Authentication { place, user, says: text },
        _ => Unreached::NotNow { place, says: text },
    })
}
