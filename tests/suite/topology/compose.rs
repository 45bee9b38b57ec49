//! What does docker-compose.yml say? The part of it that processes can be started from.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

const FILE: &str = include_str!("../../../docker-compose.yml");

#[derive(Deserialize)]
pub(super) struct Compose {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) secrets: BTreeMap<String, Value>,
    pub(super) networks: BTreeMap<String, Value>,
    pub(super) volumes: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Service {
    pub(super) image: String,
    pub(super) build: Option<String>,
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) secrets: Vec<String>,
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    #[serde(default)]
    pub(super) ports: Vec<String>,
    #[serde(default)]
    pub(super) networks: Value,
    #[serde(default)]
    pub(super) depends_on: BTreeMap<String, Condition>,
    pub(super) healthcheck: Option<Healthcheck>,
    pub(super) stop_grace_period: Option<String>,
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) read_only: bool,
    #[serde(default)]
    pub(super) cap_drop: Vec<String>,
    #[serde(default)]
    pub(super) security_opt: Vec<String>,
    #[serde(default)]
    pub(super) ulimits: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
pub(super) struct Condition {
    pub(super) condition: String,
}

#[derive(Deserialize)]
pub(super) struct Healthcheck {
    pub(super) test: Vec<String>,
}

/// A volume or file in a container: what, where, and whether it may only be read.
pub(super) struct Mount<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) read_only: bool,
}

impl<'a> Mount<'a> {
    fn of(text: &'a str) -> Self {
        let (source, rest) = text.split_once(':').unwrap();
        let (target, mode) = rest.split_once(':').unwrap_or((rest, ""));
        Self { source, target, read_only: mode == "ro" }
    }
}

impl Compose {
    pub(super) fn read() -> Self {
        serde_saphyr::from_str(FILE).unwrap()
    }

    /// Services of our own image that stay up.
    pub(super) fn replicas(&self) -> Vec<&str> {
        let serves = |service: &Service| service.build.is_some() && service.command == ["serve"];
        self.services.iter().filter(|(_, service)| serves(service)).map(|(name, _)| name.as_str()).collect()
    }

    /// The services, each after those it depends on.
    pub(super) fn in_order(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::new();
        while order.len() < self.services.len() {
            let ready =
                |service: &Service| service.depends_on.keys().all(|name| order.contains(&name.as_str()));
            let next = self
                .services
                .iter()
                .find(|(name, service)| !order.contains(&name.as_str()) && ready(service));
            order.push(next.expect("no circle of dependencies").0);
        }
        order
    }
}

impl Service {
    pub(super) fn mounts(&self) -> Vec<Mount<'_>> {
        self.volumes.iter().map(|text| Mount::of(text)).collect()
    }

    /// Its fixed address in a network.
    pub(super) fn address_in(&self, network: &str) -> &str {
        self.networks[network]["ipv4_address"].as_str().unwrap()
    }

    pub(super) fn grace(&self) -> Duration {
        let text = self.stop_grace_period.as_deref().unwrap();
        Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap())
    }
}

/// `${NAME:-default}`, as a machine without that variable reads it.
pub(super) fn default_of(text: &str) -> &str {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.map_or(text, |inner| inner.split_once(":-").unwrap().1)
}
