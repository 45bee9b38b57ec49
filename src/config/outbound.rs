//! Section `outbound`: where the server may call, and through what.

use std::path::PathBuf;

use url::Url;

use super::reader::Reader;
use super::refresh::Timeouts;
use crate::model::address::Network;
use crate::outbound::Settings;

pub(super) fn read(reader: &mut Reader, timeouts: Timeouts) -> Settings {
    let ca_file = reader.hinted("outbound.ca_file", "a file of PEM certificates that can be read", |text| {
        Some(PathBuf::from(text)).filter(|path| path.is_file())
    });
    Settings {
        allow_loopback: reader.flag("outbound.allow_loopback").unwrap_or(false),
        allow_networks: reader.list("outbound.allow_networks", str::parse::<Network>),
        proxy: proxy(reader),
        ca_file,
        connect_timeout: timeouts.connect,
        timeout: timeouts.whole,
    }
}

/// Its address may hold a password, hence the twin.
#[expect(
    clippy::disallowed_methods,
    reason = "door: the proxy's address goes into the HTTP client's settings"
)]
fn proxy(reader: &mut Reader) -> Option<Url> {
    let text = reader.secret("outbound.proxy")?;
    let url = Url::parse(text.expose_secret()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    if url.is_none() {
        reader
            .refuse("outbound.proxy", "must be an http or https URL, such as http://proxy.example.com:3128");
    }
    url
}
