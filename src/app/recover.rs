//! What does `recover` do? It lets whoever holds data and keyring in again, beside no server.

use super::{Credentials, Error, Ground, Nature};
use crate::config::Config;

/// Gives a superadmin client a new secret (a new client where none is left) and makes a superadmin invitation.
pub async fn recover(config: &Config, nature: Nature) -> Result<Credentials, Error> {
    let ground = Ground::open(config, nature).await?;
    let tx = ground.store.begin().await?;
    let client = ground.clients().recover(tx.conn()).await?;
    let credentials = ground.credentials(tx.conn(), client).await?;
    tx.commit().await?;
    ground.store.close().await?;
    Ok(credentials)
}
