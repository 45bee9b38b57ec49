//! `jeton sandbox`: runs the test provider.

use std::io::{self, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::server_args::nature;
use super::{Error, output, span};
use crate::sandbox::{self, Client, Faults, Profile, Settings, Standard};

/// Run a provider to test with: rotation, revocation, faults on demand
#[derive(Debug, clap::Args)]
#[command(after_help = "docs/sandbox.md tells how a connector is tested with it.")]
pub(super) struct Args {
    /// Where to listen, on loopback
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081", value_parser = loopback)]
    listen: SocketAddr,
    /// A name offered on the consent page; any other can be typed there
    #[arg(long = "user", value_name = "NAME", default_values = ["alice", "bob"])]
    users: Vec<String>,
    /// How long the access tokens of sandbox-standard live, such as 10s or 1h
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span::token_life)]
    lifetime: u32,
    /// What goes wrong from the start, for one client; PUT /_sandbox/faults changes it
    #[arg(long, value_name = "CLIENT=JSON", value_parser = faults)]
    faults: Vec<(String, Faults)>,
    /// Say what runs as JSON
    #[arg(long)]
    json: bool,
}

/// Its pages sign anybody in, its controls need no credential: it is for this machine alone.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "must be ADDRESS:PORT".to_owned())?;
    if address.ip().is_loopback() { Ok(address) } else { Err("must be on loopback".to_owned()) }
}

fn faults(text: &str) -> Result<(String, Faults), String> {
    let (client, json) = text.split_once('=').ok_or("must be CLIENT=JSON")?;
    let clients = Settings::demo(SocketAddr::from(([127, 0, 0, 1], 0))).clients;
    if !clients.iter().any(|known| known.client_id == client) {
        let known: Vec<_> = clients.iter().map(|client| client.client_id.as_str()).collect();
        return Err(format!("there is no client `{client}`; there are {}", known.join(", ")));
    }
    let faults = serde_json::from_str(json).map_err(|error| error.to_string())?;
    Ok((client.to_owned(), faults))
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    crate::telemetry::start(None, crate::config::LogFormat::Text);
    let listen = args.listen;
    let json = args.json;
    let settings = settings(args);
    let clients = settings.clients.clone();
    let nature = nature();
    let running = sandbox::start(settings, nature.clock, nature.entropy)
        .map_err(|source| Error::Listen { address: listen, source })?;
    let url = running.url();
    let url = url.as_str().trim_end_matches('/');
    let mut out = io::stdout();
    if json {
        output::json(&mut out, &json!({"url": url, "clients": rows(&clients)}))?;
    } else {
        say(&mut out, url, &clients)?;
    }
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}

fn settings(args: Args) -> Settings {
    let mut settings = Settings { users: args.users, ..Settings::demo(args.listen) };
    for client in &mut settings.clients {
        if let Profile::Standard(plain) = &client.profile {
            let lifetime_s = args.lifetime.into();
            client.profile = Profile::Standard(Standard { lifetime_s, ..plain.clone() });
        }
        // The last one said counts.
        if let Some((_, faults)) = args.faults.iter().rev().find(|(id, _)| *id == client.client_id) {
            client.faults = faults.clone();
        }
    }
    settings
}

fn rows(clients: &[Client]) -> Vec<Value> {
    let row = |client: &Client| {
        json!({
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "profile": client.profile.name(),
        })
    };
    clients.iter().map(row).collect()
}

/// What somebody who has just started it wants to do next, ready to be copied.
fn say(out: &mut impl Write, url: &str, clients: &[Client]) -> io::Result<()> {
    writeln!(out, "The sandbox provider is at {url}")?;
    writeln!(
        out,
        "It is an OAuth 2.0 provider to test connectors with. It keeps everything in memory, and signs in"
    )?;
    writeln!(out, "whoever types a name. Its clients, each behaving like the provider of its profile:\n")?;
    output::table(out, &rows(clients), &["client_id", "client_secret", "profile"])?;
    writeln!(out, "\nLet the answer to the next refresh be lost, after the refresh token was spent:\n")?;
    let faults = r#"{"client_id":"sandbox-standard","faults":{"after":"reset","times":1,"grant_type":"refresh_token"}}"#;
    writeln!(out, "  curl -X PUT {url}/_sandbox/faults --json '{faults}'\n")?;
    writeln!(out, "See how often each refresh token was spent:\n")?;
    writeln!(out, "  curl {url}/_sandbox/ledger\n")?;
    writeln!(out, "A broker on this machine uses it with these lines in its jeton.toml:\n")?;
    writeln!(out, "  [outbound]\n  allow_loopback = true")?;
    for connector in clients.iter().filter_map(connector) {
        writeln!(out, "  [connectors.{connector}]\n  base_url = \"{url}\"")?;
    }
    writeln!(
        out,
        "\nand with the credentials of a client, put in by `jeton credentials set`. Ctrl-C ends it."
    )
}

/// The connector of the catalog that a client is for.
fn connector(client: &Client) -> Option<&str> {
    match client.profile {
        Profile::Standard(_) => Some("sandbox"),
        _ => client.client_id.strip_prefix("sandbox-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogs_connector_is_at_the_address_that_it_listens_on_by_default() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let listen = <Line as clap::Parser>::parse_from(["sandbox"]).args.listen;
        let sandbox = crate::connectors::Catalog::builtin().find("sandbox").unwrap().clone();
        // As the provider names itself where nobody says otherwise.
        let own = format!("http://localhost:{}", listen.port());
        assert_eq!(sandbox.origins().into_iter().collect::<Vec<_>>(), [own.as_str()]);
        assert_eq!(sandbox.issuer.as_deref(), Some(own.as_str()));
    }

    #[test]
    fn faults_are_of_a_client_that_is_there() {
        let (client, set) = faults(r#"sandbox-github={"after":"reset","times":2}"#).unwrap();
        assert_eq!((client.as_str(), set.times), ("sandbox-github", Some(2)));
        for bad in ["sandbox-github", "nobody={}", "sandbox-github={", r#"sandbox-github={"reste":true}"#] {
            assert!(faults(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_lines_for_a_broker_are_a_configuration_of_catalog_connectors() {
        let clients = Settings::demo(SocketAddr::from(([127, 0, 0, 1], 0))).clients;
        let mut out = Vec::new();
        say(&mut out, "http://localhost:8081", &clients).unwrap();
        let said = String::from_utf8(out).unwrap();
        let lines: String =
            said.lines().filter_map(|line| line.strip_prefix("  ")).fold(String::new(), |all, line| {
                if line.starts_with("curl") { all } else { all + line + "\n" }
            });
        let read: toml::Table = toml::from_str(&lines).unwrap();
        let catalog = crate::connectors::Catalog::builtin();
        let connectors = read["connectors"].as_table().unwrap();
        assert_eq!(connectors.len(), clients.len());
        for (id, keys) in connectors {
            assert!(catalog.find(id).is_some(), "{id}");
            assert_eq!(keys["base_url"].as_str(), Some("http://localhost:8081"));
        }
        for client in &clients {
            assert!(said.contains(&client.client_id), "{said}");
        }
    }
}
