//! How is the server set up? `jeton.toml`, then the environment, then flags; read once, before anything else.
//!
//! It promises that a key nobody knows is refused with the nearest name, that every violation is one line that
//! names the key and where it was set, and that no line repeats the value of a secret. A section is a file.

mod audit;
mod connectors;
mod database;
mod fence;
mod instance;
mod issuer;
mod keys;
mod layers;
mod login;
mod metrics;
mod outbound;
mod proxy;
mod reader;
mod refresh;
mod secret_stores;
mod signup;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jeton_client::secret_store::Variables;

use crate::model::address::Network;
use crate::model::public_url::PublicUrl;
use crate::store;

pub use self::connectors::ConnectorBase;
pub use self::instance::Instance;
pub use self::issuer::Issuer;
pub use self::keys::Keys;
pub use self::layers::{Flag, Sources};
pub use self::login::{ForwardedLogin, UpstreamLogin};
pub use self::reader::{Place, Violation};
pub use self::refresh::Refresh;

use self::reader::Reader;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML; the line at fault is not repeated, it may hold a secret.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What the parser says.
        detail: String,
    },
    /// Keys that are unknown, contradict each other or hold what they may not.
    #[error("{}", lines(.0))]
    Invalid(Vec<Violation>),
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// The whole configuration, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where keyring and embedded database are.
    pub data_dir: PathBuf,
    /// The database.
    pub database: store::Settings,
    /// The address people and programs know us by, where it was set.
    pub public_url: Option<PublicUrl>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The filter of log lines.
    pub log: Option<String>,
    /// Their form.
    pub log_format: LogFormat,
    /// The instance's names.
    pub instance: Instance,
    /// Where the key-encryption keys are.
    pub keys: Keys,
    /// How tokens are refreshed.
    pub refresh: Refresh,
    /// How providers are called.
    pub outbound: crate::outbound::Settings,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
    /// Origins that a signup may return to.
    pub return_to_origins: Vec<String>,
    /// How our own tokens are signed.
    pub issuer: Issuer,
    /// Sign-in by another OpenID provider.
    pub upstream_login: Option<UpstreamLogin>,
    /// Where figures are shown, if not on the main listener.
    pub metrics_listen: Option<SocketAddr>,
    /// Where credentials of clients may be delivered to.
    pub secret_stores: crate::secret_stores::Settings,
    /// Catalog connectors at other addresses.
    pub connectors: Vec<ConnectorBase>,
    unsupported: Vec<Violation>,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// [`Error::Invalid`] names everything that is wrong, not just the first.
    pub fn load(sources: Sources) -> Result<Self, Error> {
        let variables = sources.variables();
        let mut reader = Reader::new(sources.entries()?);
        let config = Self::read(&mut reader, variables);
        reader.finish()?;
        Ok(config)
    }

    fn read(reader: &mut Reader, variables: Variables) -> Self {
        let data_dir = reader.text("data_dir").map_or_else(|| PathBuf::from("./jeton-data"), PathBuf::from);
        let trusted_proxies = proxy::read(reader);
        let listen = listen(reader);
        let (outbound_timeouts, refresh) = refresh::read(reader);
        let mut config = Self {
            database: database::read(reader, &data_dir),
            public_url: reader.parsed("public_url", PublicUrl::parse),
            listen,
            log: reader.checked(
                "log",
                "a filter such as `info` or `jeton=debug`",
                crate::telemetry::is_filter,
            ),
            log_format: log_format(reader),
            instance: instance::read(reader),
            keys: keys::read(reader, &data_dir),
            refresh,
            outbound: outbound::read(reader, outbound_timeouts),
            trusted_proxies,
            return_to_origins: signup::read(reader),
            issuer: issuer::read(reader),
            upstream_login: None,
            metrics_listen: metrics::read(reader),
            secret_stores: secret_stores::read(reader, variables, &data_dir),
            connectors: connectors::read(reader),
            data_dir,
            unsupported: Vec::new(),
        };
        audit::read(reader);
        fence::read(reader);
        config.upstream_login =
            login::read(reader, config.outbound.allow_loopback, !config.trusted_proxies.is_empty());
        check_listener(reader, &config);
        config.unsupported = reader.take_unsupported();
        config
    }

    /// Refuses keys that are well formed but without effect in this release.
    ///
    /// # Errors
    /// [`Error::Invalid`] names each.
    pub fn refuse_unsupported(&self) -> Result<(), Error> {
        if self.unsupported.is_empty() { Ok(()) } else { Err(Error::Invalid(self.unsupported.clone())) }
    }

    /// The address people know us by where neither configuration nor `init` said one: the listener's, on loopback.
    pub fn loopback_url(&self) -> Option<PublicUrl> {
        let loopback = self.listen.ip().is_loopback();
        loopback.then(|| PublicUrl::parse(&format!("http://{}", self.listen)).ok()).flatten()
    }

    /// The SQLite file, where the database is one.
    pub fn sqlite_file(&self) -> Option<&Path> {
        self.database.url.strip_prefix("sqlite:").filter(|path| *path != ":memory:").map(Path::new)
    }
}

fn listen(reader: &mut Reader) -> SocketAddr {
    let hint = "an address and port, such as 127.0.0.1:8080 or [::1]:8080";
    reader
        .hinted("listen", hint, |text| text.parse().ok())
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)))
}

fn log_format(reader: &mut Reader) -> LogFormat {
    let parse = |text: &str| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    };
    reader.hinted("log_format", "`text` or `json`", parse).unwrap_or_default()
}

/// Plain http beyond this machine only behind a proxy that ends TLS.
fn check_listener(reader: &mut Reader, config: &Config) {
    if !config.listen.ip().is_loopback() && config.trusted_proxies.is_empty() {
        let detail = format!(
            "opens {} to other machines over plain http; listen on 127.0.0.1, or name the proxy that ends \
             TLS in `proxy.trusted`",
            config.listen
        );
        reader.refuse("listen", detail);
    }
}

#[cfg(test)]
mod tests;
