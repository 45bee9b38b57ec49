//! On what does the demonstration play? A broker and a sandbox provider in this process, under one clock that can
//! be moved, and a directory that disappears.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use jeton_client::{Broker, BrokerSettings};
use url::Url;

use super::{deviation, no_url};
use crate::app::{self, App, Credentials, Nature, Running};
use crate::cli::Error;
use crate::config::{Config, Flag, Sources};
use crate::model::entropy::SystemEntropy;
use crate::model::time::ShiftedClock;
use crate::sandbox::{self, Profile, Sandbox, Settings, Standard};

/// The sandbox's client that behaves to the letter, and the secret of all its clients.
pub(super) const PROVIDER_CLIENT: (&str, &str) = ("sandbox-standard", "sandbox-secret");
/// Shorter than a sign-in of the job lasts, so that one sign-in is enough for the whole play.
pub(super) const TOKEN_LIFE: time::Duration = time::Duration::minutes(20);

/// Everything that runs.
pub(super) struct Stage {
    pub(super) clock: Arc<ShiftedClock>,
    pub(super) broker: Url,
    pub(super) provider: Url,
    /// The client that `init` made.
    pub(super) admin: Broker,
    running: Running,
    sandbox: Sandbox,
    home: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn build() -> Result<Self, Error> {
        let home =
            tempfile::tempdir().map_err(|error| deviation(format!("no temporary directory: {error}")))?;
        let clock = Arc::new(ShiftedClock::default());
        let nature = Nature { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let unheard = |source| Error::Listen { address: free, source };
        let sandbox =
            sandbox::start(provider(free), nature.clock.clone(), nature.entropy.clone()).map_err(unheard)?;
        let listener = TcpListener::bind(free).map_err(unheard)?;
        let address = listener.local_addr()?.to_string();
        let dir = home.path().join("data").display().to_string();
        let config = Config::load(Sources::flags(vec![
            flag("data_dir", dir),
            flag("listen", address),
            flag("outbound.allow_loopback", "true".to_owned()),
            // The play shows what happens when somebody asks.
            flag("refresh.background", "false".to_owned()),
            flag("connectors.sandbox.base_url", sandbox.url().to_string()),
        ]))?;
        let made = app::init(&config, nature.clone()).await?;
        let app = App::open(&config, nature).await?;
        let broker = Url::parse(app.public_url().as_str()).map_err(no_url)?;
        let admin = admin(&broker, &made)?;
        let running = app.serve(listener)?;
        Ok(Self { clock, broker, provider: sandbox.url(), admin, running, sandbox, home })
    }

    /// An address of the broker.
    pub(super) fn at(&self, path: &str) -> Result<Url, Error> {
        self.broker.join(path).map_err(no_url)
    }

    /// An address of the provider.
    pub(super) fn at_provider(&self, path: &str) -> Result<Url, Error> {
        self.provider.join(path).map_err(no_url)
    }

    /// Ends everything and removes what was stored.
    pub(super) async fn strike(self) -> Result<(), Error> {
        self.running.stop().await;
        self.sandbox.stop().await;
        Ok(self.home.close()?)
    }
}

fn flag(key: &'static str, value: String) -> Flag {
    Flag { key, name: "the demonstration", value }
}

/// The sandbox as it always is, with shorter tokens.
fn provider(listen: SocketAddr) -> Settings {
    let mut settings = Settings::demo(listen);
    let lifetime_s = TOKEN_LIFE.whole_seconds().unsigned_abs();
    for client in settings.clients.iter_mut().filter(|client| client.client_id == PROVIDER_CLIENT.0) {
        client.profile = Profile::Standard(Standard { lifetime_s, ..Standard::default() });
    }
    settings
}

#[expect(clippy::disallowed_methods, reason = "door: the demonstration is who the credentials were made for")]
fn admin(broker: &Url, made: &Credentials) -> Result<Broker, Error> {
    let secret = jeton_client::Secret::new(made.client_secret.expose_secret());
    let settings = BrokerSettings::new(broker.as_str(), made.client_id.as_str(), secret)?;
    Broker::new(settings).map_err(crate::cli::remote::failing("cannot reach the broker"))
}
