//! What does a client have where nothing else is said? And the two that are made by a name alone: one for a service, one
//! for people's scripts.

use super::{Clients, Created, Error, NewClient};
use crate::identity::Superadmin;
use crate::model::client::{Allow, ClientKind, Role};
use crate::model::delivery::{Delivery, DeliveryForm};
use crate::model::scope::{Scope, Scopes};
use crate::model::uri::RedirectUri;

/// Where a browser on the person's own machine comes back to (RFC 8252 §7.3).
const LOOPBACK: &str = "http://127.0.0.1/";

impl NewClient {
    /// A client of this kind with the defaults of its kind, which give a service nothing yet.
    pub fn named(identifier: &str, kind: ClientKind) -> Self {
        Self {
            identifier: identifier.to_owned(),
            kind,
            role: None,
            scopes: None,
            resource_scopes: Default::default(),
            allow: Allow::default(),
            resources: Vec::new(),
            redirect_uris: None,
            jwks: None,
            token_lifetime_s: None,
            refresh_tokens: false,
        }
    }

    /// The scopes it is given where none are named: what a superadmin is for, and for people's scripts a sign-in that
    /// lasts.
    pub(super) fn default_scopes(&self) -> Scopes {
        let receives = self.role.map(|Role::Superadmin| Scope::BinbRead);
        let signs_in: &[Scope] = match self.kind {
            ClientKind::Programmatic => &[Scope::Openid, Scope::OfflineAccess],
            ClientKind::Service | ClientKind::Provider => &[],
        };
        receives.into_iter().chain(signs_in.iter().copied()).collect()
    }

    /// Where a person is sent back to where nothing is named: a script listens on the person's own machine.
    pub(super) fn default_redirect_uris(&self) -> Vec<RedirectUri> {
        match self.kind {
            ClientKind::Programmatic => RedirectUri::try_from(LOOPBACK.to_owned()).into_iter().collect(),
            ClientKind::Service | ClientKind::Provider => Vec::new(),
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
        let to = (deliver_to, DeliveryForm::default());
        self.create_delivered(by, NewClient::named(identifier, ClientKind::Service), to).await
    }

    /// Makes a client for people's scripts, which has no secret: a person signs in, and the script gets tokens that end by
    /// themselves. Needs `clients:write`.
    pub async fn add_programmatic_client(&self, by: &Superadmin, identifier: &str) -> Result<Created, Error> {
        self.create(by, NewClient::named(identifier, ClientKind::Programmatic)).await
    }
}
