//! Section `instance`: what this installation is called.

use super::reader::Reader;

/// Names of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// For people, and against mixed-up databases.
    pub name: String,
    /// First part of the names of generated credentials.
    pub stack: String,
}

pub(super) fn read(reader: &mut Reader) -> Instance {
    let hint = "1 to 63 characters a-z, 0-9, `-` or `_`";
    let good = |text: &str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        (1..=63).contains(&text.len()) && text.bytes().all(allowed)
    };
    let name = reader.checked("instance.name", hint, good).unwrap_or_else(|| "jeton".to_owned());
    let stack = reader.checked("instance.stack", hint, good).unwrap_or_else(|| name.clone());
    Instance { name, stack }
}
