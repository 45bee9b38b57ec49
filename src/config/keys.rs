//! Section `keys`: where the keyring is.

use std::path::{Path, PathBuf};

use super::reader::Reader;
use crate::model::secret::Secret;

/// Where the key-encryption keys come from.
#[derive(Clone, Debug)]
pub enum Keys {
    /// The keyring's text, given as it is.
    Given(Secret),
    /// A file of mode 0600.
    File(PathBuf),
}

pub(super) fn read(reader: &mut Reader, data_dir: &Path) -> Keys {
    let (text, file) = (reader.text("keys.keyring"), reader.text("keys.keyring_file"));
    match (text, file) {
        (Some(_), Some(_)) => {
            reader.refuse("keys.keyring_file", "stands beside `keys.keyring`; keep one of the two");
            Keys::File(PathBuf::new())
        }
        (Some(text), None) => Keys::Given(Secret::new(text)),
        (None, Some(file)) => Keys::File(file.into()),
        (None, None) => Keys::File(data_dir.join("keyring.toml")),
    }
}
