//! `jeton client`: which programs may ask the broker for tokens?

mod id;
mod place;
mod warnings;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

pub(super) use self::id::Parser as IdParser;
use super::remote::{Call, Remote, RemoteArgs, RoleChoice, failing, given, set_role};
use super::{Error, input, output, span};

/// What `--allow` takes for an empty list.
const NOWHERE: &str = "none";

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
        /// Put its secret there instead of printing it: a secret store reference, or a place that ends with / or :
        #[arg(long, value_name = "REFERENCE")]
        deliver_to: Option<String>,
        /// As a document, or as the pair client-id and client-secret
        #[arg(long, value_name = "FORM", requires = "deliver_to", value_parser = ["document", "pair"])]
        deliver_as: Option<String>,
    },
    /// Register a service, whose credential goes into a secret store and nowhere else
    AddService {
        /// What people call it, unique
        identifier: String,
        /// A secret store reference; or a place that ends with / or :, where it is named STACK/IDENTIFIER
        #[arg(long, value_name = "REFERENCE")]
        deliver_to: String,
        /// As a document, or as the pair client-id and client-secret
        #[arg(long, value_name = "FORM", value_parser = ["document", "pair"])]
        deliver_as: Option<String>,
        #[command(flatten)]
        rights: Rights,
    },
    /// Register people's scripts, which have no secret: a person signs in
    AddProgrammatic {
        /// What people call it, unique
        identifier: String,
        #[command(flatten)]
        rights: Rights,
    },
    /// Finish a delivery that is pending, else deliver a new secret; the old one lives until nobody uses it
    Deliver {
        /// The client
        #[arg(allow_hyphen_values = true, value_parser = IdParser)]
        client_id: String,
        /// A secret store reference or place; if not given, where it went before
        #[arg(long, value_name = "REFERENCE")]
        deliver_to: Option<String>,
        /// As a document, or as the pair client-id and client-secret; if not given, as before
        #[arg(long, value_name = "FORM", value_parser = ["document", "pair"])]
        deliver_as: Option<String>,
    },
    /// Look into the secret stores: is there what was delivered?
    Check {
        /// The client; if not given, all whose credential was delivered
        #[arg(allow_hyphen_values = true, value_parser = IdParser)]
        client_id: Option<String>,
    },
    /// Show one client
    Show {
        /// The client
        #[arg(allow_hyphen_values = true, value_parser = IdParser)]
        client_id: String,
    },
    /// Change a client's rights, disable or enable it
    Update {
        /// The client
        #[arg(allow_hyphen_values = true, value_parser = IdParser)]
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
        #[arg(allow_hyphen_values = true, value_parser = IdParser)]
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
    /// A scope it may have; repeat it, or separate by spaces. A new client without any has openid and offline_access where it is
    /// a person's script, and binb:read where it is a superadmin
    #[arg(long = "scope", value_delimiter = ' ')]
    scopes: Vec<String>,
    /// A location it is confined to, app/connector with * for either; repeat it. `none`: nowhere, so that a provider
    /// signs people in and gets no tokens of their accounts
    #[arg(long, value_name = "APP/CONNECTOR")]
    allow: Vec<String>,
    /// How long its access tokens live, such as 1h
    #[arg(long, value_parser = span::seconds)]
    token_lifetime: Option<u32>,
    /// Where a person's browser is sent back to, byte for byte; repeat it. A new script without any has http://127.0.0.1/, for
    /// `jeton login --browser`
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
        #[arg(allow_hyphen_values = true, value_parser = IdParser)]
        client_id: String,
    },
    /// Delete a secret; tokens got before are refused
    Delete {
        /// The client
        #[arg(allow_hyphen_values = true, value_parser = IdParser)]
        client_id: String,
        /// The secret's id
        secret_id: String,
    },
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    act(remote, args.verb).await.map_err(id::unknown)
}

