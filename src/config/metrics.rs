//! Section `metrics`: where figures are served.

use std::net::SocketAddr;

use super::reader::Reader;

pub(super) fn read(reader: &mut Reader) {
    let hint = "an address and port, such as 127.0.0.1:9090";
    reader.hinted("metrics.listen", hint, |text| text.parse::<SocketAddr>().ok());
    reader.unsupported("metrics.listen");
}
