//! Where is the keyring, and where does a first one come from?

use std::path::Path;

use crate::config::{Config, Keys};
use crate::model::entropy::Entropy;
use crate::vault::keyring::{Error, Keyring};

pub(super) fn read(config: &Config) -> Result<Keyring, Error> {
    match &config.keys {
        Keys::Given(text) => Keyring::parse(text.clone()),
        Keys::File(path) => Keyring::read(path),
    }
}

/// The keyring there is (replicas share one), else a new one in its file.
pub(super) fn read_or_make(config: &Config, entropy: &dyn Entropy) -> Result<Keyring, Error> {
    match &config.keys {
        Keys::File(path) if !exists(path) => {
            let made = Keyring::generate(entropy);
            made.write_new(path)?;
            Ok(made)
        }
        Keys::File(_) | Keys::Given(_) => read(config),
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
