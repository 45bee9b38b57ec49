//! What every store must do that can be written to.

use std::sync::Arc;

use jeton_client::Secret;
use jeton_client::secret_store::{
    Expected, Reference, SecretStore, StoreError, StoreFault, Stored, Variables, open,
};

pub(crate) fn store(reference: &str, variables: &Variables) -> Arc<dyn SecretStore> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    open(&reference.parse::<Reference>().unwrap(), variables).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test compares the plaintext")]
pub(crate) fn text(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}

pub(crate) fn value(stored: Option<Stored>) -> Option<String> {
    stored.map(|stored| text(&stored.value))
}

pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreFault {
    result.unwrap_err().fault().unwrap().clone()
}

/// One line, which names store and reference.
pub(crate) fn one_line(error: &StoreError, reference: &str) -> String {
    let line = error.to_string();
    assert!(line.contains(&format!(", `{reference}`: ")) && !line.contains('\n'), "{line}");
    assert!(!format!("{line}{error:?}").contains("canary"), "{line}");
    line
}

/// Writes, reads back, activates.
pub(crate) async fn replace(store: &dyn SecretStore, new: &str, expected: &Expected) -> Expected {
    let version = store.put(&Secret::new(new), expected).await.unwrap();
    let back = store.read_back(&version).await.unwrap().map(|secret| text(&secret));
    assert_eq!(back.as_deref(), Some(new));
    store.activate(&version, expected).await.unwrap();
    let stored = store.get().await.unwrap().unwrap();
    assert_eq!((text(&stored.value).as_str(), &stored.version), (new, &version));
    Expected::Version(version)
}

/// `pends`: the store keeps a version that nobody reads.
pub(crate) async fn lives(store: &dyn SecretStore, pends: bool) {
    assert_eq!(value(store.get().await.unwrap()), None);
    let first = replace(store, "canary-1", &Expected::Absent).await;

    // Duplicate: what is there stays.
    let again = store.put(&Secret::new("canary-x"), &Expected::Absent).await;
    assert_eq!(fault(again), StoreFault::Exists);
    let second = replace(store, "canary-2", &first).await;

    // Somebody who saw the first one comes too late.
    assert_eq!(fault(store.put(&Secret::new("canary-x"), &first).await), StoreFault::Changed);
    assert_eq!(value(store.get().await.unwrap()).as_deref(), Some("canary-2"));

    // A crash in the middle: what was written is not activated. Whoever resumes looks, and writes anew.
    let version = store.put(&Secret::new("canary-3"), &second).await.unwrap();
    assert_eq!(
        store.read_back(&version).await.unwrap().map(|secret| text(&secret)).as_deref(),
        Some("canary-3")
    );
    let seen = store.get().await.unwrap().unwrap();
    assert_eq!(text(&seen.value), if pends { "canary-2" } else { "canary-3" });
    let seen = Expected::Version(seen.version);
    replace(store, "canary-4", &seen).await;
    if pends {
        // The one that was left behind does not come back over the newer one.
        assert_eq!(fault(store.activate(&version, &second).await), StoreFault::Changed);
    }
    assert_eq!(value(store.get().await.unwrap()).as_deref(), Some("canary-4"));
}
