//! Which flags do the commands of the server share, and what do they set?

use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use crate::app::Nature;
use crate::config::{self, Config, Flag, Sources};
use crate::model::entropy::SystemEntropy;
use crate::model::time::SystemClock;
use crate::telemetry;

/// Flags of every command of the server; each wins over the environment and the file.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// Where keyring and embedded database are [default: ./jeton-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// sqlite:FILE or postgres://USER@HOST/DATABASE [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The https address people and programs know the broker by
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Configuration file [default: ./jeton.toml where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ServerArgs {
    /// Reads the configuration and starts logging.
    pub(super) fn load(&self, more: Vec<Flag>) -> Result<Config, Error> {
        let config = self.read(more)?;
        telemetry::start(config.log.as_deref(), config.log_format);
        keep_memory_private();
        Ok(config)
    }

    /// Reads the configuration.
    pub(super) fn read(&self, more: Vec<Flag>) -> Result<Config, config::Error> {
        let flag = |key, name, value: &Option<String>| value.clone().map(|value| Flag { key, name, value });
        let flags = [
            flag("data_dir", "--data-dir", &self.data_dir),
            flag("database_url", "--database-url", &self.database_url),
            flag("public_url", "--public-url", &self.public_url),
        ];
        let flags = flags.into_iter().flatten().chain(more).collect();
        Config::load(Sources::of_process(self.config.clone(), flags))
    }
}

/// `--listen`, where it was given.
pub(super) fn listen_flag(listen: &Option<String>) -> Vec<Flag> {
    listen.clone().map(|value| Flag { key: "listen", name: "--listen", value }).into_iter().collect()
}

/// The machine's time and chance.
pub(super) fn nature() -> Nature {
    Nature { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
}

/// A core dump would hold keys and tokens.
fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
}
