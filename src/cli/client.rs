//! `jeton client`: which programs may ask the broker for tokens?

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::remote::{Call, Remote, RemoteArgs, RoleChoice, given, set_role};
use super::{Error, input, span};

/// Clients of the broker and their secrets
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the clients
    List,
    /// Register a client and print its secret, once
    Create {
        /// What people call it, unique
        identifier: String,
        /// A job or service, a person's script, or a service provider
        #[arg(long, default_value = "service", value_parser = ["service", "programmatic", "provider"])]
        kind: String,
        #[command(flatten)]
        rights: Rights,
    },
    /// Show one client
    Show {
        /// The client
        client_id: String,
    },
    /// Change a client's rights, disable or enable it
    Update {
        /// The client
        client_id: String,
        #[command(flatten)]
        rights: Rights,
        /// Refuse it, and its tokens that are out
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Let it in again
        #[arg(long)]
        enable: bool,
    },
    /// Delete a client
    Delete {
        /// The client
        client_id: String,
    },
    /// Its secrets: up to two live ones
    Secret {
        #[command(subcommand)]
        verb: SecretVerb,
    },
}

#[derive(Debug, clap::Args)]
struct Rights {
    /// Superadmin: needed to receive providers' tokens
    #[arg(long, value_enum)]
    role: Option<RoleChoice>,
    /// A scope it may have; repeat it, or separate by spaces
    #[arg(long = "scope", value_delimiter = ' ')]
    scopes: Vec<String>,
    /// A location it is confined to, app/connector with * for either; repeat it
    #[arg(long, value_name = "APP/CONNECTOR")]
    allow: Vec<String>,
    /// How long its access tokens live, such as 1h
    #[arg(long, value_parser = span::seconds)]
    token_lifetime: Option<u32>,
    /// Where a person's browser is sent back to, byte for byte; http://127.0.0.1/ for `jeton login --browser`; repeat it
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// A resource server it may ask tokens for; repeat it
    #[arg(long = "resource", value_name = "URI")]
    resources: Vec<String>,
    /// Its public keys (a JWKS), with which it proves itself instead of by a secret
    #[arg(long, value_name = "FILE")]
    jwks_file: Option<PathBuf>,
    /// Give it refresh tokens, too
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    refresh_tokens: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum SecretVerb {
    /// Make a second secret and print it, once
    Add {
        /// The client
        client_id: String,
    },
    /// Delete a secret; tokens got before are refused
    Delete {
        /// The client
        client_id: String,
        /// The secret's id
        secret_id: String,
    },
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::List => {
            let columns = ["client_id", "identifier", "kind", "role", "scopes", "allow", "disabled"];
            remote.list("cannot list the clients", &["clients"], &columns).await
        }
        Verb::Create { identifier, kind, rights } => {
            let body = creation(&identifier, &kind, &rights)?;
            remote
                .call(&format!("cannot register the client {identifier}"), Call::post(&["clients"], body))
                .await
        }
        Verb::Show { client_id } => {
            let doing = format!("cannot show the client {client_id}");
            remote.call(&doing, Call::get(&["clients", &client_id])).await
        }
        Verb::Update { client_id, rights, disable, enable } => {
            let body = change(&rights, disable, enable)?;
            let doing = format!("cannot change the client {client_id}");
            remote.call(&doing, Call::patch(&["clients", &client_id], body)).await
        }
        Verb::Delete { client_id } => {
            let doing = format!("cannot delete the client {client_id}");
            remote.call(&doing, Call::delete(&["clients", &client_id])).await
        }
        Verb::Secret { verb } => secrets(&remote, verb).await,
    }
}

async fn secrets(remote: &Remote, verb: SecretVerb) -> Result<(), Error> {
    match verb {
        SecretVerb::Add { client_id } => {
            let path = ["clients", &client_id, "secrets"];
            let doing = format!("cannot add a secret to the client {client_id}");
            remote.call(&doing, Call::post(&path, json!({}))).await
        }
        SecretVerb::Delete { client_id, secret_id } => {
            let path = ["clients", &client_id, "secrets", &secret_id];
            remote.call(&format!("cannot delete the secret {secret_id}"), Call::delete(&path)).await
        }
    }
}

impl Rights {
    fn fields(&self) -> Result<Value, Error> {
        let jwks = self.jwks_file.as_deref().map(read_jwks).transpose()?;
        Ok(json!({
            "scopes": self.scopes, "allow": self.allow, "token_lifetime_s": self.token_lifetime,
            "redirect_uris": self.redirect_uris, "resources": self.resources, "jwks": jwks,
            "refresh_tokens": self.refresh_tokens,
        }))
    }
}

fn read_jwks(path: &Path) -> Result<Value, Error> {
    let malformed = |error: serde_json::Error| Error::Malformed {
        place: input::name(path),
        // Where it is wrong, and never what stands there: it may be the private key.
        reason: format!("no JSON at line {}", error.line()),
    };
    serde_json::from_str(&input::text(path)?).map_err(malformed)
}

fn creation(identifier: &str, kind: &str, rights: &Rights) -> Result<Value, Error> {
    let mut body = rights.fields()?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("identifier".to_owned(), identifier.into());
        fields.insert("kind".to_owned(), kind.into());
    }
    set_role(&mut body, rights.role);
    Ok(given(body))
}

fn change(rights: &Rights, disable: bool, enable: bool) -> Result<Value, Error> {
    let mut body = given(rights.fields()?);
    if let (Some(fields), true) = (body.as_object_mut(), disable || enable) {
        fields.insert("disabled".to_owned(), disable.into());
    }
    set_role(&mut body, rights.role);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_only_what_was_given() {
        let rights = Rights {
            role: Some(RoleChoice::None),
            scopes: vec![],
            allow: vec!["acme/*".into()],
            token_lifetime: None,
            redirect_uris: vec![],
            resources: vec!["https://terms.example".into()],
            jwks_file: None,
            refresh_tokens: Some(false),
        };
        let resources = json!(["https://terms.example"]);
        assert_eq!(
            change(&rights, false, true).unwrap(),
            json!({"role": null, "allow": ["acme/*"], "disabled": false, "resources": resources, "refresh_tokens": false})
        );
        assert_eq!(
            creation("nightly", "service", &rights).unwrap(),
            json!({
                "identifier": "nightly", "kind": "service", "allow": ["acme/*"], "resources": resources,
                "refresh_tokens": false,
            })
        );
    }
}
