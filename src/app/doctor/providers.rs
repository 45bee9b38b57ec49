//! Are the providers in reach? One request each, to the origin of the token endpoint, all at once; nothing secret goes out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, Method};
use url::Url;

use super::check::{Check, Remedy, chain};
use crate::app::services::catalog;
use crate::config::Config;
use crate::outbound::{Error, Outbound, Request, Trust};
use crate::registry::Registry;
use crate::store::Store;
use crate::vault::Vault;

const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to call: what is known before anything is sent.
pub(super) struct Targets {
    outbound: Outbound,
    origins: Vec<(String, Url, Trust)>,
}

/// Reads from the database who is in use; nothing of it is needed afterwards.
pub(super) async fn targets(
    config: &Config,
    store: &Store,
    vault: Arc<Vault>,
    found: &mut Vec<Check>,
) -> Option<Targets> {
    let tools = Outbound::new(&config.outbound).map_err(crate::app::Error::from);
    let tools = tools.and_then(|outbound| Ok((outbound, catalog(config)?)));
    let (outbound, catalog) = match tools {
        Ok(tools) => tools,
        Err(error) => {
            let advice = "Correct section `outbound` or `connectors` of the configuration";
            found.push(Check::failure("providers", Remedy::Configure, chain(&error), advice));
            return None;
        }
    };
    let registry = Registry::new(catalog, store.clone(), vault, outbound.clone());
    let connectors = match store.conn().list_connectors_in_use().await {
        Ok(connectors) => connectors,
        Err(error) => {
            let advice = "Look at the database's own log";
            found.push(Check::failure("providers", Remedy::Wait, chain(&error), advice));
            return None;
        }
    };
    if connectors.is_empty() {
        found.push(Check::ok("providers", "no connector has credentials yet"));
    }
    let mut origins = Vec::new();
    for connector in connectors {
        match origin(&registry, &connector).await {
            Ok(origin) => origins.push(origin),
            Err(check) => found.push(check),
        }
    }
    Some(Targets { outbound, origins })
}

impl Targets {
    /// Calls them all at once.
    pub(super) async fn call(self, found: &mut Vec<Check>) {
        let Self { outbound, origins } = self;
        let calls = origins.into_iter().map(|(name, url, trust)| reach(&outbound, name, url, trust));
        found.extend(join_all(calls).await);
    }
}

/// What a connector's check is called, and where its token endpoint is.
async fn origin(registry: &Registry, connector: &str) -> Result<(String, Url, Trust), Check> {
    let name = format!("provider {connector}");
    let definition = match registry.find(connector).await {
        Ok(Some(definition)) => definition,
        Ok(None) => return Err(Check::skipped(&name, "its definition was deleted")),
        Err(error) => {
            let advice = "Store its definition again, naming every origin in `confirm_origin`";
            return Err(Check::failure(&name, Remedy::Configure, chain(&error), advice));
        }
    };
    let origin = definition.token_origin();
    let trust = if registry.is_builtin(connector) { Trust::Operator } else { Trust::Custom };
    match Url::parse(&origin) {
        Ok(url) if !origin.contains('{') => Ok((name, url, trust)),
        _ => Err(Check::skipped(&name, format!("its address {origin} depends on the account"))),
    }
}

async fn reach(outbound: &Outbound, name: String, url: Url, trust: Trust) -> Check {
    let origin = url.origin().ascii_serialization();
    let (headers, body) = (HeaderMap::new(), Vec::new());
    let request = Request { method: Method::HEAD, url, headers, body, trust, timeout: Some(PATIENCE) };
    match outbound.send(request).await {
        Ok(_) => Check::ok(&name, format!("{origin} answers")),
        Err(error @ Error::Refused(_)) => {
            let advice = "Name its network in `outbound.allow_networks` if it is meant to be private; else correct the definition";
            Check::failure(&name, Remedy::Configure, format!("{origin} may not be called: {error}"), advice)
        }
        Err(error @ Error::NotSent { .. }) => {
            let advice = "Check name resolution, firewall and `outbound.proxy`; where others answer, wait for the provider";
            Check::failure(&name, Remedy::Wait, format!("{origin} is not reached: {error}"), advice)
        }
        Err(error @ Error::Ambiguous { .. }) => {
            let says = format!("{origin} takes connections and does not answer: {error}");
            Check::failure(&name, Remedy::Wait, says, "Wait for the provider, and look at its status page")
        }
    }
}
