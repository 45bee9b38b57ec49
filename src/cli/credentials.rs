//! `jeton credentials`: with which client id and secret is a connector known at its provider?
//!
//! The secret comes from a file, a prompt or standard input, never from the command line.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::remote::{Call, RemoteArgs, given};
use super::{Error, input};

/// Client ids and secrets at the providers
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Args)]
struct Owner {
    /// The connector
    connector: String,
    /// The app that owns them; the instance if not given
    #[arg(long)]
    app: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the client id and the redirect URI to register, never the secret
    Show {
        #[command(flatten)]
        owner: Owner,
    },
    /// Store them; the secret is asked for, or read from standard input
    Set(SetArgs),
    /// Delete them
    Delete {
        #[command(flatten)]
        owner: Owner,
    },
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    owner: Owner,
    /// Client id at the provider
    #[arg(long, allow_hyphen_values = true)]
    client_id: String,
    /// File that holds the secret; - is standard input
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// A scope to ask for; repeat it, or separate by spaces
    #[arg(long = "scope", value_delimiter = ' ')]
    scopes: Vec<String>,
    /// A URL variable or parameter of the connector; repeat it
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Keep the old secret of the same client id live
    #[arg(long)]
    keep_previous: bool,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::Show { owner } => {
            let doing = format!("cannot show the credentials of {}", owner.connector);
            remote.call(&doing, Call::get(&owner.path())).await
        }
        Verb::Set(set) => {
            let doing = format!("cannot store the credentials of {}", set.owner.connector);
            let (path, keep) = (set.owner.path(), set.keep_previous.then(|| "true".to_owned()));
            remote.call(&doing, Call::put(&path, body(&set)?).with("keep_previous", keep)).await
        }
        Verb::Delete { owner } => {
            let doing = format!("cannot delete the credentials of {}", owner.connector);
            remote.call(&doing, Call::delete(&owner.path())).await
        }
    }
}

impl Owner {
    fn path(&self) -> Vec<&str> {
        match &self.app {
            Some(app) => vec!["apps", app, "connectors", &self.connector, "credentials"],
            None => vec!["connectors", &self.connector, "credentials"],
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the provider's secret goes into the body that stores it")]
fn body(set: &SetArgs) -> Result<Value, Error> {
    let secret = input::secret(set.client_secret_file.as_deref(), "Client secret")?;
    let params: Map<_, _> = set.params.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
    Ok(given(json!({
        "client_id": set.client_id,
        "client_secret": secret.expose_secret(),
        "scopes": set.scopes,
        "params": params,
    })))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like NAME=VALUE".to_owned()),
    }
}
