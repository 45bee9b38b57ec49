//! `jeton app`: which apps are there, and who belongs to them?

use clap::Subcommand;
use serde_json::json;

use super::Error;
use super::remote::{Call, Remote, RemoteArgs, given};

/// Apps and their members
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the apps
    List,
    /// Make an app
    Create {
        /// Its id: lower-case letters, digits and hyphens, never reused
        id: String,
        /// What people call it; the id if not given
        #[arg(long)]
        name: Option<String>,
    },
    /// Show one app
    Show {
        /// The app
        id: String,
    },
    /// Rename, disable or enable an app
    Update {
        /// The app
        id: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// A disabled app gets no tokens
        #[arg(long, value_parser = ["active", "disabled"])]
        state: Option<String>,
    },
    /// Delete an app and all its connections
    Delete {
        /// The app
        id: String,
        /// The app's id again
        #[arg(long, value_name = "ID")]
        confirm: String,
    },
    /// Who belongs to an app
    Members {
        #[command(subcommand)]
        verb: Members,
    },
}

#[derive(Debug, Subcommand)]
enum Members {
    /// List the members
    List {
        /// The app
        app: String,
    },
    /// Add a user
    Add {
        /// The app
        app: String,
        /// The user's id
        #[arg(value_parser = super::user::user_id)]
        user_id: String,
        /// What the user may do there
        #[arg(long, default_value = "member", value_parser = ["member", "app_admin"])]
        role: String,
    },
    /// Remove a user
    Remove {
        /// The app
        app: String,
        /// The user's id
        #[arg(value_parser = super::user::user_id)]
        user_id: String,
    },
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::List => {
            remote.list("cannot list the apps", &["apps"], &["id", "name", "state", "created_at"]).await
        }
        Verb::Create { id, name } => {
            let body = json!({"id": id, "name": name.as_ref().unwrap_or(&id)});
            remote.call(&format!("cannot make the app {id}"), Call::post(&["apps"], body)).await
        }
        Verb::Show { id } => {
            remote.call(&format!("cannot show the app {id}"), Call::get(&["apps", &id])).await
        }
        Verb::Update { id, name, state } => {
            let body = given(json!({"name": name, "state": state}));
            remote.call(&format!("cannot change the app {id}"), Call::patch(&["apps", &id], body)).await
        }
        Verb::Delete { id, confirm } => {
            let path = ["apps", &id];
            let call = Call::delete(&path).with("confirm", Some(confirm));
            remote.call(&format!("cannot delete the app {id}"), call).await
        }
        Verb::Members { verb } => members(&remote, verb).await,
    }
}

async fn members(remote: &Remote, verb: Members) -> Result<(), Error> {
    match verb {
        Members::List { app } => {
            let columns = ["user_id", "email", "display_name", "role"];
            remote
                .list(&format!("cannot list the members of {app}"), &["apps", &app, "members"], &columns)
                .await
        }
        Members::Add { app, user_id, role } => {
            let body = json!({"user_id": user_id, "role": role});
            let path = ["apps", &app, "members"];
            remote.call(&format!("cannot add a member to {app}"), Call::post(&path, body)).await
        }
        Members::Remove { app, user_id } => {
            let path = ["apps", &app, "members", &user_id];
            remote.call(&format!("cannot remove a member of {app}"), Call::delete(&path)).await
        }
    }
}
