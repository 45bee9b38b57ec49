//! `jeton init`: makes a new instance.

use std::io::Write;

use super::Error;
use super::server_args::{ServerArgs, nature};
use super::shown_once::ShownOnce;
use crate::app;

/// Make a new instance: data directory, keyring, database, the first superadmin client and invitation
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    shown: ShownOnce,
    /// End well, printing nothing, where there is an instance already
    #[arg(long)]
    if_needed: bool,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let config = args.server.load(Vec::new())?;
    // Asked before the file is made: it may still be there from the first time.
    if args.if_needed && app::is_made(&config, nature()).await? {
        return nothing_needed();
    }
    let place = args.shown.open()?;
    match app::init(&config, nature()).await {
        Ok(made) => place.show(&made, "The instance is made."),
        Err(app::Error::AlreadyInitialised) if args.if_needed => {
            place.forget();
            nothing_needed()
        }
        Err(error) => {
            place.forget();
            Err(error.into())
        }
    }
}

fn nothing_needed() -> Result<(), Error> {
    Ok(writeln!(std::io::stderr(), "jeton: there is an instance already; nothing was changed")?)
}
