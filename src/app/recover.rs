//! What does `recover` do? It lets whoever holds data and keyring in again, beside no server.

use super::{Credentials, Error, Ground, Nature};
use crate::config::Config;
use crate::model::client::{Client, ClientKind};
use crate::model::time::to_micros;
use crate::store::{Conn, Tx};

/// Two secrets of a client may live at once.
const LIVE_SECRETS: usize = 2;
const PAGE: u64 = 200;

/// Gives a superadmin client a new secret (a new client where none is left) and makes a superadmin invitation.
pub async fn recover(config: &Config, nature: Nature) -> Result<Credentials, Error> {
    let ground = Ground::open(config, nature).await?;
    let tx = ground.store.begin().await?;
    let client = match find(tx.conn()).await? {
        Some(client) => ground.make_room(&tx, client).await?,
        None => {
            // The clock makes the name unique: a deleted client's may still be in use by another.
            let micros = to_micros(ground.nature.clock.now());
            let client = ground.superadmin_client(&format!("superadmin-{micros}"));
            tx.conn().insert_client(&client).await?;
            client
        }
    };
    let credentials = ground.credentials(tx.conn(), client.client_id).await?;
    tx.commit().await?;
    ground.store.close().await?;
    Ok(credentials)
}

/// A client that administers the instance: unconfined, enabled, with every right.
async fn find(conn: Conn<'_>) -> Result<Option<Client>, Error> {
    let mut after: Option<String> = None;
    loop {
        let page = conn.list_clients(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        after = Some(last.identifier.clone());
        if let Some(found) = page.into_iter().find(administers) {
            return Ok(Some(found));
        }
    }
}

fn administers(client: &Client) -> bool {
    let all = crate::model::scope::Scope::ALL.into_iter().all(|scope| client.scopes.grants(scope));
    client.kind == ClientKind::Service
        && client.role.is_some()
        && !client.disabled
        && !client.allow.is_confined()
        && all
}

impl Ground {
    /// Deletes the oldest secret where there are two. Tokens got with it are refused from now on.
    async fn make_room(&self, tx: &Tx<'_>, client: Client) -> Result<Client, Error> {
        let conn = tx.conn();
        let secrets = conn.list_client_secrets(&client.client_id).await?;
        let Some(oldest) = secrets.first().filter(|_| secrets.len() >= LIVE_SECRETS) else {
            return Ok(client);
        };
        conn.delete_client_secret(&client.client_id, oldest.id).await?;
        let seen = client.version;
        let narrowed =
            Client { not_before: Some(self.nature.clock.now()), version: seen.saturating_add(1), ..client };
        conn.update_client(&narrowed, seen).await?;
        Ok(narrowed)
    }
}
