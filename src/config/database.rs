//! Section `database`, and the key `database_url`.

use std::path::Path;
use std::time::Duration;

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
    let postgres = ["postgres", "postgresql"];
    if url::Url::parse(text).is_ok_and(|url| postgres.contains(&url.scheme()) && url.has_host()) {
        return Some(text.to_owned());
    }
    reader.refuse("database_url", "must be sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE");
    None
}
