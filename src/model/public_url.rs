//! Where are we, as seen from outside? Links and redirect URIs come from here alone, never from a request.

use std::fmt;

use url::{Host, Url};

use super::app::AppId;
use super::connector::ConnectorId;

/// Why a text cannot be the public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No absolute http(s) URL with a host.
    #[error("is no absolute http(s) URL")]
    NotAbsolute,
    /// It would carry people's passwords in the clear.
    #[error("must be https unless its host is loopback")]
    Insecure,
    /// More than scheme, host, port and path.
    #[error("must have no user, query or fragment")]
    Extra,
}

/// The public URL: the issuer, the base of every link. It ends without a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Reads it; a final slash is dropped.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|_| Error::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::NotAbsolute);
        }
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::Extra);
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(Error::Insecure);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// As the issuer is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of a path of ours; `path` begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// First segment of its own path: no app may be called so.
    pub fn first_segment(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once("://")?;
        rest.split('/').nth(1).filter(|segment| !segment.is_empty())
    }

    /// Redirect URI of a connector for credentials of the instance, or for those an app owns.
    pub fn redirect_uri(&self, connector: &ConnectorId, owner: Option<&AppId>) -> String {
        match owner {
            None => self.join(&format!("/connect/{connector}/callback")),
            Some(app) => self.join(&format!("/connect/{connector}/callback/{app}")),
        }
    }

    /// Where flows that start at the provider come in.
    pub fn install_uri(&self, connector: &ConnectorId) -> String {
        self.join(&format!("/connect/{connector}/install"))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_carry_the_path_of_the_public_url() {
        let public = PublicUrl::parse("https://api.example.com/laputa/").unwrap();
        let (github, acme) = (ConnectorId::parse("github").unwrap(), AppId::parse("acme").unwrap());
        assert_eq!(
            public.redirect_uri(&github, None),
            "https://api.example.com/laputa/connect/github/callback"
        );
        assert_eq!(
            public.redirect_uri(&github, Some(&acme)),
            "https://api.example.com/laputa/connect/github/callback/acme"
        );
        assert_eq!(public.first_segment(), Some("laputa"));
        assert_eq!(PublicUrl::parse("http://127.0.0.1:8080").unwrap().first_segment(), None);
    }

    #[test]
    fn plain_http_is_for_loopback_and_extras_are_refused() {
        assert!(PublicUrl::parse("http://[::1]:8080").is_ok());
        for (text, why) in [
            ("http://example.com", Error::Insecure),
            ("https://u:p@example.com", Error::Extra),
            ("https://example.com/?x=1", Error::Extra),
            ("ftp://example.com", Error::NotAbsolute),
            ("/laputa", Error::NotAbsolute),
        ] {
            assert_eq!(PublicUrl::parse(text), Err(why), "{text}");
        }
    }
}
