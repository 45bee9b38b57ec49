//! Addresses that OAuth compares byte for byte.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Where a client may be sent back to (RFC 6749 §3.1.2): https, http on loopback, or a private-use scheme with a
/// dot (RFC 8252 §7); no fragment, no user name, in the one spelling that everybody writes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// A resource server (RFC 8707 §2): an absolute URI without a fragment, in the same spelling.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceUri(String);

/// The longest of either, in bytes.
const MAX_BYTES: usize = 2_000;

impl RedirectUri {
    /// As registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RedirectUri {
    /// Whether a client may be sent to `asked`: the same bytes, but for the port on loopback, which a script cannot choose
    /// beforehand (RFC 8252 §7.3).
    pub fn accepts(&self, asked: &str) -> bool {
        let on_loopback = || loopback_parts(&self.0).is_some_and(|own| loopback_parts(asked) == Some(own));
        self.0 == asked || on_loopback()
    }
}

/// `http://` and a loopback host, and what follows the port.
fn loopback_parts(uri: &str) -> Option<(&str, &str)> {
    let hosts = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let host = hosts.into_iter().find(|host| uri.starts_with(host))?;
    let rest = uri.strip_prefix(host)?;
    let rest = match rest.strip_prefix(':') {
        Some(port) => {
            let digits = port.bytes().take_while(u8::is_ascii_digit).count();
            port.get(digits..).filter(|_| (1..=5).contains(&digits))?
        }
        None => rest,
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

impl ResourceUri {
    /// As registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = parse(&text).is_some_and(|url| {
            url.username().is_empty()
                && url.password().is_none()
                && match url.scheme() {
                    "https" => true,
                    "http" => is_loopback(&url),
                    private => private.contains('.'),
                }
        });
        if good {
            Ok(Self(text))
        } else {
            Err(
                "must be https, http on loopback or a private-use scheme, without fragment, as browsers write it: scheme and host in \
                 small letters, no default port, no `..`, no `*`",
            )
        }
    }
}

impl TryFrom<String> for ResourceUri {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if parse(&text).is_some() {
            Ok(Self(text))
        } else {
            Err(
                "must be an absolute URI without fragment, as browsers write it: scheme and host in small letters, no \
                 default port, no `..`, no `*`",
            )
        }
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

impl From<ResourceUri> for String {
    fn from(uri: ResourceUri) -> Self {
        uri.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse(text: &str) -> Option<Url> {
    let plain = text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::parse(text).ok().filter(|url| plain && url.fragment().is_none())?;
    (is_canonical(&url, text) && names_a_host(&url)).then_some(url)
}

/// Whether an address is written as everybody writes it, but for the slash of an empty path. Other spellings of it
/// (`https:a.example`, a default port, `/../`) are read by browsers as an address that nobody compares with.
fn is_canonical(url: &Url, text: &str) -> bool {
    let bare = url.path() == "/" && url.query().is_none();
    url.as_str() == text || (bare && url.as_str().strip_suffix('/') == Some(text))
}

/// A host may hold what a Content-Security-Policy reads as a pattern or an end (`*`, `;`); none that exists does.
fn names_a_host(url: &Url) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[:]".contains(&byte);
    url.host_str().is_none_or(|host| host.bytes().all(letter))
}

/// Whether a URL names this machine by itself: plain http may go there alone.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_on_loopback_may_differ() {
        let uri = |text: &str| RedirectUri::try_from(text.to_owned()).unwrap();
        let script = uri("http://127.0.0.1/cb?x=1");
        for good in ["http://127.0.0.1/cb?x=1", "http://127.0.0.1:1/cb?x=1", "http://127.0.0.1:65535/cb?x=1"]
        {
            assert!(script.accepts(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:/cb?x=1",
            "http://127.0.0.1:123456/cb?x=1",
            "http://127.0.0.1.evil.example/cb?x=1",
            "http://127.0.0.1@evil.example/cb?x=1",
            "http://127.0.0.1:80@evil.example/cb?x=1",
            "http://127.0.0.1:80/cb?x=2",
            "http://127.0.0.1:80/cb",
            "http://localhost/cb?x=1",
            "https://127.0.0.1/cb?x=1",
            "http://127.0.0.1:80/CB?x=1",
            "http://127.0.0.1:80/./cb?x=1",
        ] {
            assert!(!script.accepts(bad), "{bad}");
        }
        let web = uri("https://a.example/cb");
        for bad in [
            "https://a.example:443/cb",
            "https://a.example/cb/",
            "https://a.example/cb?",
            "https://A.example/cb",
        ] {
            assert!(!web.accepts(bad), "{bad}");
        }
    }

    #[test]
    fn redirect_uris_are_read_strictly() {
        for good in
            ["https://a.example/cb?x=1", "http://127.0.0.1/cb", "http://[::1]:1/", "com.example.app:/cb"]
        {
            assert!(RedirectUri::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/cb",
            "https://a.example/#f",
            "https://u@a.example/",
            "javascript:alert(1)",
            "/cb",
            " https://a",
            "https:a.example/cb",
            "https:///a/cb",
            "https://a\\@evil/",
            "https://*.example/",
            "https://a.example;script-src/",
            "https://A.example/",
            "com.example.app://*/",
        ] {
            assert!(RedirectUri::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
