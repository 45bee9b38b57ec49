//! Section `proxy`: which proxies are believed.

use super::reader::Reader;
use crate::model::address::Network;

pub(super) fn read(reader: &mut Reader) -> Vec<Network> {
    reader.list("proxy.trusted", str::parse::<Network>)
}
