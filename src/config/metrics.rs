//! Section `metrics`: where figures are served.

use std::net::SocketAddr;

use super::reader::Reader;

/// A listener of their own, open to whoever reaches it; none: the main one, for superadmins.
pub(super) fn read(reader: &mut Reader) -> Option<SocketAddr> {
    let hint = "an address and port, such as 127.0.0.1:9090";
    reader.hinted("metrics.listen", hint, |text| text.parse().ok())
}
