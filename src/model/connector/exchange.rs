//! What passes between us and a provider: who we are there, and what it gives.

use std::collections::BTreeMap;

use crate::model::secret::Secret;

/// Who we are at the provider, opened for one call.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Our client id there.
    pub client_id: String,
    /// Our secret there; none for public clients.
    pub client_secret: Option<Secret>,
    /// A second secret of the same client id, tried when the first is refused.
    pub previous_secret: Option<Secret>,
    /// Scopes asked for instead of the definition's.
    pub scopes: Option<Vec<String>>,
    /// Values of the URL variables, fixed by the credentials or given at signup.
    pub variables: BTreeMap<String, String>,
}

/// Whose account a grant belongs to, as the provider tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Stable id at the provider.
    pub id: String,
    /// What people call it.
    pub label: String,
}

/// What a provider answered to a code exchange or a refresh, parsed.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The access token.
    pub access_token: Secret,
    /// A (new) refresh token, where one came.
    pub refresh_token: Option<Secret>,
    /// Seconds the access token lives; never invented.
    pub expires_in: Option<i64>,
    /// Seconds the refresh token lives, where told.
    pub refresh_expires_in: Option<i64>,
    /// Granted scope as told, separators turned to spaces.
    pub scope: Option<String>,
    /// Fields kept for jobs (`instance_url`).
    pub extra: BTreeMap<String, serde_json::Value>,
}
