//! `jeton keys`: which key signs the broker's own tokens, and when does another one take over?

use clap::Subcommand;
use serde_json::json;

use super::Error;
use super::remote::{Call, RemoteArgs};

/// Keys that sign the broker's own tokens
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the keys that are published, oldest first
    Status,
    /// Make a new key that takes over in ten minutes; the one that signs now stays published for a day
    Rotate,
    /// Take a key out at once: tokens it signed are refused. For a key that somebody else may have
    Retire {
        /// The key, as in `status`
        kid: String,
    },
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::Status => {
            let columns =
                ["kid", "algorithm", "state", "activates_at", "activated_at", "retired_at", "removed_at"];
            remote.list("cannot list the signing keys", &["keys", "signing"], &columns).await
        }
        Verb::Rotate => {
            let path = ["keys", "signing", "rotate"];
            remote.call("cannot rotate the signing key", Call::post(&path, json!({}))).await
        }
        Verb::Retire { kid } => {
            let path = ["keys", "signing", &kid];
            remote.call(&format!("cannot take out the signing key {kid}"), Call::delete(&path)).await
        }
    }
}
