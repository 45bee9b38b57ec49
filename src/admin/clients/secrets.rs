//! Secrets of clients: at most two live, each shown once.

use uuid::Uuid;

use crate::identity::Superadmin;
use crate::model::client::{Client, ClientId};
use crate::model::entropy::{token, uuid};
use crate::model::secret::Secret;
use crate::store::Conn;
use crate::store::clients::ClientSecret;
use crate::vault::Vault;

use super::rules::cover;
use super::{Clients, Error, NewSecret, Spare};

/// How many live secrets a client has at most: the old one and the new one while it is rolled out.
pub(super) const MAX_SECRETS: usize = 2;

impl Clients {
    /// Makes a second secret. Needs `clients:write`.
    pub async fn add_secret(&self, by: &Superadmin, id: &ClientId) -> Result<NewSecret, Error> {
        let tx = self.tools.store.begin().await?;
        let client = self.locked(&tx, id, None).await?;
        cover(by, &client)?;
        if !client.kind.is_confidential() {
            return Err(Error::Invalid {
                field: "kind",
                reason: "is programmatic: such a client cannot keep a secret",
            });
        }
        if tx.conn().list_client_secrets(id).await?.len() >= MAX_SECRETS {
            return Err(Error::TwoSecrets(id.clone(), Spare::Unknown));
        }
        let secret = self.insert_secret(tx.conn(), id).await?;
        self.finish(tx, by, id, "secret made").await?;
        Ok(secret)
    }

    /// Deletes a secret; tokens issued to the client before now are refused. Needs `clients:write`.
    pub async fn delete_secret(&self, by: &Superadmin, id: &ClientId, secret: Uuid) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        let client = self.locked(&tx, id, None).await?;
        cover(by, &client)?;
        if !tx.conn().delete_client_secret(id, secret).await? {
            return Err(Error::NotFound);
        }
        self.refuse_older_tokens(tx.conn(), client).await?;
        self.finish(tx, by, id, "secret deleted").await
    }

    pub(super) async fn refuse_older_tokens(&self, conn: Conn<'_>, client: Client) -> Result<(), Error> {
        let version = client.version;
        let not_before = Some(self.tools.clock.now());
        let client = Client { not_before, version: version.saturating_add(1), ..client };
        if conn.update_client(&client, self.tools.vault.sign(&client), version).await? {
            Ok(())
        } else {
            Err(Error::Changed)
        }
    }

    pub(super) async fn insert_secret(&self, conn: Conn<'_>, client: &ClientId) -> Result<NewSecret, Error> {
        let id = uuid(&*self.tools.clock, &*self.tools.entropy);
        let secret = Secret::new(token::<32>(&*self.tools.entropy));
        let place = Vault::row(&[id.as_bytes(), client.as_str().as_bytes()]);
        let hash = self.tools.vault.hash_secret("client_secret", "secret_hash", &place, &secret).to_vec();
        let row = ClientSecret { id, hash, created_at: self.tools.clock.now(), used_at: None };
        conn.insert_client_secret(client, &row).await?;
        Ok(NewSecret { id, secret })
    }
}
