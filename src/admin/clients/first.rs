//! The superadmin client of `init` and `recover`, made without a server.

use crate::model::client::{Allow, Client, ClientId, ClientKind, Role};
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;
use crate::store::Conn;

use super::secrets::MAX_SECRETS;
use super::{Clients, Error, NewClient};

/// What the first client is called.
const IDENTIFIER: &str = "superadmin";

/// A superadmin client and its secret, shown this once.
#[derive(Debug)]
pub struct FirstClient {
    /// Its id.
    pub client_id: ClientId,
    /// Its secret.
    pub secret: Secret,
}

impl Clients {
    /// Makes the first superadmin client, inside the transaction of `init`.
    ///
    /// # Errors
    /// [`Error::IdentifierTaken`] where there is one.
    pub async fn create_first(&self, conn: Conn<'_>) -> Result<FirstClient, Error> {
        self.create_superadmin(conn, IDENTIFIER.to_owned()).await
    }

    /// Gives the first superadmin client a new secret, inside the transaction of `recover`: it is enabled again
    /// and loses its oldest secret where it has two. If it is gone or was made less, another is made.
    pub async fn recover(&self, conn: Conn<'_>) -> Result<FirstClient, Error> {
        let Some(client) = conn.find_client_by_identifier(IDENTIFIER).await? else {
            return self.create_superadmin(conn, IDENTIFIER.to_owned()).await;
        };
        if !is_superadmin(&client) {
            let identifier = format!("{IDENTIFIER}-{}", self.new_id());
            return self.create_superadmin(conn, identifier).await;
        }
        let id = client.client_id.clone();
        let enabled = Client { disabled: false, ..client };
        let secrets = conn.list_client_secrets(&id).await?;
        if secrets.len() >= MAX_SECRETS
            && let Some(oldest) = secrets.first()
        {
            conn.delete_client_secret(&id, oldest.id).await?;
            self.refuse_older_tokens(conn, enabled).await?;
        } else {
            let version = enabled.version;
            conn.update_client(&Client { version: version.saturating_add(1), ..enabled }, version).await?;
        }
        self.hand_over(conn, id).await
    }

    async fn create_superadmin(&self, conn: Conn<'_>, identifier: String) -> Result<FirstClient, Error> {
        let client = self.assemble(NewClient {
            identifier,
            kind: ClientKind::Service,
            role: Some(Role::Superadmin),
            scopes: Some([Scope::Superadmin].into_iter().collect::<Scopes>()),
            allow: Allow::default(),
            resources: Vec::new(),
            redirect_uris: Vec::new(),
            jwks: None,
            token_lifetime_s: None,
            refresh_tokens: false,
        });
        conn.insert_client(&client).await?;
        self.hand_over(conn, client.client_id).await
    }

    async fn hand_over(&self, conn: Conn<'_>, client_id: ClientId) -> Result<FirstClient, Error> {
        let secret = self.insert_secret(conn, &client_id).await?.secret;
        let event = Event {
            subject: Some(client_id.to_string()),
            ..Event::new(Actor::System, Action::Recover, Origin::default())
        };
        self.tools.audit.record_in(conn, event).await?;
        self.recent.forget(&client_id);
        Ok(FirstClient { client_id, secret })
    }
}

fn is_superadmin(client: &Client) -> bool {
    client.kind == ClientKind::Service
        && client.role == Some(Role::Superadmin)
        && !client.allow.is_confined()
        && client.scopes.grants(Scope::Superadmin)
}
