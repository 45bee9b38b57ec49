//! `jeton recover`: lets whoever holds data and keyring in again.

use super::Error;
use super::server_args::{ServerArgs, nature};
use super::shown_once::ShownOnce;
use crate::app;

/// Make a new secret for a superadmin client and a new superadmin invitation, without a server
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    shown: ShownOnce,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let config = args.server.load(Vec::new())?;
    let place = args.shown.open()?;
    match app::recover(&config, nature()).await {
        Ok(made) => place.show(&made, "A way in is made, and recorded in the audit trail."),
        Err(error) => {
            place.forget();
            Err(error.into())
        }
    }
}
