//! How does one process after the other use the token of a service for as long as it lives?
//!
//! What a store's credential gave is kept in a sealed file of this account, and read by the next process. Where it cannot
//! be kept, it is got each time.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::Error;
use crate::login::{after, now};
use crate::secret::Secret;
use crate::secret_store::{self, Expected, Reference, SecretStore, StoredCredential, Variables};
use crate::token_source::TokenSource;

/// A token of a service.
#[derive(Clone, Debug)]
pub struct ServiceToken {
    /// The token.
    pub access_token: Secret,
    /// When it is given out no more: a little before it ends.
    pub expires_at: OffsetDateTime,
}

#[derive(Deserialize, Serialize)]
struct Kept {
    access_token: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// The token of the service whose credential is at `reference`: the one that is kept, unless `renew`, or a new one.
///
/// # Errors
/// [`Error::action`] says what to do.
pub async fn service_token(
    reference: &Reference,
    variables: &Variables,
    renew: bool,
) -> Result<ServiceToken, Error> {
    // Of the place where secrets are, too: another folder is another account's.
    let cache = place(reference, variables).and_then(|place| secret_store::open(&place, variables).ok());
    let kept = match &cache {
        // What does not open counts as nothing.
        Some(cache) => cache.get().await.ok().flatten(),
        None => None,
    };
    if let Some(token) = kept.as_ref().filter(|_| !renew).and_then(|kept| living(&kept.value)) {
        return Ok(token);
    }
    let credential = StoredCredential::open(reference, variables).await?;
    let asked_at = now();
    let source = TokenSource::stored(credential.into())?;
    let bearer = source.bearer().await?;
    let left = bearer.until().saturating_duration_since(std::time::Instant::now());
    let token =
        ServiceToken { access_token: bearer.token().clone(), expires_at: after(asked_at, left.as_secs()) };
    if let Some(cache) = cache {
        keep(&*cache, kept.map(|kept| kept.version), &token, left).await;
    }
    Ok(token)
}

/// What says which store a reference leads to, and as whom.
const SURROUNDINGS: [&str; 18] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "BAO_ADDR",
    "BAO_NAMESPACE",
    "BAO_ROLE_ID",
    "JETON_AZURE_KEYVAULT_ENDPOINT",
    "JETON_URL",
    "VAULT_ADDR",
    "VAULT_NAMESPACE",
    "VAULT_ROLE_ID",
];

/// A file beside secrets, whose name tells nothing. None for a variable: what it holds now is what counts.
fn place(reference: &Reference, variables: &Variables) -> Option<Reference> {
    if matches!(reference, Reference::Env { .. }) {
        return None;
    }
    let around = SURROUNDINGS.map(|name| format!("\n{name}={}", variables.find(name).unwrap_or_default()));
    let hash = digest(&SHA256, format!("{reference}{}", around.concat()).as_bytes());
    let name: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("file:service-tokens/{name}").parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a token comes out of the sealed file of the person's own account"
)]
fn living(value: &Secret) -> Option<ServiceToken> {
    let kept: Kept = serde_json::from_str(value.expose_secret()).ok()?;
    let lives = kept.expires_at > now();
    lives.then(|| ServiceToken { access_token: Secret::new(kept.access_token), expires_at: kept.expires_at })
}

#[expect(
    clippy::disallowed_methods,
    reason = "door: a token goes into a sealed file of the person's own account"
)]
async fn keep(
    cache: &dyn SecretStore,
    seen: Option<secret_store::Version>,
    token: &ServiceToken,
    left: Duration,
) {
    if left.is_zero() {
        return;
    }
    let access_token = token.access_token.expose_secret().to_owned();
    let kept = Kept { access_token, expires_at: token.expires_at };
    let Ok(text) = serde_json::to_string(&kept) else { return };
    let expected = seen.map_or(Expected::Absent, Expected::Version);
    // Another process was faster, or the disk is full: this process has its token.
    let _ = cache.put(&Secret::new(text), &expected).await;
}

#[cfg(test)]
#[path = "service_token_tests.rs"]
mod tests;
