//! Section `fence`: what a process does that finds itself beside an unknown database.

use super::reader::Reader;

pub(super) fn read(reader: &mut Reader) {
    if reader.flag("fence.strict") == Some(true) {
        reader.unsupported("fence.strict");
    }
}
