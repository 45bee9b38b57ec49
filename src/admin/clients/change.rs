//! What may change about a client.

use std::collections::BTreeSet;

use crate::model::client::{Allow, Client, Role};
use crate::model::resource::ResourceScope;
use crate::model::scope::Scopes;
use crate::model::uri::{RedirectUri, ResourceUri};

/// New values; `None` leaves a field as it is. Where a field may be empty, `Some(None)` empties it.
#[derive(Clone, Debug, Default)]
pub struct ClientChange {
    /// What people call it.
    pub identifier: Option<String>,
    /// Superadmin or nothing.
    pub role: Option<Option<Role>>,
    /// The broker's scopes.
    pub scopes: Option<Scopes>,
    /// Scopes of its resource servers.
    pub resource_scopes: Option<BTreeSet<ResourceScope>>,
    /// Where it may receive tokens.
    pub allow: Option<Allow>,
    /// Resource servers.
    pub resources: Option<Vec<ResourceUri>>,
    /// Where it may be sent back to.
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// Its public keys.
    pub jwks: Option<Option<serde_json::Value>>,
    /// Seconds its tokens live.
    pub token_lifetime_s: Option<Option<u32>>,
    /// Whether it gets refresh tokens.
    pub refresh_tokens: Option<bool>,
    /// Whether it gets and uses nothing.
    pub disabled: Option<bool>,
}

impl ClientChange {
    pub(super) fn apply(self, client: Client) -> Client {
        Client {
            identifier: self.identifier.unwrap_or(client.identifier),
            role: self.role.unwrap_or(client.role),
            scopes: self.scopes.unwrap_or(client.scopes),
            resource_scopes: self.resource_scopes.unwrap_or(client.resource_scopes),
            allow: self.allow.unwrap_or(client.allow),
            resources: self.resources.unwrap_or(client.resources),
            redirect_uris: self.redirect_uris.unwrap_or(client.redirect_uris),
            jwks: self.jwks.unwrap_or(client.jwks),
            token_lifetime_s: self.token_lifetime_s.unwrap_or(client.token_lifetime_s),
            refresh_tokens: self.refresh_tokens.unwrap_or(client.refresh_tokens),
            disabled: self.disabled.unwrap_or(client.disabled),
            ..client
        }
    }
}
