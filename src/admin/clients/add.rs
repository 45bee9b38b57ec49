//! The two clients that are made by a name alone: one for a service, one for people's scripts.

use super::{Clients, Created, Error, NewClient};
use crate::identity::Superadmin;
use crate::model::client::{Allow, ClientKind};
use crate::model::delivery::{Delivery, DeliveryForm};
use crate::model::scope::{Scope, Scopes};
use crate::model::uri::RedirectUri;

/// Where a browser on the person's own machine comes back to (RFC 8252 §7.3).
const LOOPBACK: &str = "http://127.0.0.1/";

impl NewClient {
    /// A client of this kind that may do nothing yet.
    pub fn named(identifier: &str, kind: ClientKind) -> Self {
        Self {
            identifier: identifier.to_owned(),
            kind,
            role: None,
            scopes: None,
            resource_scopes: Default::default(),
            allow: Allow::default(),
            resources: Vec::new(),
            redirect_uris: Vec::new(),
            jwks: None,
            token_lifetime_s: None,
            refresh_tokens: false,
        }
    }
}

impl Clients {
    /// Makes a client for a service, without rights until it is given some; its credential goes to `deliver_to`, where it
    /// is named `{stack}/{identifier}`, and nowhere else. Needs `clients:write`.
    pub async fn add_service_client(
        &self,
        by: &Superadmin,
        identifier: &str,
        deliver_to: &str,
    ) -> Result<(Created, Delivery), Error> {
        let to = (deliver_to, DeliveryForm::Document);
        self.create_delivered(by, NewClient::named(identifier, ClientKind::Service), to).await
    }

    /// Makes a client for people's scripts, which has no secret: a person signs in, and the script gets tokens that end by
    /// themselves. Needs `clients:write`.
    pub async fn add_programmatic_client(&self, by: &Superadmin, identifier: &str) -> Result<Created, Error> {
        let scopes: Scopes = [Scope::Openid, Scope::OfflineAccess].into_iter().collect();
        let new = NewClient {
            scopes: Some(scopes),
            redirect_uris: RedirectUri::try_from(LOOPBACK.to_owned()).into_iter().collect(),
            ..NewClient::named(identifier, ClientKind::Programmatic)
        };
        self.create(by, new).await
    }
}
