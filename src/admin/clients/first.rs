//! The superadmin client of `init` and `recover`, made without a server.

use crate::model::client::{Client, ClientId, ClientKind, Role};
use crate::model::own::Unchecked;
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;
use crate::model::time::to_micros;
use crate::store::Conn;

use super::secrets::MAX_SECRETS;
use super::{Clients, Error, NewClient};

/// What the first client is called.
const IDENTIFIER: &str = "superadmin";
/// Clients looked at together.
const PAGE: u64 = 200;

/// A superadmin client and its secret, shown this once.
#[derive(Debug)]
pub struct FirstClient {
    /// Its id.
    pub client_id: ClientId,
    /// Its secret.
    pub secret: Secret,
}

impl Clients {
    /// Makes the first superadmin client, inside the transaction of `init`, which records it.
    ///
    /// # Errors
    /// [`Error::IdentifierTaken`] where there is one.
    pub async fn create_first(&self, conn: Conn<'_>) -> Result<FirstClient, Error> {
        self.create_superadmin(conn, IDENTIFIER.to_owned()).await
    }

    /// Gives a superadmin client a new secret, inside the transaction of `recover`, which records it: the oldest of two
    /// goes, and with it the tokens got by it. Where no client administers the instance any more, another is made.
    pub async fn recover(&self, conn: Conn<'_>) -> Result<FirstClient, Error> {
        let Some(client) = self.find_superadmin(conn).await? else {
            // The clock makes the name unique: a lesser client may be called like the first.
            let identifier = format!("{IDENTIFIER}-{}", to_micros(self.tools.clock.now()));
            return self.create_superadmin(conn, identifier).await;
        };
        let id = client.client_id.clone();
        let secrets = conn.list_client_secrets(&id).await?;
        if let Some(oldest) = secrets.first().filter(|_| secrets.len() >= MAX_SECRETS) {
            conn.delete_client_secret(&id, oldest.id).await?;
            self.refuse_older_tokens(conn, client).await?;
        }
        self.hand_over(conn, id).await
    }

    async fn find_superadmin(&self, conn: Conn<'_>) -> Result<Option<Client>, Error> {
        let mut after: Option<String> = None;
        loop {
            let page = conn.list_clients(after.as_deref(), PAGE).await?;
            let rows = page.into_iter().map(Unchecked::into_parts);
            let mut last = None;
            for (client, own_mac) in rows {
                last = Some(client.identifier.clone());
                let own = self.tools.vault.check(Unchecked::new(client, own_mac));
                if let Ok(client) = own
                    && administers(&client)
                {
                    return Ok(Some(client));
                }
            }
            let Some(last) = last else { return Ok(None) };
            after = Some(last);
        }
    }

    async fn create_superadmin(&self, conn: Conn<'_>, identifier: String) -> Result<FirstClient, Error> {
        let client = self.assemble(NewClient {
            role: Some(Role::Superadmin),
            scopes: Some([Scope::Superadmin].into_iter().collect::<Scopes>()),
            ..NewClient::named(&identifier, ClientKind::Service)
        });
        conn.insert_client(&client, self.tools.vault.sign(&client)).await?;
        self.hand_over(conn, client.client_id).await
    }

    async fn hand_over(&self, conn: Conn<'_>, client_id: ClientId) -> Result<FirstClient, Error> {
        let secret = self.insert_secret(conn, &client_id).await?.secret;
        self.recent.forget(&client_id);
        Ok(FirstClient { client_id, secret })
    }
}

/// Unconfined, enabled, with every right.
fn administers(client: &Client) -> bool {
    client.kind == ClientKind::Service
        && client.role.is_some()
        && !client.disabled
        && !client.allow.is_confined()
        && client.scopes.grants(Scope::Superadmin)
}
