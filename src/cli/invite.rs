//! `jeton invite`: how does a new person come into an app?

use clap::Subcommand;
use serde_json::json;

use super::remote::{Call, Remote, RemoteArgs, given};
use super::{Error, output, span};

/// Invitations into an app; the link is yours to send
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an invitation and print its link
    Create {
        /// The app
        app: String,
        /// Whom it is for
        #[arg(long)]
        email: String,
        /// What the person may do there
        #[arg(long, value_parser = ["member", "app_admin"])]
        role: Option<String>,
        /// A connector to offer; repeat it
        #[arg(long = "connector")]
        connectors: Vec<String>,
        /// How long the link works, such as 2d
        #[arg(long, value_parser = span::seconds)]
        expires_in: Option<u32>,
    },
    /// List the open invitations
    List {
        /// The app
        app: String,
    },
    /// Withdraw an invitation
    Delete {
        /// The app
        app: String,
        /// The invitation
        id: String,
    },
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::Create { app, email, role, connectors, expires_in } => {
            let named = connectors.clone();
            let body =
                json!({"email": email, "role": role, "connectors": connectors, "expires_in_s": expires_in});
            let path = ["apps", &app, "invitations"];
            remote.call(&format!("cannot invite into {app}"), Call::post(&path, given(body))).await?;
            warn(&remote, &named).await;
            Ok(())
        }
        Verb::List { app } => {
            let columns = ["id", "email", "role", "connectors", "expires_at"];
            let doing = format!("cannot list the invitations into {app}");
            remote.list(&doing, &["apps", &app, "invitations"], &columns).await
        }
        Verb::Delete { app, id } => {
            let path = ["apps", &app, "invitations", &id];
            remote.call(&format!("cannot withdraw the invitation into {app}"), Call::delete(&path)).await
        }
    }
}

/// Says which connectors do not exist. Who may not ask is told nothing: the invitation is made.
async fn warn(remote: &Remote, connectors: &[String]) {
    for connector in connectors {
        if remote.is_missing("connector", connector).await {
            output::tell(&format!(
                "jeton: warning: there is no connector `{connector}`, and the invitation offers it: see `jeton connector \
                 list`, withdraw it with `jeton invite delete` and make another"
            ));
        }
    }
}
