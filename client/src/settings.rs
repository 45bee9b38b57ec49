//! Where is the broker, and as whom does this program speak to it?
//!
//! Plain http is refused but for loopback hosts, because the client secret travels in the first request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use crate::error::Error;
use crate::login::{LoginError, LoginPlace, LoginStore};
use crate::secret::Secret;
use crate::secret_store::{self, Reference, StoreError, StoredCredential, Variables};

/// What [`crate::Broker`] needs to know; the secret is not printed by `Debug`.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// The broker's public URL, which may have a path.
    pub url: Url,
    /// As whom it speaks.
    pub credential: Credential,
    /// Gets the next bearer while the one in hand still lives, so that no task waits for it. Not for a program that
    /// ends at any moment: a refresh token whose answer nobody kept is lost, and the sign-in with it.
    pub ahead: bool,
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

/// As whom a program speaks to the broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// As itself (`client_credentials`).
    ClientSecret {
        /// Its client id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// As itself, by a credential in a secret store, which is read again where the broker refuses it.
    Stored(Arc<StoredCredential>),
    /// For a person who signed in (`jeton login`).
    Login(Arc<dyn LoginStore>),
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
    /// A secret and a reference to one.
    #[error("JETON_CREDENTIAL and a JETON_CLIENT_SECRET are set: keep one")]
    BothSecrets,
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
    /// The key of assertions cannot be used.
    #[error("the private key is no P-256 key in PEM (PKCS#8)")]
    Key,
    /// The HTTP client cannot be made, for example for want of root certificates.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl SettingsError {
    /// An address without its scheme, or with one that is not spoken.
    pub const SCHEME: Self =
        Self::Url("it must start with https://, or with http:// where the broker is on this machine");
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
        let credential = Credential::ClientSecret { client_id: client_id.into(), client_secret };
        Ok(Self::with(base_url(url)?, credential))
    }

    /// Settings of a program that speaks for the person who signed in at `url`.
    pub fn of_login(url: Url, store: Arc<dyn LoginStore>) -> Self {
        Self::with(url, Credential::Login(store))
    }

    fn with(url: Url, credential: Credential) -> Self {
        Self {
            url,
            credential,
            ahead: true,
            plain_http: false,
            retries: 3,
            patience: Duration::from_secs(30),
            first_pause: Duration::from_millis(250),
            timeout: Duration::from_secs(60),
        }
    }

    /// Reads `JETON_URL`, `JETON_CLIENT_ID`, and `JETON_CLIENT_SECRET` or `JETON_CLIENT_SECRET_FILE`; or
    /// `JETON_CREDENTIAL`, a reference to a credential in a secret store, which may also say where the broker is.
    ///
    /// # Errors
    /// Names the variable that is missing or unusable, or what is wrong in the store.
    pub async fn from_env() -> Result<Self, Error> {
        Self::from_variables(&Variables::of_process()).await
    }

    /// The same, and where the environment holds no secret, the sign-in that `jeton login` kept: at `JETON_URL`, or
    /// the only one.
    ///
    /// # Errors
    /// Names the variable that is missing or unusable, or what is wrong with the sign-in.
    pub async fn from_env_or_login() -> Result<Self, Error> {
        Self::from_variables_or_login(&Variables::of_process()).await
    }

    /// The variable by which a program is a client, whoever signed in.
    pub fn secret_variable(variables: &Variables) -> Option<&'static str> {
        let all = ["JETON_CREDENTIAL", "JETON_CLIENT_SECRET", "JETON_CLIENT_SECRET_FILE"];
        all.into_iter().find(|name| variables.find(name).is_some())
    }

    async fn from_variables_or_login(variables: &Variables) -> Result<Self, Error> {
        if Self::secret_variable(variables).is_some() {
            return Self::from_variables(variables).await;
        }
        let url = variables.find("JETON_URL").map(|url| base_url(&url)).transpose()?;
        let client_id = variables.find("JETON_CLIENT_ID");
        let found = LoginPlace::from_variables(variables).and_then(|place| {
            let kept = place.find(url.as_ref())?;
            Ok((place.store(&kept), kept))
        });
        match found {
            Ok((store, kept)) if client_id.as_ref().is_none_or(|id| *id == kept.client_id) => {
                Ok(Self::of_login(kept.url, store))
            }
            // Whoever names a client means that one, and lacks its secret.
            Ok(_) | Err(LoginError::Absent(_)) if client_id.is_some() => {
                Self::from_variables(variables).await
            }
            Ok((_, kept)) => Err(LoginError::absent(&kept.url).into()),
            Err(LoginError::Homeless) => Self::from_variables(variables).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn from_variables(variables: &Variables) -> Result<Self, Error> {
        if let Some(reference) = variables.find("JETON_CREDENTIAL") {
            return Self::stored(&reference, variables).await;
        }
        let url = variables.find("JETON_URL").ok_or(SettingsError::Missing("JETON_URL"))?;
        let client_id = variables.find("JETON_CLIENT_ID").ok_or(SettingsError::Missing("JETON_CLIENT_ID"))?;
        let secret = match (variables.find("JETON_CLIENT_SECRET"), variables.find("JETON_CLIENT_SECRET_FILE"))
        {
            (Some(_), Some(_)) => return Err(SettingsError::Twice("JETON_CLIENT_SECRET").into()),
            (Some(secret), None) => Secret::new(secret),
            (None, Some(path)) => secret_from(PathBuf::from(path))?,
            (None, None) => return Err(SettingsError::Missing("JETON_CLIENT_SECRET").into()),
        };
        Ok(Self::new(&url, client_id, secret)?)
    }

    async fn stored(reference: &str, variables: &Variables) -> Result<Self, Error> {
        let both = ["JETON_CLIENT_SECRET", "JETON_CLIENT_SECRET_FILE"]
            .iter()
            .any(|name| variables.find(name).is_some());
        if both {
            return Err(SettingsError::BothSecrets.into());
        }
        let url = variables.find("JETON_URL").map(|url| base_url(&url)).transpose()?;
        let reference: Reference = reference.parse().map_err(StoreError::from)?;
        let store = secret_store::open(&reference, variables)?;
        let credential = StoredCredential::load(store, url.clone()).await?;
        let url = url.unwrap_or_else(|| credential.current().issuer);
        Ok(Self::with(url, Credential::Stored(Arc::new(credential))))
    }

    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        check_scheme(&self.url, self.plain_http)
    }
}

