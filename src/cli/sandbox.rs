//! `jeton sandbox`: runs the test provider.

use std::io::Write;
use std::net::SocketAddr;

use super::Error;
use super::server_args::nature;
use crate::sandbox::{self, Settings};

/// Run a provider to test with: rotation, revocation, faults on demand
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen, on loopback
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081", value_parser = loopback)]
    listen: SocketAddr,
}

/// Its pages sign anybody in, its controls need no credential: it is for this machine alone.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "must be ADDRESS:PORT".to_owned())?;
    if address.ip().is_loopback() { Ok(address) } else { Err("must be on loopback".to_owned()) }
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    crate::telemetry::start(None, crate::config::LogFormat::Text);
    let settings = Settings::demo(args.listen);
    let clients = settings.clients.clone();
    let nature = nature();
    let running = sandbox::start(settings, nature.clock, nature.entropy)
        .map_err(|source| Error::Listen { address: args.listen, source })?;
    let mut out = std::io::stdout();
    let url = running.url();
    writeln!(out, "The sandbox provider is at {url}")?;
    writeln!(out, "It keeps everything in memory. Its clients, for `jeton credentials set`:\n")?;
    for client in &clients {
        writeln!(
            out,
            "  client_id {:<20} client_secret {}",
            client.client_id,
            client.client_secret.as_deref().unwrap_or("(none)")
        )?;
    }
    writeln!(out, "\nA broker reaches it with `outbound.allow_loopback = true` and, for its catalog entry,")?;
    writeln!(out, "JETON_CONNECTORS__SANDBOX__BASE_URL={url}\nCtrl-C ends it.")?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
