//! Do the keys fit? The keyring opens the instance's key, every data key, and the key that signs.

use std::sync::Arc;

use super::check::{Check, Remedy, chain};
use crate::app::{Nature, instance_keys, keyring as files};
use crate::config::Config;
use crate::store::Glance;
use crate::store::instance::Instance;
use crate::store::signing_keys::{SigningKey, SigningKeyState};
use crate::vault::keyring::{Error, KeySource, Keyring};
use crate::vault::{Place, Vault};

pub(super) fn keyring(config: &Config, found: &mut Vec<Check>) -> Option<Arc<Keyring>> {
    match files::read(config) {
        Ok(keyring) => {
            found.push(Check::ok("keyring", "it can be read, and by nobody else"));
            Some(Arc::new(keyring))
        }
        Err(Error::Mode(path)) => {
            let path = path.display();
            let says = format!("{path} may be read by others");
            found.push(Check::failure("keyring", Remedy::Configure, says, format!("Run: chmod 600 {path}")));
            None
        }
        Err(error) => {
            let advice =
                "Put back the keyring that `init` made (mode 0600): nothing else opens what is stored";
            found.push(Check::failure("keyring", Remedy::Configure, chain(&error), advice));
            None
        }
    }
}

pub(super) async fn look(
    config: &Config,
    glance: &Glance,
    nature: &Nature,
    keyring: Arc<Keyring>,
    instance: &Instance,
    found: &mut Vec<Check>,
) -> Option<Arc<Vault>> {
    const NAME: &str = "instance key";
    let vault = match Vault::unlock(keyring.clone(), nature.entropy.clone(), &instance_keys(instance)) {
        Ok(vault) => Arc::new(vault),
        Err(error) => {
            let advice = "Put back the keyring that `init` made for this database; the server does not start with another";
            found.push(Check::failure(NAME, Remedy::Configure, chain(&error), advice));
            return None;
        }
    };
    found.push(Check::ok(NAME, format!("the keyring opens that of `{}`", instance.name)));
    found.push(data_keys(glance, &*keyring).await);
    found.push(signing(config, nature, glance, &vault).await);
    Some(vault)
}

async fn data_keys(glance: &Glance, keyring: &dyn KeySource) -> Check {
    const NAME: &str = "data keys";
    let keys = match glance.store.conn().list_data_keys().await {
        Ok(keys) => keys,
        Err(error) => {
            return Check::failure(NAME, Remedy::Wait, chain(&error), "Look at the database's own log");
        }
    };
    let closed: Vec<String> = keys
        .iter()
        .filter(|owned| keyring.unwrap(&owned.key).is_err())
        .map(|owned| owned.app.clone().unwrap_or_else(|| format!("key {}", owned.key.id)))
        .collect();
    if closed.is_empty() {
        return Check::ok(NAME, format!("all {} unwrap", keys.len()));
    }
    let says = format!("{} of {} do not unwrap, those of: {}", closed.len(), keys.len(), closed.join(", "));
    let advice = "Add the keys they were wrapped with to the keyring (an older one may be in a backup); the others work";
    Check::failure(NAME, Remedy::Configure, says, advice)
}

async fn signing(config: &Config, nature: &Nature, glance: &Glance, vault: &Vault) -> Check {
    const NAME: &str = "signing key";
    let keys = match glance.store.conn().list_signing_keys().await {
        Ok(keys) => keys,
        // Its columns may be newer than the database.
        Err(_) if glance.store.conn().compare_schema().await.is_ok_and(|schema| schema.missing > 0) => {
            return Check::skipped(NAME, "the schema lacks what this release knows of it");
        }
        Err(error) => {
            return Check::failure(NAME, Remedy::Wait, chain(&error), "Look at the database's own log");
        }
    };
    let opens = |key: &SigningKey| {
        let place = Place::of("signing_key", "sealed_private", key.kid);
        vault.open(vault.instance_key(), &place, &key.sealed_private).is_ok()
    };
    let says = match keys.iter().find(|key| key.is_active()) {
        Some(active) if opens(active) => return rotated(config, nature, active, &keys),
        Some(_) => "the active one does not open",
        None => "no signing key is active",
    };
    let advice = "Restore table signing_key from a backup: without an active key nobody can sign in";
    Check::failure(NAME, Remedy::Configure, says, advice)
}

/// Whether it is of the algorithm and age that were configured.
fn rotated(config: &Config, nature: &Nature, active: &SigningKey, all: &[SigningKey]) -> Check {
    const NAME: &str = "signing key";
    let SigningKeyState::Active { activated_at } = active.state else {
        return Check::skipped(NAME, "it is not active");
    };
    let (algorithm, configured) = (&active.algorithm, config.issuer.algorithm);
    let waits = all.iter().any(|key| key.is_pending() && key.algorithm == configured);
    if algorithm != configured && !waits {
        let says = format!("the active one is {algorithm}, and `issuer.algorithm` is {configured}");
        return Check::warning(NAME, says, "Run `jeton keys rotate`");
    }
    let (days, most) = ((nature.clock.now() - activated_at).whole_days(), config.issuer.rotation_days);
    if most > 0 && days > i64::from(most).saturating_add(1) {
        let says = format!("the active one has signed for {days} days, and `issuer.rotation_days` is {most}");
        let advice =
            "A server that runs makes another one within a minute: look for `signing keys` in its log";
        return Check::warning(NAME, says, advice);
    }
    Check::ok(NAME, format!("one is active and opens; {algorithm}, for {days} days"))
}