async fn act(remote: Remote, verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::List => {
            let columns = ["client_id", "identifier", "kind", "role", "scopes", "allow", "disabled"];
            remote.list("cannot list the clients", &["clients"], &columns).await
        }
        Verb::Create { identifier, kind, rights, deliver_to, deliver_as } => {
            create(&remote, &identifier, &kind, &rights, (deliver_to, deliver_as)).await
        }
        Verb::AddService { identifier, deliver_to, deliver_as, rights } => {
            create(&remote, &identifier, "service", &rights, (Some(deliver_to), deliver_as)).await
        }
        Verb::AddProgrammatic { identifier, rights } => {
            create(&remote, &identifier, "programmatic", &rights, (None, None)).await
        }
        Verb::Deliver { client_id, deliver_to, deliver_as } => {
            let doing = format!("cannot deliver the credential of the client {client_id}");
            place::check(&doing, deliver_to.as_deref())?;
            let body = given(json!({"deliver_to": deliver_to, "deliver_as": deliver_as}));
            remote.call(&doing, Call::post(&["clients", &client_id, "delivery"], body)).await
        }
        Verb::Check { client_id } => check(&remote, client_id).await,
        Verb::Show { client_id } => {
            let doing = format!("cannot show the client {client_id}");
            remote.call(&doing, Call::get(&["clients", &client_id])).await
        }
        Verb::Update { client_id, rights, disable, enable } => {
            let body = change(&rights, disable, enable)?;
            let doing = format!("cannot change the client {client_id}");
            written(&remote, &doing, Call::patch(&["clients", &client_id], body), &rights.allow).await
        }
        Verb::Delete { client_id } => {
            let doing = format!("cannot delete the client {client_id}");
            // Whoever may delete and not look is not told.
            let delivery = remote.ask(Call::get(&["clients", &client_id, "delivery"])).await.ok();
            let done = remote.call(&doing, Call::delete(&["clients", &client_id])).await;
            if let (Ok(()), Some(line)) = (&done, delivery.as_ref().and_then(warnings::left)) {
                output::tell(&line);
            }
            done
        }
        Verb::Secret { verb } => secrets(&remote, verb).await,
    }
}

async fn create(
    remote: &Remote,
    identifier: &str,
    kind: &str,
    rights: &Rights,
    (deliver_to, deliver_as): (Option<String>, Option<String>),
) -> Result<(), Error> {
    let doing = format!("cannot register the client {identifier}");
    place::check(&doing, deliver_to.as_deref())?;
    let mut body = creation(identifier, kind, rights)?;
    if let Some(fields) = body.as_object_mut() {
        fields.extend(deliver_to.map(|to| ("deliver_to".to_owned(), to.into())));
        fields.extend(deliver_as.map(|form| ("deliver_as".to_owned(), form.into())));
    }
    written(remote, &doing, Call::post(&["clients"], body), &rights.allow).await
}

/// Sends a call that makes or changes a client, shows the answer, and says what to think about.
async fn written(remote: &Remote, doing: &str, call: Call<'_>, allow: &[String]) -> Result<(), Error> {
    let client = remote.ask(call).await.map_err(failing(doing))?;
    let shown = remote.show(&client);
    for line in warnings::lines(remote, &client, allow).await {
        output::tell(&line);
    }
    shown
}

/// Shows each delivery; fails where one is not as it should be.
async fn check(remote: &Remote, client_id: Option<String>) -> Result<(), Error> {
    let doing = "cannot look at the deliveries";
    let named = client_id.is_some();
    let ids = match client_id {
        Some(id) => vec![id],
        None => {
            let clients = remote.items(doing, &["clients"], &[]).await?;
            clients.iter().filter_map(|client| Some(client.get("client_id")?.as_str()?.to_owned())).collect()
        }
    };
    let mut found = Vec::new();
    for id in ids {
        match remote.ask(Call::get(&["clients", &id, "delivery"])).await {
            Ok(Value::Object(mut delivery)) => {
                let drift = delivery.get("drift").and_then(|drift| drift.get("code")).cloned();
                delivery.insert("drift_code".to_owned(), drift.unwrap_or_default());
                delivery.insert("client_id".to_owned(), id.into());
                found.push(Value::Object(delivery));
            }
            Ok(_) => {}
            Err(error) if !named && error.problem().is_some_and(|problem| problem.code == "not_found") => {}
            Err(error) => {
                return Err(failing(format!("cannot look for a delivered credential of {id}"))(error));
            }
        }
    }
    let told: Vec<_> = found.iter().filter_map(warnings::drift).collect();
    remote.show_items(found, &["client_id", "reference", "state", "version", "drift_code"])?;
    for line in &told {
        output::tell(line);
    }
    if told.is_empty() { Ok(()) } else { Err(Error::Adrift(told.len())) }
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

    /// The fields that were given.
    fn given(&self) -> Result<Value, Error> {
        let mut body = given(self.fields()?);
        let nowhere = matches!(self.allow.as_slice(), [only] if only == NOWHERE);
        if let (Some(fields), true) = (body.as_object_mut(), nowhere) {
            fields.insert("allow".to_owned(), json!([]));
        }
        Ok(body)
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
    let mut body = rights.given()?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("identifier".to_owned(), identifier.into());
        fields.insert("kind".to_owned(), kind.into());
    }
    // It has none unless one is given.
    set_role(&mut body, rights.role.filter(|role| matches!(role, RoleChoice::Superadmin)));
    Ok(body)
}

fn change(rights: &Rights, disable: bool, enable: bool) -> Result<Value, Error> {
    let mut body = rights.given()?;
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
