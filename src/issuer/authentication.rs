//! Which client is it? By a secret; a wrong one costs one read and no write, as does an unknown client.

use tracing::warn;

use crate::identity::Principal;
use crate::model::client::{Client, ClientId, ClientKind};
use crate::model::event::Origin;
use crate::model::secret::Secret;
use crate::store::clients::ClientSecret;
use crate::vault::Vault;

use super::{Error, Issuer};

/// How many secrets are compared, whatever is stored: time tells nothing.
const COMPARED: usize = 2;

/// What a client presents.
#[derive(Debug)]
pub struct Presented {
    /// As it came.
    pub client_id: String,
    /// As it came.
    pub secret: Secret,
}

impl Issuer {
    /// The client these credentials belong to.
    ///
    /// # Errors
    /// [`Error::InvalidClient`], or [`Error::TooManyFailures`] instead of it.
    pub async fn authenticate_client(&self, presented: &Presented, origin: Origin) -> Result<Client, Error> {
        let Some(id) = ClientId::parse(&presented.client_id) else {
            return Err(self.refuse(None, origin, "unknown"));
        };
        let (client, secrets) = self.store.conn().find_client_and_secrets(&id).await?.unzip();
        let secrets = secrets.unwrap_or_default();
        let right = is_one_of(&self.vault, &id, &secrets, &presented.secret);
        match client {
            None => Err(self.refuse(None, origin, "unknown")),
            Some(_) if !right => Err(self.refuse(Some(id), origin, "wrong secret")),
            Some(client) if client.disabled => Err(self.refuse(Some(id), origin, "disabled")),
            Some(client) => Ok(client),
        }
    }

    /// The same, as a caller of our own routes: for tools that speak OAuth alone.
    pub async fn authenticate_caller(
        &self,
        presented: &Presented,
        origin: Origin,
    ) -> Result<Principal, Error> {
        let client = self.authenticate_client(presented, origin).await?;
        match client.kind {
            ClientKind::Service | ClientKind::Provider => {
                Ok(Principal::of_authenticated_client(&client, origin))
            }
            ClientKind::Programmatic => Err(Error::UnauthorizedClient),
        }
    }

    fn refuse(&self, known: Option<ClientId>, origin: Origin, reason: &'static str) -> Error {
        let client = known.as_ref().map(ClientId::as_str).unwrap_or_default().to_owned();
        match self.failures.count((known, origin.address), self.clock.now()) {
            Some(retry_after_s) => Error::TooManyFailures { retry_after_s },
            None => {
                let address = origin.address.map(|address| address.to_string()).unwrap_or_default();
                warn!(client.id = client, address, reason, "a client failed to authenticate");
                Error::InvalidClient
            }
        }
    }
}

/// Every secret is compared, in constant time.
fn is_one_of(vault: &Vault, client: &ClientId, secrets: &[ClientSecret], presented: &Secret) -> bool {
    let stored = secrets.iter().map(|secret| (secret.id, secret.hash.as_slice()));
    let padding = std::iter::repeat((uuid::Uuid::nil(), &[0_u8; 32][..]));
    let compared = secrets.len().max(COMPARED);
    let matches = |(id, hash): (uuid::Uuid, &[u8])| {
        let row = Vault::row(&[id.as_bytes(), client.as_str().as_bytes()]);
        vault.hash_matches("client_secret", "secret_hash", &row, presented, hash)
    };
    stored.chain(padding).take(compared).fold(false, |found, one| matches(one) | found)
}
