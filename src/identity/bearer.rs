//! Which client does a bearer token speak for, and what is left of its rights?
//!
//! The token is verified with our own public keys, then cut down to the client's row as it is now. Keys and rows
//! are at most 5 s old, on every replica; a change made in this process counts at once.

mod keys;
mod recent;

use std::sync::Arc;

use jeton_guard::{Claims, Guard, HeaderError};

use crate::identity::{Principal, TokenRights};
use crate::model::client::{Allow, Client, ClientId, Location, Role};
use crate::model::event::Origin;
use crate::model::scope::{Scope, Scopes};
use crate::model::time::Clock;
use crate::store::Store;
use crate::vault::Vault;

use self::keys::PublicKeys;
pub use self::recent::RecentClients;

/// Clocks of replicas may differ by this much.
const LEEWAY: std::time::Duration = std::time::Duration::from_secs(10);

/// Why a request has no principal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No `Authorization: Bearer` header.
    #[error("the request carries no bearer token")]
    Missing,
    /// Several headers, or one that holds no token.
    #[error("the authorization header cannot be used")]
    Header(#[from] HeaderError),
    /// The token is not good, or not for us.
    #[error("the token is refused")]
    Refused(#[from] jeton_guard::Error),
    /// The token speaks for nobody that may call here.
    #[error("the token speaks for no client")]
    NotAClient,
    /// Issued before a secret of its client was deleted.
    #[error("the token is older than its client's oldest secret may be")]
    Outdated,
    /// The client is disabled or was deleted.
    #[error("the client is disabled or gone")]
    ClientDisabled,
    /// The client's row could not be read.
    #[error("the client of the token could not be looked up")]
    Store(#[from] crate::store::Error),
}

/// Turns bearer tokens into principals.
pub struct Bearers {
    guard: Guard,
    keys: PublicKeys,
    clients: RecentClients,
    store: Store,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
}

/// Why [`Bearers`] could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The issuer is no issuer.
    #[error("the guard of our own tokens cannot be built")]
    Guard(#[from] jeton_guard::BuildError),
    /// The keys could not be read.
    #[error("the public keys could not be read")]
    Store(#[from] crate::store::Error),
}

impl Bearers {
    /// Reads the public keys; `clients` is shared with whoever changes clients in this process.
    pub async fn load(
        issuer: &str,
        store: Store,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        clients: RecentClients,
    ) -> Result<Self, SetupError> {
        let keys = PublicKeys::read(&store, &vault, clock.now()).await?;
        let guard =
            Guard::builder(issuer).audience(issuer).keys(keys.given().clone()).leeway(LEEWAY).build()?;
        Ok(Self { guard, keys, clients, store, vault, clock })
    }

    /// The principal of a request with these values of its `Authorization` headers.
    pub async fn authenticate<'a>(
        &self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
        origin: Origin,
    ) -> Result<Principal, Error> {
        let token = jeton_guard::bearer(authorization)?.ok_or(Error::Missing)?;
        let now = self.clock.now();
        let claims = self.keys.verify(&self.guard, &self.store, &self.vault, token, now).await?;
        let client = self.client_of(&claims).await?;
        check_age(&claims, &client)?;
        Ok(Principal::of_client(&client, &rights(&claims), origin))
    }

    async fn client_of(&self, claims: &Claims) -> Result<Arc<Client>, Error> {
        let id = claims.client_id.as_deref().filter(|id| *id == claims.subject).and_then(ClientId::parse);
        let id = id.ok_or(Error::NotAClient)?;
        let client = self.clients.find(&self.store, &id, self.clock.now()).await?;
        client.filter(|client| !client.disabled).ok_or(Error::ClientDisabled)
    }
}

fn check_age(claims: &Claims, client: &Client) -> Result<(), Error> {
    let fresh = client.not_before.is_none_or(|start| claims.issued_at.is_some_and(|at| at >= start));
    if fresh { Ok(()) } else { Err(Error::Outdated) }
}

/// Scopes we don't know grant nothing here; locations we cannot read are none.
fn rights(claims: &Claims) -> TokenRights {
    let locations = claims.binb_locations();
    TokenRights {
        scopes: claims.scope.iter().filter_map(|scope| Scope::parse(scope)).collect::<Scopes>(),
        role: claims.role.as_deref().and_then(Role::parse),
        allow: Allow(locations.map(|all| all.into_iter().filter_map(Location::parse).collect())),
    }
}
