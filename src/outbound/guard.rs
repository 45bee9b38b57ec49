//! Which targets may be called: checked by address, and again when a name is resolved.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::Trust;
use crate::model::address::{Network, is_public};

/// Why a target may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither https nor allowed loopback.
    #[error("`{0}` is not https")]
    Scheme(String),
    /// A literal address, or a name all of whose addresses, are off limits.
    #[error("`{0}` is not at a public address")]
    Address(String),
}

/// Admits public addresses, loopback where allowed, and the operator's networks. As resolver it lets the
/// client see admitted addresses only, so that what was checked is what is connected to.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    allow_loopback: bool,
    networks: Arc<[Network]>,
}

impl Guard {
    pub(super) fn new(allow_loopback: bool, networks: &[Network]) -> Self {
        Self { allow_loopback, networks: networks.into() }
    }

    /// Checks scheme and literal address. A resolver is never asked for literal addresses, so they are
    /// judged here; the names are judged when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_loopback && is_loopback(url) => {}
            _ => return Err(Refusal::Scheme(url.origin().ascii_serialization())),
        }
        match literal(url) {
            Some(address) if !self.admits(address) => Err(Refusal::Address(address.to_string())),
            _ => Ok(()),
        }
    }

    /// Before a proxy is asked, which resolves on its own: a name known here to be off limits is refused. One that
    /// only the proxy knows is the proxy's business where the operator wrote it; anybody else could name an
    /// internal host with it.
    pub(super) async fn check_name(&self, url: &Url, within: Duration, trust: Trust) -> Result<(), Refusal> {
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        match tokio::time::timeout(within, tokio::net::lookup_host((name, 0))).await {
            Ok(Ok(found)) => self.admit(name, found).map(|_| ()),
            Ok(Err(_)) | Err(_) => match trust {
                Trust::Operator => Ok(()),
                Trust::Custom => Err(Refusal::Address(name.to_owned())),
            },
        }
    }

    /// The admitted ones of a name's addresses. Plain http may go to `localhost`, hence that name never
    /// leads anywhere else.
    fn admit(&self, name: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
        let local = is_local_name(name);
        let admitted: Vec<_> = found
            .filter(|at| self.admits(at.ip()) && (!local || at.ip().to_canonical().is_loopback()))
            .collect();
        if admitted.is_empty() { Err(Refusal::Address(name.to_owned())) } else { Ok(admitted) }
    }

    fn admits(&self, address: IpAddr) -> bool {
        is_public(address)
            || (self.allow_loopback && address.to_canonical().is_loopback())
            || self.networks.iter().any(|network| network.contains(address))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Addrs = Box::new(guard.admit(name.as_str(), found)?.into_iter());
            Ok(admitted)
        })
    }
}

/// Whether a URL names loopback by itself: a literal address, or `localhost` (RFC 6761 §6.3).
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        _ => literal(url).is_some_and(|address| address.to_canonical().is_loopback()),
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, url: &str) -> Result<(), Refusal> {
        guard.check(&url.parse().unwrap())
    }

    #[test]
    fn literal_addresses_are_judged_however_they_are_written() {
        let guard = Guard::new(false, &[]);
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://169.254.169.254/latest",
            "https://[fd00:ec2::254]/",
            "https://10.0.0.1:8443/",
            "https://0/",
        ] {
            assert!(matches!(check(&guard, url), Err(Refusal::Address(_))), "{url}");
        }
        assert_eq!(check(&guard, "https://140.82.121.4/"), Ok(()));
    }

    #[test]
    fn plain_http_is_for_allowed_loopback_alone() {
        let (open, closed) = (Guard::new(true, &[]), Guard::new(false, &[]));
        for url in ["http://localhost:9090/", "http://127.0.0.1/", "http://[::1]/", "http://a.localhost./"] {
            assert_eq!(check(&open, url), Ok(()), "{url}");
            assert!(matches!(check(&closed, url), Err(Refusal::Scheme(_))), "{url}");
        }
        for url in
            ["http://example.com/", "http://8.8.8.8/", "http://localhost.example.com/", "ftp://localhost/"]
        {
            assert!(matches!(check(&open, url), Err(Refusal::Scheme(_))), "{url}");
        }
    }

    #[test]
    fn allowed_networks_lift_the_address_rule_but_not_https() {
        let guard = Guard::new(false, &["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(check(&guard, "https://10.1.2.3/"), Ok(()));
        assert!(check(&guard, "http://10.1.2.3/").is_err());
        assert!(check(&guard, "https://192.168.0.1/").is_err());
    }

    #[test]
    fn a_name_leads_to_its_public_addresses_alone() {
        let addresses =
            |texts: &[&str]| texts.iter().map(|t| SocketAddr::new(t.parse().unwrap(), 0)).collect::<Vec<_>>();
        let guard = Guard::new(false, &[]);
        let mixed = addresses(&["10.0.0.1", "8.8.8.8", "::ffff:127.0.0.1", "fe80::1"]);
        assert_eq!(guard.admit("rebinding.example", mixed.into_iter()).unwrap(), addresses(&["8.8.8.8"]));
        let private = addresses(&["127.0.0.1", "169.254.169.254"]);
        assert!(guard.admit("rebinding.example", private.into_iter()).is_err());
    }

    #[tokio::test]
    async fn a_name_that_only_the_proxy_knows_is_for_the_operator_alone() {
        let guard = Guard::new(false, &[]);
        let url = "https://internal.invalid/".parse().unwrap();
        let within = Duration::from_secs(2);
        assert_eq!(guard.check_name(&url, within, Trust::Operator).await, Ok(()));
        let refused = guard.check_name(&url, within, Trust::Custom).await;
        assert_eq!(refused, Err(Refusal::Address("internal.invalid".to_owned())));
    }

    #[test]
    fn localhost_never_leads_elsewhere() {
        let guard = Guard::new(true, &[]);
        let hijacked = vec![SocketAddr::new("8.8.8.8".parse().unwrap(), 0)];
        assert!(guard.admit("localhost", hijacked.into_iter()).is_err());
    }
}
