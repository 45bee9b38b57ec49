//! Where is the broker, and as whom does this program speak to it?
//!
//! Plain http is refused but for loopback hosts, because the client secret travels in the first request.

use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use crate::secret::Secret;

/// What [`crate::Broker`] needs to know; the secret is not printed by `Debug`.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// The broker's public URL, which may have a path.
    pub url: Url,
    /// Client id of this program at the broker.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Allows plain http to a host that is not loopback.
    pub plain_http: bool,
    /// How often a call is sent again after a connection error, 429 or 503.
    pub retries: u32,
    /// How long all pauses of one call may last together; a longer `Retry-After` ends the call.
    pub patience: Duration,
    /// The pause before the first repetition where the broker names none; it doubles each time.
    pub first_pause: Duration,
    /// How long one request may take; the broker itself may wait 30 s for a refresh under way.
    pub timeout: Duration,
}

/// What is missing or wrong in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A required variable has no value.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Both the variable and its `_FILE` twin have a value.
    #[error("both {0} and {0}_FILE are set: keep one")]
    Twice(&'static str),
    /// The secret's file gives nothing.
    #[error("{variable}: cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The broker's URL is none, or not http(s), or carries what a base URL cannot.
    #[error("JETON_URL is not a usable URL: {0}")]
    Url(&'static str),
    /// The secret would travel in clear.
    #[error("{0} is plain http on a host that is not loopback: use https")]
    PlainHttp(Url),
    /// The HTTP client cannot be made, for example for want of root certificates.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl BrokerSettings {
    /// Settings with the usual limits.
    ///
    /// # Errors
    /// When `url` is not an http(s) URL.
    pub fn new(
        url: &str,
        client_id: impl Into<String>,
        client_secret: Secret,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            url: base_url(url)?,
            client_id: client_id.into(),
            client_secret,
            plain_http: false,
            retries: 3,
            patience: Duration::from_secs(30),
            first_pause: Duration::from_millis(250),
            timeout: Duration::from_secs(60),
        })
    }

    /// Reads `JETON_URL`, `JETON_CLIENT_ID`, and `JETON_CLIENT_SECRET` or `JETON_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    /// Names the variable that is missing or unusable.
    #[expect(clippy::disallowed_methods, reason = "the one place where the client reads the environment")]
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let url = variable("JETON_URL").ok_or(SettingsError::Missing("JETON_URL"))?;
        let client_id = variable("JETON_CLIENT_ID").ok_or(SettingsError::Missing("JETON_CLIENT_ID"))?;
        let secret = match (variable("JETON_CLIENT_SECRET"), variable("JETON_CLIENT_SECRET_FILE")) {
            (Some(_), Some(_)) => return Err(SettingsError::Twice("JETON_CLIENT_SECRET")),
            (Some(secret), None) => Secret::new(secret),
            (None, Some(path)) => secret_from(PathBuf::from(path))?,
            (None, None) => return Err(SettingsError::Missing("JETON_CLIENT_SECRET")),
        };
        Self::new(&url, client_id, secret)
    }

    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.url.scheme() == "https" || self.plain_http || is_loopback(&self.url) {
            return Ok(());
        }
        Err(SettingsError::PlainHttp(self.url.clone()))
    }
}

fn base_url(text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text.trim()).map_err(|_| SettingsError::Url("it must start with https://"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::Url("only https, and http on loopback, is spoken"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::Url("it must not carry a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(SettingsError::Url("it must not carry a query or fragment"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn secret_from(path: PathBuf) -> Result<Secret, SettingsError> {
    let variable = "JETON_CLIENT_SECRET_FILE";
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => {
            Err(SettingsError::Unreadable { variable, path, reason: "it is empty".to_owned() })
        }
        Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => Err(SettingsError::Unreadable { variable, path, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<BrokerSettings, SettingsError> {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
        BrokerSettings::from_variables(find)
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(from(&[]).unwrap_err().to_string(), "the environment variable JETON_URL is not set");
        let url = ("JETON_URL", "https://broker.example");
        assert_eq!(from(&[url]).unwrap_err(), SettingsError::Missing("JETON_CLIENT_ID"));
        let id = ("JETON_CLIENT_ID", "job");
        assert_eq!(from(&[url, id]).unwrap_err(), SettingsError::Missing("JETON_CLIENT_SECRET"));
        let twice = [url, id, ("JETON_CLIENT_SECRET", "a"), ("JETON_CLIENT_SECRET_FILE", "b")];
        assert_eq!(from(&twice).unwrap_err(), SettingsError::Twice("JETON_CLIENT_SECRET"));
    }

    #[test]
    fn the_secret_comes_from_its_file_without_the_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret canary\n").unwrap();
        let path = file.path().to_str().unwrap();
        let pairs = [
            ("JETON_URL", "https://b.example"),
            ("JETON_CLIENT_ID", "j"),
            ("JETON_CLIENT_SECRET_FILE", path),
        ];
        let settings = from(&pairs).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test compares the plaintext")]
        let secret = settings.client_secret.expose_secret().to_owned();
        assert_eq!(secret, "s3cret canary");
        assert!(!format!("{settings:?}").contains("canary"));
    }

    #[test]
    fn plain_http_is_for_loopback() {
        let check = |url: &str| BrokerSettings::new(url, "j", Secret::new("s")).unwrap().check();
        for fine in ["https://b.example", "http://127.0.0.2:1", "http://[::1]:1", "http://localhost/x"] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for refused in ["http://b.example", "http://10.0.0.1", "http://127.0.0.1.example", "http://[::2]"] {
            assert!(matches!(check(refused), Err(SettingsError::PlainHttp(_))), "{refused}");
        }
    }

    #[test]
    fn a_url_with_a_password_or_query_is_refused() {
        for url in ["b.example", "ftp://b.example", "https://u:p@b.example", "https://b.example?x=1"] {
            let error = BrokerSettings::new(url, "j", Secret::new("s")).unwrap_err();
            assert!(matches!(error, SettingsError::Url(_)), "{url}");
        }
    }
}
