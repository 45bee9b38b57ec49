//! Section `database`, and the key `database_url`.
//!
//! Off this machine tokens and passwords go to nobody but the database itself: where the address does not choose
//! otherwise, its certificate and its name are verified. The driver alone would fall back to plain text.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use url::Url;

use super::reader::Reader;
use crate::store::Settings;

pub(super) fn read(reader: &mut Reader, data_dir: &Path) -> Settings {
    let max_connections = reader.number("database.max_connections", 2..=1_000).unwrap_or(20);
    let acquire_timeout_s = reader.number("database.acquire_timeout_s", 1..=60).unwrap_or(3);
    Settings {
        url: url(reader).unwrap_or_else(|| format!("sqlite:{}", data_dir.join("jeton.db").display())),
        max_connections,
        acquire_timeout: Duration::from_secs(acquire_timeout_s.into()),
    }
}

/// Complaints never repeat the address: it may hold a password.
#[expect(clippy::disallowed_methods, reason = "door: the database's address goes into the store's settings")]
fn url(reader: &mut Reader) -> Option<String> {
    let secret = reader.secret("database_url")?;
    let text = secret.expose_secret();
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.trim_start_matches("//");
        if path.is_empty() || path.contains('?') || path.starts_with(":memory:") {
            reader.refuse("database_url", "must name a file, such as sqlite:/var/lib/jeton/jeton.db");
        }
        return Some(format!("sqlite:{path}"));
    }
    if let Ok(url) = Url::parse(text)
        && ["postgres", "postgresql"].contains(&url.scheme())
        && url.has_host()
    {
        return Some(verified(url).into());
    }
    reader.refuse("database_url", "must be sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE");
    None
}

fn verified(mut url: Url) -> Url {
    let chosen = url.query_pairs().any(|(name, _)| ["sslmode", "ssl-mode"].contains(&&*name));
    if !chosen && !is_on_this_machine(&url) {
        url.query_pairs_mut().append_pair("sslmode", "verify-full");
    }
    url
}

/// A socket or a loopback address; as with the driver, a parameter wins over the authority.
fn is_on_this_machine(url: &Url) -> bool {
    let named = url.query_pairs().filter(|(name, _)| ["host", "hostaddr"].contains(&&**name)).last();
    let host =
        named.map_or_else(|| url.host_str().unwrap_or_default().to_owned(), |(_, host)| host.into_owned());
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let socket = host.starts_with('/') || host.starts_with("%2f");
    socket || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
