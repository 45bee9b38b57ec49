//! How do the parts come together? Configuration in, a running broker out; alone knows every part.
//!
//! [`App::open`] changes nothing before it has seen that the keyring is the one this database was made with.

mod background;
pub mod doctor;
mod first;
#[cfg(test)]
mod flooded_tests;
mod keyring;
mod recover;
mod services;
mod showing;
mod upkeep;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tracing::{info, warn};

use crate::audit::{self, Audit};
use crate::config::Config;
use crate::health::Readiness;
use crate::http::server::{Server, Services};
use crate::model::entropy::Entropy;
use crate::model::public_url::PublicUrl;
use crate::model::time::Clock;
use crate::outbound;
use crate::spool::Spool;
use crate::store::instance::Instance;
use crate::store::{self, Store};
use crate::vault::{self, InstanceKeys, Vault};
use crate::{admin, identity, issuer};

use self::background::Background;
use self::showing::Showing;
use self::upkeep::Upkeep;

pub use self::first::{Credentials, init, is_made};
pub use self::recover::recover;

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `init` has not run on this database.
    #[error(
        "nothing is here yet, in {0}: run `jeton init` with the same settings first, or name the place of an instance \
         (--data-dir, --database-url, --config)"
    )]
    NotInitialised(String),
    /// `init` has run on this database before.
    #[error(
        "this database belongs to an instance already; for a new superadmin secret run `jeton recover`, for a new \
         instance choose another data_dir or database_url"
    )]
    AlreadyInitialised,
    /// There is an instance but no keyring that can be read.
    #[error("{} (nothing was changed)", keyring_advice(.0))]
    Keyring(#[source] vault::keyring::Error),
    /// The keyring cannot be used or made.
    #[error("the keyring cannot be used")]
    KeyringUnusable(#[source] vault::keyring::Error),
    /// The keyring is another instance's.
    #[error(
        "the keyring is not the one this instance was made with; put the right one back (nothing was changed)"
    )]
    WrongKeyring(#[source] vault::Error),
    /// Nobody said how the outside calls us.
    #[error(
        "configuration key `public_url` is not set, and {0} is no loopback address to derive it from; set it to the \
         https address people use"
    )]
    NoPublicUrl(std::net::SocketAddr),
    /// What proxies forward cannot be read as it is set up.
    #[error("`login.oidc.forwarded_audience` and the keys beside it cannot be used")]
    Forwarded(#[from] jeton_guard::OidcProxyError),
    /// A connector that the catalog does not have got another address.
    #[error("configuration key `connectors.{0}` names no connector of the catalog")]
    NoSuchConnector(crate::model::connector::ConnectorId),
    /// A key or link could not be made.
    #[error("keys could not be made")]
    Vault(#[from] vault::Error),
    /// The data directory.
    #[error("cannot use {}", path.display())]
    Directory {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database.
    #[error("the database cannot be used")]
    Store(#[from] store::Error),
    /// The HTTP client.
    #[error("the HTTP client cannot be set up")]
    Outbound(#[from] outbound::BuildError),
    /// Bearer tokens.
    #[error("bearer tokens cannot be checked")]
    Bearers(#[from] identity::bearer::SetupError),
    /// Signing keys.
    #[error("tokens cannot be signed")]
    Issuer(#[from] issuer::keys::Error),
    /// Which key signs.
    #[error("the signing keys could not be looked at")]
    SigningKeys(#[from] admin::keys::Error),
    /// The first invitation.
    #[error("no invitation could be made")]
    People(#[from] identity::people::Error),
    /// The first client.
    #[error("no client could be made")]
    Clients(#[from] crate::admin::clients::Error),
    /// The audit trail.
    #[error("what was done could not be recorded")]
    Audit(#[from] audit::Error),
    /// The listener of the metrics.
    #[error("cannot listen on {address} (`metrics.listen`)")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The listener.
    #[error("the server failed")]
    Server(#[source] std::io::Error),
}

/// One that is not there is put back; what is wrong with another stands in the cause.
fn keyring_advice(error: &vault::keyring::Error) -> &'static str {
    match error {
        vault::keyring::Error::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            "the keyring of this instance is missing; put it back where `keys.keyring_file` says"
        }
        _ => "the keyring of this instance cannot be used; mend it, or put back the one it was made with",
    }
}

impl Error {
    /// Whether it may pass by itself.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error @ store::Error::Unavailable(_)) => !error.is_damaged(),
            _ => self.is_locked(),
        }
    }

    /// Whether another process has the SQLite database open.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(store::Error::Locked(_)))
    }

    /// Whether the database's file is damaged.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_damaged())
    }

    /// Whether an operator has to change something.
    pub fn is_configuration(&self) -> bool {
        if self.is_damaged() {
            return true;
        }
        match self {
            Self::NotInitialised(_)
            | Self::AlreadyInitialised
            | Self::Keyring(_)
            | Self::KeyringUnusable(_)
            | Self::WrongKeyring(_)
            | Self::NoPublicUrl(_)
            | Self::Forwarded(_)
            | Self::NoSuchConnector(_)
            | Self::Directory { .. }
            | Self::Store(store::Error::Untrusted(_))
            | Self::Outbound(_) => true,
            Self::Vault(_)
            | Self::Store(_)
            | Self::Bearers(_)
            | Self::Issuer(_)
            | Self::SigningKeys(_)
            | Self::People(_)
            | Self::Clients(_)
            | Self::Audit(_)
            | Self::Metrics { .. }
            | Self::Server(_) => false,
        }
    }
}

/// Time and chance, handed to every part.
#[derive(Clone)]
pub struct Nature {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What every part stands on.
pub(in crate::app) struct Ground {
    pub(in crate::app) nature: Nature,
    pub(in crate::app) store: Store,
    pub(in crate::app) vault: Arc<Vault>,
    pub(in crate::app) spool: Arc<Spool>,
    pub(in crate::app) audit: Arc<Audit>,
    pub(in crate::app) public_url: PublicUrl,
}

/// A broker with its database open and its services ready.
pub struct App {
    services: Services,
    store: Store,
    public_url: PublicUrl,
    sweeps: bool,
    metrics_listen: Option<SocketAddr>,
}

impl App {
    /// Reads the keyring, looks at the database, compares; then locks, migrates, and builds the services.
    ///
    /// # Errors
    /// [`Error::WrongKeyring`] and [`Error::Keyring`] leave every file as it was.
    pub async fn open(config: &Config, nature: Nature) -> Result<Self, Error> {
        let ground = Ground::open(config, nature).await?;
        let (store, public_url) = (ground.store.clone(), ground.public_url.clone());
        let services = services::build(config, ground).await?;
        if let Err(error) = services.keeper.replay_spool().await {
            warn!(%error, "answers that wait in the spool could not be stored yet; tried again every 5 s");
        }
        let sweeps = config.refresh.background;
        Ok(Self { services, store, public_url, sweeps, metrics_listen: config.metrics_listen })
    }

    /// How the outside calls us.
    pub fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }

    /// What the routes work with; tests and `demo` reach in here.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Serves on a listener until it is stopped; from within a tokio runtime.
    pub fn serve(self, listener: TcpListener) -> Result<Running, Error> {
        let address = listener.local_addr().map_err(Error::Server)?;
        let (figures, exposed) = (Arc::clone(&self.services.figures), Arc::clone(&self.services.metrics));
        let showing = Showing::start(figures, &exposed, self.metrics_listen)
            .map_err(|source| Error::Metrics { address: self.metrics_listen.unwrap_or(address), source })?;
        let Services { signup, keeper, signing_keys, clients, .. } = &self.services;
        let keys = Arc::clone(signing_keys);
        let upkeep = Upkeep::start(Arc::clone(signup), Arc::clone(keeper), keys, Arc::clone(clients));
        let background = self.sweeps.then(|| Background::start(Arc::clone(&self.services.keeper)));
        let readiness = Arc::clone(&self.services.readiness);
        let server = Server::start(listener, self.services).map_err(Error::Server)?;
        info!(%address, public_url = %self.public_url, "serving {} on {address}", self.public_url);
        Ok(Running { server, upkeep, background, showing, readiness, store: self.store })
    }
}

/// A broker that serves.
pub struct Running {
    server: Server,
    upkeep: Upkeep,
    background: Option<Background>,
    showing: Showing,
    readiness: Arc<Readiness>,
    store: Store,
}

impl Running {
    /// Ends when the server failed by itself.
    pub async fn failed(&mut self) -> Error {
        Error::Server(self.server.failed().await)
    }

    /// Ends what is under way, then everything; says from the beginning that it is not ready.
    pub async fn stop(self) {
        self.readiness.end();
        if let Some(background) = self.background {
            background.stop().await;
        }
        // Beside each other: a provider that takes no revocation must not keep refreshes from landing.
        tokio::join!(self.upkeep.stop(Upkeep::LONGEST_STOP), self.server.stop());
        self.showing.stop().await;
        if let Err(error) = self.store.close().await {
            warn!(%error, "the database was not closed in order");
        }
    }
}

/// Where an instance is looked for. The address of a database on a server is not told: it may hold a password.
fn place(config: &Config) -> String {
    let Some(file) = config.database.url.strip_prefix("sqlite:") else {
        return "the database of `database_url`".to_owned();
    };
    let file = std::path::Path::new(file);
    let is_usual = file.parent() == Some(config.data_dir.as_path());
    let place = if is_usual { config.data_dir.as_path() } else { file };
    std::path::absolute(place).unwrap_or_else(|_| place.to_owned()).display().to_string()
}

/// Brings the schema of an instance's database up to this release.
pub async fn migrate(config: &Config, nature: Nature) -> Result<(), Error> {
    Ok(Ground::open(config, nature).await?.store.close().await?)
}

impl Ground {
    /// Everything up to the services, in the order that changes nothing under a wrong keyring.
    pub(in crate::app) async fn open(config: &Config, nature: Nature) -> Result<Self, Error> {
        let keys = keyring::read(config);
        let seen = Store::look(&config.database, Arc::clone(&nature.clock)).await?;
        let instance = seen.ok_or_else(|| Error::NotInitialised(place(config)))?;
        let keys = Arc::new(keys.map_err(Error::Keyring)?);
        let vault = Vault::unlock(keys, Arc::clone(&nature.entropy), &instance_keys(&instance));
        let vault = Arc::new(vault.map_err(Error::WrongKeyring)?);
        let public_url = public_url(config, instance.public_url.as_deref())?;
        let store = Store::connect(&config.database, Arc::clone(&nature.clock)).await?;
        let store = store.with_notary(vault.notary());
        store.migrate().await?;
        Ok(Self::assemble(config, nature, store, vault, public_url))
    }

    pub(in crate::app) fn assemble(
        config: &Config,
        nature: Nature,
        store: Store,
        vault: Arc<Vault>,
        public_url: PublicUrl,
    ) -> Self {
        let spool = Arc::new(Spool::new(config.data_dir.join("spool")));
        let parts = audit::Parts {
            store: store.clone(),
            vault: Arc::clone(&vault),
            spool: Arc::clone(&spool),
            clock: Arc::clone(&nature.clock),
            entropy: Arc::clone(&nature.entropy),
        };
        let audit = Arc::new(Audit::start(parts, audit::Settings::default()));
        Self { nature, store, vault, spool, audit, public_url }
    }
}

fn instance_keys(instance: &Instance) -> InstanceKeys {
    InstanceKeys { data_key: instance.data_key.clone(), sealed_hash_key: instance.sealed_hash_key.clone() }
}

/// The configured one, else the one `init` stored, else the listener's where that is loopback.
pub(in crate::app) fn public_url(config: &Config, stored: Option<&str>) -> Result<PublicUrl, Error> {
    let stored = stored.and_then(|text| PublicUrl::parse(text).ok());
    if let (Some(configured), Some(stored)) = (&config.public_url, &stored)
        && configured != stored
    {
        warn!(%configured, %stored, "the configured public URL is not the one `init` stored; the configured one counts");
    }
    config
        .public_url
        .clone()
        .or(stored)
        .or_else(|| config.loopback_url())
        .ok_or(Error::NoPublicUrl(config.listen))
}
