//! Whom does a bearer token speak for, and what is left of its rights?
//!
//! The token is verified with our own public keys, then cut down to the rows of client and person as they are now. Keys and rows
//! are at most 5 s old, on every replica; a change made in this process counts at once.

mod keys;
mod recent;

use std::sync::Arc;

use jeton_guard::{Claims, Guard, HeaderError};
use uuid::Uuid;

use crate::identity::{Principal, TokenRights};
use crate::model::app::AppId;
use crate::model::client::{Allow, Client, ClientId, Location, Role};
use crate::model::event::Origin;
use crate::model::grant::GrantId;
use crate::model::person::User;
use crate::model::principal::UserId;
use crate::model::scope::{Scope, Scopes};
use crate::model::time::Clock;
use crate::model::uri::ResourceUri;
use crate::store::Store;
use crate::vault::Vault;

use self::keys::PublicKeys;
use self::recent::Reader;
pub use self::recent::RecentRows;

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
    /// It was revoked, or its grant has ended.
    #[error("the token was revoked")]
    Revoked,
    /// The person is disabled or was deleted.
    #[error("the person of the token is disabled or gone")]
    UserDisabled,
    /// A row of it was changed by somebody else than this instance.
    #[error("a row that the token depends on is not used")]
    NotOurs(#[from] crate::vault::Error),
    /// A row could not be read.
    #[error("whom the token speaks for could not be looked up")]
    Store(#[from] crate::store::Error),
}

/// Turns bearer tokens into principals.
pub struct Bearers {
    issuer: String,
    guard: Guard,
    keys: PublicKeys,
    recent: RecentRows,
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
    /// Reads the public keys; `recent` is shared with whoever changes rows in this process.
    pub async fn load(
        issuer: &str,
        store: Store,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        recent: RecentRows,
    ) -> Result<Self, SetupError> {
        let keys = PublicKeys::read(&store, &vault, clock.now()).await?;
        let guard =
            Guard::builder(issuer).audience(issuer).keys(keys.given().clone()).leeway(LEEWAY).build()?;
        Ok(Self { issuer: issuer.to_owned(), guard, keys, recent, store, vault, clock })
    }

    /// The principal of a request with these values of its `Authorization` headers.
    pub async fn authenticate<'a>(
        &self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
        origin: Origin,
    ) -> Result<Principal, Error> {
        Ok(self.inspect_header(authorization).await?.principal(origin))
    }

    /// The token of a request with these values of its `Authorization` headers.
    pub async fn inspect_header<'a>(
        &self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<GoodToken, Error> {
        let token = jeton_guard::bearer(authorization)?.ok_or(Error::Missing)?;
        self.verify(&self.guard, token).await
    }

    /// A good token of ours for the broker itself.
    pub async fn inspect(&self, token: &str) -> Result<GoodToken, Error> {
        self.verify(&self.guard, token).await
    }

    /// A good token of ours for the broker or one of these resource servers.
    pub async fn inspect_for(&self, token: &str, resources: &[ResourceUri]) -> Result<GoodToken, Error> {
        let guard = Guard::builder(&self.issuer).audience(&self.issuer).leeway(LEEWAY).cached_tokens(0);
        let guard = resources.iter().fold(guard, |guard, uri| guard.audience(uri.as_str()));
        let guard = guard.keys(self.keys.given().clone()).build();
        self.verify(&guard.map_err(|_| Error::NotAClient)?, token).await
    }

    pub(in crate::identity) async fn is_member(&self, user: UserId, app: &AppId) -> Result<bool, Error> {
        Ok(self.store.conn().app(app).find_member(user).await?.is_some())
    }

    async fn verify(&self, guard: &Guard, token: &str) -> Result<GoodToken, Error> {
        let now = self.clock.now();
        let claims = self.keys.verify(guard, &self.store, &self.vault, token, now).await?;
        let reader = Reader { recent: &self.recent, store: &self.store, vault: &self.vault, now };
        let id = claims.client_id.as_deref().and_then(ClientId::parse).ok_or(Error::NotAClient)?;
        let client = reader.client(&id).await?.filter(|client| !client.disabled);
        let client = client.ok_or(Error::ClientDisabled)?;
        check_age(&claims, &client)?;
        let jti = claims.id.as_deref().and_then(|id| Uuid::try_parse(id).ok()).ok_or(Error::NotAClient)?;
        let (grant, user) = (grant_id(&claims)?, user_id(&claims, &id)?);
        if reader.is_revoked(jti).await? {
            return Err(Error::Revoked);
        }
        if let Some(grant) = grant
            && !reader.is_granted(grant).await?
        {
            return Err(Error::Revoked);
        }
        let user = match user {
            None => None,
            // Without its grant nothing could ever end such a token.
            Some(_) if grant.is_none() => return Err(Error::NotAClient),
            Some(id) => {
                let user = reader.user(id).await?.filter(|user| !user.disabled);
                Some(user.ok_or(Error::UserDisabled)?)
            }
        };
        Ok(GoodToken { claims, client, user, jti, grant })
    }
}

/// A token of ours that is good now.
#[derive(Clone, Debug)]
pub struct GoodToken {
    /// What it says.
    pub claims: Arc<Claims>,
    /// The client it was issued to, as it is now.
    pub client: Arc<Client>,
    /// The person it speaks for; `None`: the client speaks for itself.
    pub user: Option<Arc<User>>,
    /// Its own name.
    pub jti: Uuid,
    /// The grant it ends with.
    pub grant: Option<GrantId>,
}

impl GoodToken {
    /// What it says its bearer may do, cut down to the rows of client and person.
    pub fn principal(&self, origin: Origin) -> Principal {
        let rights = rights(&self.claims);
        match &self.user {
            None => Principal::of_client(&self.client, &rights, origin),
            Some(user) => Principal::of_user_by_client(user, &self.client, &rights, origin),
        }
    }

    /// What is left of its role and its locations, where it is for the broker: other tokens carry neither.
    pub fn role_and_locations(&self, issuer: &str) -> (Option<Role>, Allow) {
        if !self.claims.audience.iter().any(|audience| audience == issuer) {
            return (None, Allow::default());
        }
        let principal = self.principal(Origin::default());
        (principal.role, principal.allow)
    }
}

fn grant_id(claims: &Claims) -> Result<Option<GrantId>, Error> {
    let claim = claims.extra.get("grant_id").map(|id| id.as_str().and_then(|id| Uuid::try_parse(id).ok()));
    claim.map(|id| id.map(GrantId).ok_or(Error::NotAClient)).transpose()
}

/// The person, where the subject is not the client itself.
fn user_id(claims: &Claims, client: &ClientId) -> Result<Option<UserId>, Error> {
    if claims.subject == client.as_str() {
        return Ok(None);
    }
    Uuid::try_parse(&claims.subject).map(|id| Some(UserId(id))).map_err(|_| Error::NotAClient)
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
