//! Is this installation well? Each thing that can be wrong is looked at, and told with what to do. Nothing is changed.
//!
//! It works beside a server that runs, and goes on after a failure: what cannot be looked at then is said to be skipped.

mod check;
mod database;
mod files;
mod keys;
mod providers;

use std::sync::Arc;

use super::Nature;
use crate::config::{self, Config};
use crate::store::Glance;
use crate::vault::Vault;

pub use self::check::{Check, Remedy, Verdict};

use self::check::chain;

/// Looks at everything. `offline`: providers are not called.
pub async fn examine(config: Result<Config, config::Error>, nature: &Nature, offline: bool) -> Vec<Check> {
    let mut found = Vec::new();
    let Some(config) = configuration(config, &mut found) else {
        found.push(Check::skipped("everything else", "it depends on the configuration"));
        return found;
    };
    files::look(&config, &mut found);
    let vault = stored(&config, nature, &mut found).await;
    let Some((glance, vault)) = vault else {
        found.push(Check::skipped("providers", "which are in use stands in the database"));
        return found;
    };
    let targets = if offline {
        found.push(Check::skipped("providers", "--offline was said"));
        None
    } else {
        providers::targets(&config, &glance.store, vault, &mut found).await
    };
    // It was only read: nothing can be lost. A server may start while providers are waited for.
    glance.close().await.ok();
    if let Some(targets) = targets {
        targets.call(&mut found).await;
    }
    found
}

fn configuration(config: Result<Config, config::Error>, found: &mut Vec<Check>) -> Option<Config> {
    const NAME: &str = "configuration";
    let config = config.and_then(|config| config.refuse_unsupported().map(|()| config));
    match config {
        Ok(config) => {
            found.push(Check::ok(NAME, "every key is known and right"));
            Some(config)
        }
        Err(config::Error::Invalid(violations)) => {
            let each = violations.iter().map(|violation| {
                Check::failure(
                    NAME,
                    Remedy::Configure,
                    violation.to_string(),
                    "Correct it: docs/configuration.md",
                )
            });
            found.extend(each);
            None
        }
        Err(error) => {
            found.push(Check::failure(NAME, Remedy::Configure, chain(&error), "Correct the file"));
            None
        }
    }
}

/// The database and the keys: both must be right for what follows.
async fn stored(config: &Config, nature: &Nature, found: &mut Vec<Check>) -> Option<(Glance, Arc<Vault>)> {
    let keyring = keys::keyring(config, found);
    let glance = database::open(config, nature, found).await;
    let Some(glance) = glance else {
        found.push(Check::skipped("keys", "they stand in the database"));
        return None;
    };
    let instance = database::look(config, nature, &glance, found).await;
    let vault = match (instance, keyring) {
        (Some(instance), Some(keyring)) => {
            keys::look(config, &glance, nature, keyring, &instance, found).await
        }
        _ => {
            found.push(Check::skipped("keys", "an instance and a keyring are needed for that"));
            None
        }
    };
    match vault {
        Some(vault) => Some((glance, vault)),
        None => {
            glance.close().await.ok();
            None
        }
    }
}
