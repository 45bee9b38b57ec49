//! What becomes of an answer that lands after its connector has moved? It is bound to the origin that was confirmed.

use tracing::{info, warn};

use crate::registry;
use crate::store::Conn;
use crate::vault::Place;

use super::spooled::Answer;
use super::{Error, Parts, seal};

impl Answer {
    /// For the transaction that has just stored the answer: seals its refresh token for the origin that the token sent
    /// is bound to by now, where an admin confirmed that one meanwhile. Everything else stays as it came.
    pub(super) async fn follow_connector(&self, parts: &Parts, conn: Conn<'_>) -> Result<(), Error> {
        let Some(refresh) = &self.set.refresh else { return Ok(()) };
        let rows = conn.app(&self.app);
        let now = rows.find_origin(self.seen).await?;
        let Some(origin) = now.filter(|origin| *origin != self.set.origin) else { return Ok(()) };
        match parts.registry.confirmed_token_origin(conn, &self.connector).await {
            Ok(Some(confirmed)) if confirmed == origin => {}
            Ok(_) | Err(registry::Error::Unreadable(_)) => return Ok(()),
            Err(registry::Error::Store(error)) => return Err(error.into()),
        }
        let Some(key) = rows.find_app_key().await? else { return Ok(()) };
        let of = (&self.app, &self.connector);
        let place = seal::place(self.set.connection, of, "sealed_refresh", self.set.id);
        let (old, new) =
            (Place { origin: Some(&self.set.origin), ..place }, Place { origin: Some(&origin), ..place });
        let opened = parts.vault.open(&key, &old, refresh);
        match opened.and_then(|token| parts.vault.seal(&key, &new, &token)) {
            Ok(sealed) => {
                conn.rebind_token(self.set.id, &sealed, &origin).await?;
                info!(app.id = %self.app, connector = %self.connector, flow = %self.flow,
                    "a refresh that began before its connector moved was bound to the confirmed origin");
            }
            Err(error) => warn!(app.id = %self.app, connector = %self.connector, flow = %self.flow, %error,
                "a refresh that began before its connector moved could not be bound to the confirmed origin"),
        }
        Ok(())
    }
}
