//! Section `audit`: how long records are kept.

use super::reader::Reader;

pub(super) fn read(reader: &mut Reader) {
    reader.number("audit.retention_days", 1..=36_500);
    reader.unsupported("audit.retention_days");
}
