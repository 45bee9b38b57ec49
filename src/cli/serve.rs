//! `jeton serve`: runs the broker until it is told to end.

use std::io::IsTerminal;
use std::net::TcpListener;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::Error;
use super::server_args::{ServerArgs, listen_flag, nature};
use super::shown_once::ShownOnce;
use crate::app::{self, App};
use crate::config::Config;
use crate::http::layer::trace::log_panics_by_place;

/// Run the broker
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let mut config = args.server.load(listen_flag(&args.listen))?;
    config.refuse_unsupported()?;
    log_panics_by_place();
    let mut told = (listen_to(SignalKind::terminate())?, listen_to(SignalKind::interrupt())?);
    let listener = TcpListener::bind(config.listen)
        .map_err(|source| Error::Listen { address: config.listen, source })?;
    config.listen = listener.local_addr()?;
    let app = match App::open(&config, nature()).await {
        Err(app::Error::NotInitialised(_)) if may_initialise(&config) => {
            let made = app::init(&config, nature()).await?;
            ShownOnce::default().open()?.show(&made, "This is a new instance.")?;
            App::open(&config, nature()).await?
        }
        opened => opened?,
    };
    let mut running = app.serve(listener)?;
    let failed = tokio::select! {
        error = running.failed() => Some(error),
        _ = told.0.recv() => None,
        _ = told.1.recv() => None,
    };
    if let Some(error) = failed {
        return Err(error.into());
    }
    info!("ending: refreshes under way are finished first, and what is asked meanwhile is answered");
    running.stop().await;
    info!("ended");
    Ok(())
}

/// Only for a person who tries things out: a service that lost its disk must not come up empty.
fn may_initialise(config: &Config) -> bool {
    let empty = config.sqlite_file().is_some_and(|file| !file.exists());
    empty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

fn listen_to(kind: SignalKind) -> Result<Signal, Error> {
    Ok(signal(kind)?)
}
