//! `jeton migrate`: brings the database's schema up to this release.

use std::io::Write;

use super::Error;
use super::server_args::{ServerArgs, nature};
use crate::app;

/// Bring the database's schema up to this release
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let config = args.server.load(Vec::new())?;
    app::migrate(&config, nature()).await?;
    writeln!(std::io::stderr(), "jeton: the schema is that of {}", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}
