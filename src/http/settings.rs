//! What the web must know of the outside: its own address, and which proxies it believes.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;
use url::Url;

use crate::model::address::Network;
use crate::model::public_url::PublicUrl;

/// Settings of the web, the same for every request: nothing here comes from one.
#[derive(Clone, Debug)]
pub struct WebSettings {
    public_url: PublicUrl,
    origin: url::Origin,
    https: bool,
    port: u16,
    prefix: String,
    trusted_proxies: Vec<Network>,
}

impl WebSettings {
    /// The public URL (its path becomes the prefix of links) and the networks of trusted proxies.
    #[expect(clippy::expect_used, reason = "a public URL was parsed as a URL")]
    pub fn new(public_url: PublicUrl, trusted_proxies: Vec<Network>) -> Self {
        let url = Url::parse(public_url.as_str()).expect("a public URL is a URL");
        Self {
            origin: url.origin(),
            https: url.scheme() == "https",
            port: url.port_or_known_default().unwrap_or_default(),
            prefix: url.path().trim_end_matches('/').to_owned(),
            public_url,
            trusted_proxies,
        }
    }

    /// The public URL.
    pub fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }

    /// The path of the public URL without its final slash; empty where there is none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// An absolute path with the prefix: `/login` becomes `/laputa/login`.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// An absolute URL: `/login` becomes `https://api.example.com/laputa/login`.
    pub fn absolute(&self, path: &str) -> String {
        self.public_url.join(path)
    }

    /// A path and query without the prefix: the inverse of [`WebSettings::link`]; `None` where it has none.
    pub fn without_prefix<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.prefix.as_str()).filter(|_| !self.prefix.is_empty())?;
        (rest.starts_with('/') || rest.starts_with('?') || rest.is_empty()).then_some(rest)
    }

    /// Whether a path, with or without our own prefix, belongs to the authorization server.
    pub fn is_under_o(&self, path: &str) -> bool {
        self.without_prefix(path).unwrap_or(path).starts_with("/o/")
    }

    /// Whether browsers reach us over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Name of the session cookie.
    pub fn session_cookie(&self) -> String {
        self.cookie("")
    }

    /// Name of the cookie of a browser that is not signed in.
    pub fn visit_cookie(&self) -> String {
        self.cookie("-pre")
    }

    /// Name of the cookie of a browser from which somebody has signed in.
    pub fn known_cookie(&self) -> String {
        self.cookie("-known")
    }

    /// Name of the cookie of a browser that was signed out here, though a reverse proxy still knows its person.
    pub fn out_cookie(&self) -> String {
        self.cookie("-out")
    }

    fn cookie(&self, suffix: &str) -> String {
        if self.is_https() {
            return format!("__Host-jeton{suffix}");
        }
        format!("jeton_{}{suffix}", self.port)
    }

    /// Whether `host` (with or without port) is the public URL's.
    pub fn is_own_host(&self, host: &str) -> bool {
        let scheme = if self.https { "https" } else { "http" };
        let Ok(url) = Url::parse(&format!("{scheme}://{host}/")) else { return false };
        let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/";
        plain && url.origin() == self.origin
    }

    /// Who called: the peer, or what trusted proxies say of it (the right-most address none of them owns).
    pub fn client_address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.to_canonical();
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .flat_map(|value| value.to_str().unwrap_or("").split(','))
            .map(str::trim)
            .collect();
        for hop in hops.into_iter().rev() {
            if !self.trusts(client) {
                break;
            }
            // What a proxy did not write as an address is nobody's word: the last known one stands.
            let Ok(address) = hop.parse::<IpAddr>() else { break };
            client = address.to_canonical();
        }
        Some(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn settings(url: &str) -> WebSettings {
        WebSettings::new(PublicUrl::parse(url).unwrap(), vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn address(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(HeaderName::from_static("x-forwarded-for"), value);
        }
        let settings = settings("https://api.example.com");
        settings.client_address(Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        assert_eq!(address("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(address("10.1.2.3", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("::ffff:10.1.2.3", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("10.1.2.3", &["6.6.6.6, 198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(address("10.1.2.3", &["6.6.6.6", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("10.1.2.3", &["6.6.6.6, nonsense"]), "10.1.2.3");
        assert_eq!(address("10.1.2.3", &[]), "10.1.2.3");
    }

    #[test]
    fn links_carry_the_prefix_and_lose_it_again() {
        let settings = settings("https://api.example.com/laputa/");
        assert_eq!(settings.link("/login"), "/laputa/login");
        assert_eq!(settings.absolute("/login"), "https://api.example.com/laputa/login");
        assert_eq!(settings.without_prefix("/laputa/login?a=b"), Some("/login?a=b"));
        assert_eq!(settings.without_prefix("/laputan/login"), None);
        assert!(settings.is_under_o("/o/token") && settings.is_under_o("/laputa/o/token"));
        assert!(!settings.is_under_o("/laputa/acme/o/") && !settings.is_under_o("/other/o/token"));
    }

    #[test]
    fn the_host_is_compared_as_an_origin() {
        let secure = settings("https://api.example.com");
        assert!(secure.is_own_host("API.example.com") && secure.is_own_host("api.example.com:443"));
        for other in [
            "evil.example",
            "api.example.com:8443",
            "api.example.com@evil.example",
            "",
            "a b",
            "api.example.com/x",
        ] {
            assert!(!secure.is_own_host(other), "{other}");
        }
        assert!(settings("http://127.0.0.1:8080").is_own_host("127.0.0.1:8080"));
    }

    #[test]
    fn cookies_are_named_by_the_public_url() {
        assert_eq!(settings("https://api.example.com/x").session_cookie(), "__Host-jeton");
        assert_eq!(settings("http://127.0.0.1:8080").session_cookie(), "jeton_8080");
    }
}