impl LoginPlace {
    /// `$XDG_STATE_HOME/jeton`, or `~/.local/state/jeton`.
    ///
    /// # Errors
    /// Where neither variable names a folder.
    pub fn from_env() -> Result<Self, LoginError> {
        Self::from_variables(&Variables::of_process())
    }

    fn from_variables(variables: &Variables) -> Result<Self, LoginError> {
        Ok(Self::new(variables.state_folder().ok_or(LoginError::Homeless)?))
    }
}

pub(crate) fn check_scheme(url: &Url, plain_http: bool) -> Result<(), SettingsError> {
    if url.scheme() == "https" || plain_http || is_loopback(url) {
        return Ok(());
    }
    Err(SettingsError::PlainHttp(url.clone()))
}

pub(crate) fn base_url(text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text.trim()).map_err(|_| SettingsError::SCHEME)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::SCHEME);
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
    use futures_util::FutureExt;

    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<BrokerSettings, SettingsError> {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let variables = Variables::of(pairs.iter().copied());
        match BrokerSettings::from_variables(&variables).now_or_never().expect("no store is asked") {
            Err(Error::Settings(error)) => Err(error),
            other => Ok(other.unwrap()),
        }
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
        let secret = match &settings.credential {
            Credential::ClientSecret { client_secret, .. } => client_secret.expose_secret().to_owned(),
            _ => String::new(),
        };
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
        for url in ["127.0.0.1:8080", "localhost:8080", "b.example", ""] {
            let told = BrokerSettings::new(url, "j", Secret::new("s")).unwrap_err().to_string();
            let right = "it must start with https://, or with http:// where the broker is on this machine";
            assert!(told.ends_with(right), "{url}: {told}");
        }
    }
}
