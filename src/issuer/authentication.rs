//! Which client is it? By a secret, by a signature, or by its name alone where it can keep no secret. A wrong secret
//! costs one read and no write, as does an unknown client.

mod assertion;

use tracing::{debug, warn};

use crate::identity::Principal;
use crate::model::client::{Client, ClientId};
use crate::model::event::Origin;
use crate::model::grant::GrantType;
use crate::model::secret::Secret;
use crate::store::clients::ClientSecret;
use crate::vault::Vault;

use super::{Error, Issuer};

pub use self::assertion::algorithm_names;

/// How many secrets are compared, whatever is stored: time tells nothing.
const COMPARED: usize = 2;

/// How often the use of a superseded secret is noted.
const NOTED: time::Duration = time::Duration::HOUR;

/// What a client presents, by one method.
#[derive(Debug)]
pub enum Presented {
    /// `client_secret_basic` or `client_secret_post` (RFC 6749 §2.3.1).
    Secret {
        /// As it came.
        client_id: String,
        /// As it came.
        secret: Secret,
    },
    /// `private_key_jwt` (RFC 7523 §2.2).
    Assertion {
        /// As it came beside the assertion, which says it too.
        client_id: Option<String>,
        /// The JWT.
        assertion: Secret,
    },
    /// `none`: a public client says who it is.
    Name {
        /// As it came.
        client_id: String,
    },
}

impl Issuer {
    /// The client that presents this.
    ///
    /// # Errors
    /// [`Error::InvalidClient`], or [`Error::TooManyFailures`] instead of it.
    pub async fn authenticate_client(&self, presented: &Presented, origin: Origin) -> Result<Client, Error> {
        match presented {
            Presented::Secret { client_id, secret } => self.by_secret(client_id, secret, origin).await,
            Presented::Assertion { client_id, assertion } => {
                self.by_assertion(client_id.as_deref(), assertion, origin).await
            }
            Presented::Name { client_id } => self.by_name(client_id, origin).await,
        }
    }

    /// The same, as a caller of our own routes: for tools that speak OAuth alone.
    pub async fn authenticate_caller(
        &self,
        presented: &Presented,
        origin: Origin,
    ) -> Result<Principal, Error> {
        let client = self.authenticate_client(presented, origin).await?;
        self.demand(&client, GrantType::ClientCredentials)?;
        Ok(Principal::of_authenticated_client(&client, origin))
    }

    /// Refuses a client whose kind does not use this grant.
    pub(super) fn demand(&self, client: &Client, grant: GrantType) -> Result<(), Error> {
        if client.may_use(grant) { Ok(()) } else { Err(Error::UnauthorizedClient) }
    }

    async fn by_secret(&self, client_id: &str, secret: &Secret, origin: Origin) -> Result<Client, Error> {
        let Some(id) = ClientId::parse(client_id) else {
            return Err(self.refuse(None, origin, "unknown"));
        };
        let (client, secrets) = self.store.conn().find_client_and_secrets(&id).await?.unzip();
        let secrets = secrets.unwrap_or_default();
        let right = is_one_of(&self.vault, &id, &secrets, secret);
        let Some(client) = client else { return Err(self.refuse(None, origin, "unknown")) };
        if !right {
            return Err(self.refuse(Some(id), origin, "wrong secret"));
        }
        let client = self.enabled(self.vault.check(client)?, origin)?;
        self.note_use(&id, &secrets, secret).await;
        Ok(client)
    }

    /// Whoever still uses a secret that was replaced keeps it alive; noted about once an hour, and for no other secret.
    async fn note_use(&self, id: &ClientId, secrets: &[ClientSecret], presented: &Secret) {
        let [superseded, _, ..] = secrets else { return };
        let is_recent = superseded.used_at.is_some_and(|at| at + NOTED > self.clock.now());
        if is_recent || !is_one_of(&self.vault, id, std::slice::from_ref(superseded), presented) {
            return;
        }
        if let Err(error) = self.store.conn().note_use_of_client_secret(superseded.id).await {
            debug!(%error, client.id = %id, "the use of a superseded secret could not be noted");
        }
    }

    async fn by_name(&self, client_id: &str, origin: Origin) -> Result<Client, Error> {
        let Some(id) = ClientId::parse(client_id) else {
            return Err(self.refuse(None, origin, "unknown"));
        };
        let Some(client) = self.store.conn().find_client(&id).await? else {
            return Err(self.refuse(None, origin, "unknown"));
        };
        let client = self.vault.check(client)?;
        if client.kind.is_confidential() {
            return Err(self.refuse(Some(id), origin, "it must prove itself"));
        }
        self.enabled(client, origin)
    }

    fn enabled(&self, client: Client, origin: Origin) -> Result<Client, Error> {
        match client.disabled {
            true => Err(self.refuse(Some(client.client_id), origin, "disabled")),
            false => Ok(client),
        }
    }

    fn refuse(&self, known: Option<ClientId>, origin: Origin, reason: &str) -> Error {
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
