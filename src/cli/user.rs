//! `jeton user`: which people may sign in?

use clap::Subcommand;
use serde_json::json;

use super::Error;
use super::remote::{Call, RemoteArgs, RoleChoice, given, set_role};

/// People who sign in at the broker
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the users
    List,
    /// Show one user
    Show {
        /// The user's id
        #[arg(value_parser = user_id)]
        id: String,
    },
    /// Make a user and print the link where the password is set
    Create {
        /// The login name
        email: String,
        /// The person's name
        #[arg(long)]
        display_name: String,
        /// Superadmin: administers the instance
        #[arg(long, value_enum)]
        role: Option<RoleChoice>,
    },
    /// Change a user, disable or enable it
    Update {
        /// The user's id
        #[arg(value_parser = user_id)]
        id: String,
        /// The person's name
        #[arg(long)]
        display_name: Option<String>,
        /// Superadmin: administers the instance
        #[arg(long, value_enum)]
        role: Option<RoleChoice>,
        /// Keep the user out
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Let the user in again
        #[arg(long)]
        enable: bool,
    },
    /// Delete a user
    Delete {
        /// The user's id
        #[arg(value_parser = user_id)]
        id: String,
    },
    /// Print a one-time link where the user sets a password
    PasswordLink {
        /// The user's id
        #[arg(value_parser = user_id)]
        id: String,
    },
}

/// Of a login name the broker would only say that nothing is there.
pub(super) fn user_id(text: &str) -> Result<String, &'static str> {
    let is_login_name = text.contains('@');
    if is_login_name {
        Err("a user id is wanted, not a login name: see `jeton user list`")
    } else {
        Ok(text.to_owned())
    }
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::List => {
            let columns = ["id", "email", "display_name", "role", "disabled", "created_at"];
            remote.list("cannot list the users", &["users"], &columns).await
        }
        Verb::Show { id } => {
            remote.call(&format!("cannot show the user {id}"), Call::get(&["users", &id])).await
        }
        Verb::Create { email, display_name, role } => {
            let mut body = json!({"email": email, "display_name": display_name});
            set_role(&mut body, role);
            remote.call(&format!("cannot make the user {email}"), Call::post(&["users"], given(body))).await
        }
        Verb::Update { id, display_name, role, disable, enable } => {
            let disabled = (disable || enable).then_some(disable);
            let mut body = given(json!({"display_name": display_name, "disabled": disabled}));
            set_role(&mut body, role);
            remote.call(&format!("cannot change the user {id}"), Call::patch(&["users", &id], body)).await
        }
        Verb::Delete { id } => {
            remote.call(&format!("cannot delete the user {id}"), Call::delete(&["users", &id])).await
        }
        Verb::PasswordLink { id } => {
            let path = ["users", &id, "password-link"];
            let doing = format!("cannot make a password link for the user {id}");
            remote.call(&doing, Call::post(&path, json!({}))).await
        }
    }
}
