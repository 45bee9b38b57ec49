//! What is the service told by its command line and its environment?

use std::net::IpAddr;
use std::time::Duration;

use clap::Parser;
use jeton_guard::{OidcProxyError, OidcProxyScheme, Secret};
use url::{Host, Url};

use crate::calls::{Caller, http_client};

/// Greets people whom a proxy has signed in, and calls a remote service with their tokens in the background
#[derive(Debug, Parser)]
pub(crate) struct Settings {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// Under which path the proxy serves it (`/shop`): requests are taken with it and without
    #[arg(long, default_value = "")]
    pub(crate) root_path: String,
    /// End when the calls for the first visitor are done
    #[arg(long)]
    pub(crate) one_visitor: bool,
    /// Called with the access token of a visitor
    #[arg(long, env = "REMOTE_PROTECTED_ENDPOINT", value_parser = address)]
    remote: Url,
    /// Seconds between two calls in the background
    #[arg(long, env = "INTERVAL_S", default_value_t = 20)]
    interval_s: u32,
    /// How many calls are made in the background
    #[arg(long, env = "CALLS", default_value_t = 12)]
    calls: u32,
    /// The issuer, or its /.well-known/openid-configuration
    #[arg(long, env = "OPEN_ID_CONNECT_URL", value_parser = issuer)]
    open_id_connect_url: String,
    /// Whom access tokens are for
    #[arg(long, env = "OPEN_ID_CONNECT_AUDIENCE")]
    audience: String,
    /// The client the proxy signs people in as
    #[arg(long, env = "OPEN_ID_CONNECT_CLIENT_ID")]
    client_id: String,
    /// Addresses and networks of the proxy; none: the access token alone is taken, from anybody
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// The header with the access token
    #[arg(long, env = "AUTH_TOKEN_HEADER", default_value = "Authorization")]
    auth_token_header: String,
    /// It holds the bare token, not `Bearer` and the token
    #[arg(long, env = "BARE_AUTH_TOKEN")]
    bare_auth_token: bool,
    /// The header with the signed ID token
    #[arg(long, env = "ID_TOKEN_HEADER", default_value = "x-id-token")]
    id_token_header: String,
    /// The header with the refresh token
    #[arg(long, env = "REFRESH_TOKEN_HEADER", default_value = "x-refresh-token")]
    refresh_token_header: String,
}

impl Settings {
    pub(crate) fn scheme(&self) -> Result<OidcProxyScheme, OidcProxyError> {
        let scheme = OidcProxyScheme::builder(&self.open_id_connect_url, &self.audience)
            .client_id(&self.client_id)
            .auth_token_header(&self.auth_token_header)
            .auth_token_in_authorization(!self.bare_auth_token)
            .id_token_header(&self.id_token_header)
            .refresh_token_header(&self.refresh_token_header)
            .auto_error(false);
        let proxies = self.trusted_proxies.iter().filter(|network| !network.is_empty());
        let proxies: Vec<&str> = proxies.map(String::as_str).collect();
        if proxies.is_empty() {
            scheme.any_verified().build()
        } else {
            scheme.trusted_proxies(proxies).build()
        }
    }

    pub(crate) fn caller(&self) -> Result<Caller, reqwest::Error> {
        Ok(Caller {
            http: http_client()?,
            issuer: self.open_id_connect_url.clone(),
            client_id: self.client_id.clone(),
            client_secret: secret(),
            remote: self.remote.clone(),
            interval: Duration::from_secs(self.interval_s.into()),
            calls: self.calls,
        })
    }
}

/// Never an argument, which every user of the machine could read. A public client has none.
#[expect(clippy::disallowed_methods, reason = "a program of one file reads its environment once, here")]
fn secret() -> Option<Secret> {
    let secret = std::env::var("OPEN_ID_CONNECT_CLIENT_SECRET").ok();
    secret.filter(|secret| !secret.is_empty()).map(Secret::new)
}

/// To the letter, since tokens name it so.
fn issuer(text: &str) -> Result<String, String> {
    address(text).map(|_| text.to_owned())
}

/// Tokens go there: https, or plain http on loopback.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => Err("a token is sent over https, or to loopback".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_calls_are_made_every_twenty_seconds_where_nobody_says_otherwise() {
        let line = [
            "oidc_proxied",
            "--remote=https://terms.example/api",
            "--open-id-connect-url=https://sso.example",
            "--audience=https://terms.example",
            "--client-id=shop",
        ];
        let caller = |more: &[&str]| {
            let settings = Settings::try_parse_from(line.iter().chain(more)).unwrap();
            (settings.interval_s, settings.calls)
        };
        assert_eq!(caller(&[]), (20, 12));
        assert_eq!(caller(&["--interval-s=1", "--calls=2"]), (1, 2));
    }
}
