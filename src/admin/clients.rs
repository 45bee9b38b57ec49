//! Our OAuth clients: made, changed, deleted, and their secrets.
//!
//! Refuses to make, change or give a secret to a client whose rights exceed those of who asks. A secret is shown
//! once; a change counts at once in this process and within 5 s elsewhere.

mod change;
mod first;
mod secrets;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::identity::Superadmin;
use crate::identity::bearer::RecentClients;
use crate::identity::tools::Tools;
use crate::model::client::{Allow, Client, ClientId, ClientKind, Role};
use crate::model::entropy::token;
use crate::model::event::{Action, Event};
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;
use crate::model::uri::{RedirectUri, ResourceUri};
use crate::store::Tx;

pub use self::change::ClientChange;
pub use self::first::FirstClient;

/// The most clients of one page.
pub const MAX_PAGE: u64 = 200;
/// The longest identifier, in bytes.
const MAX_IDENTIFIER: usize = 200;
/// A token lives between a minute and a day.
const LIFETIME_S: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Why a client was not made, changed or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client has this id, or no secret of it.
    #[error("there is no such client or secret")]
    NotFound,
    /// Its rights are not within those of who asks.
    #[error("the client's rights exceed those of who asks")]
    ExceedsOwn,
    /// Another client is called so.
    #[error("another client has this identifier")]
    IdentifierTaken,
    /// It has two live secrets.
    #[error("the client has two live secrets already")]
    TwoSecrets,
    /// The row has changed since it was read.
    #[error("the client has changed meanwhile")]
    Changed,
    /// A field is out of range.
    #[error("`{field}` {reason}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The database gave nothing.
    #[error("the clients could not be read or written")]
    Store(#[source] crate::store::Error),
    /// No record, no change.
    #[error("the change's audit record was not written")]
    Audit(#[from] crate::audit::Error),
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        match error {
            crate::store::Error::AlreadyExists => Self::IdentifierTaken,
            other => Self::Store(other),
        }
    }
}

/// A client to be made.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// What people call it.
    pub identifier: String,
    /// What it is for.
    pub kind: ClientKind,
    /// Superadmin or nothing.
    pub role: Option<Role>,
    /// `None`: `binb:read` for a superadmin, else nothing.
    pub scopes: Option<Scopes>,
    /// Where it may receive tokens.
    pub allow: Allow,
    /// Resource servers.
    pub resources: Vec<ResourceUri>,
    /// Where it may be sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// Its public keys.
    pub jwks: Option<serde_json::Value>,
    /// Seconds its tokens live.
    pub token_lifetime_s: Option<u32>,
    /// Whether it gets refresh tokens.
    pub refresh_tokens: bool,
}

/// A secret, shown this once.
#[derive(Debug)]
pub struct NewSecret {
    /// To delete it by.
    pub id: Uuid,
    /// 256 bits, `A-Za-z0-9_-`.
    pub secret: Secret,
}

/// A live secret, without itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    /// To delete it by.
    pub id: Uuid,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A client just made.
#[derive(Debug)]
pub struct Created {
    /// It.
    pub client: Client,
    /// Its secret; `None` for a programmatic client, which has none to keep.
    pub secret: Option<NewSecret>,
    /// What to think about: `unconfined`.
    pub warnings: Vec<&'static str>,
}

/// Administers clients.
pub struct Clients {
    tools: Tools,
    recent: RecentClients,
}

impl Clients {
    /// `recent` is shared with whoever authenticates clients in this process.
    pub fn new(tools: Tools, recent: RecentClients) -> Self {
        Self { tools, recent }
    }

    /// A page of clients by identifier, and where the next begins. Needs `clients:read`.
    pub async fn list(
        &self,
        _by: &Superadmin,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<Client>, Option<String>), Error> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut clients = self.tools.store.conn().list_clients(cursor, limit.saturating_add(1)).await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = clients.len() > page;
        clients.truncate(page);
        let next = clients.last().filter(|_| more).map(|client| client.identifier.clone());
        Ok((clients, next))
    }

    /// A client and its live secrets. Needs `clients:read`.
    pub async fn find(
        &self,
        _by: &Superadmin,
        id: &ClientId,
    ) -> Result<Option<(Client, Vec<SecretInfo>)>, Error> {
        let found = self.tools.store.conn().find_client_and_secrets(id).await?;
        let Some((client, secrets)) = found else { return Ok(None) };
        let info = secrets.iter().map(|secret| SecretInfo { id: secret.id, created_at: secret.created_at });
        Ok(Some((client, info.collect())))
    }

    /// Makes a client. Needs `clients:write`.
    pub async fn create(&self, by: &Superadmin, new: NewClient) -> Result<Created, Error> {
        let client = self.assemble(new);
        check(&client)?;
        cover(by, &client)?;
        let tx = self.tools.store.begin().await?;
        tx.conn().insert_client(&client).await?;
        let secret = match client.kind {
            ClientKind::Service | ClientKind::Provider => {
                Some(self.insert_secret(tx.conn(), &client.client_id).await?)
            }
            ClientKind::Programmatic => None,
        };
        self.finish(tx, by, &client.client_id, "created").await?;
        let warnings = warnings(&client);
        Ok(Created { client, secret, warnings })
    }

    /// Changes a client; `seen` is the version it was read at, where the caller says. Needs `clients:write`.
    pub async fn change(
        &self,
        by: &Superadmin,
        id: &ClientId,
        change: ClientChange,
        seen: Option<i64>,
    ) -> Result<(Client, Vec<&'static str>), Error> {
        let tx = self.tools.store.begin().await?;
        let before = locked(&tx, id, seen).await?;
        cover(by, &before)?;
        let version = before.version;
        let after = Client { version: version.saturating_add(1), ..change.apply(before) };
        check(&after)?;
        cover(by, &after)?;
        if !tx.conn().update_client(&after, version).await? {
            return Err(Error::Changed);
        }
        self.finish(tx, by, id, "changed").await?;
        let warnings = warnings(&after);
        Ok((after, warnings))
    }

    /// Deletes a client with its secrets; its tokens are refused from now on. Needs `clients:write`.
    pub async fn delete(&self, by: &Superadmin, id: &ClientId, seen: Option<i64>) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        cover(by, &locked(&tx, id, seen).await?)?;
        tx.conn().delete_client(id).await?;
        self.finish(tx, by, id, "deleted").await
    }

    fn assemble(&self, new: NewClient) -> Client {
        let default = || new.role.map(|Role::Superadmin| Scope::BinbRead).into_iter().collect();
        Client {
            client_id: self.new_id(),
            identifier: new.identifier,
            kind: new.kind,
            role: new.role,
            scopes: new.scopes.unwrap_or_else(default),
            allow: new.allow,
            resources: new.resources,
            redirect_uris: new.redirect_uris,
            jwks: new.jwks,
            refresh_tokens: new.refresh_tokens,
            token_lifetime_s: new.token_lifetime_s,
            disabled: false,
            not_before: None,
            version: 1,
            created_at: self.tools.clock.now(),
        }
    }

    #[expect(clippy::expect_used, reason = "22 characters of the alphabet of client ids")]
    fn new_id(&self) -> ClientId {
        ClientId::parse(&token::<16>(&*self.tools.entropy)).expect("base64url without padding is a client id")
    }

    /// Writes the record, commits, and lets this process see the change.
    async fn finish(&self, tx: Tx<'_>, by: &Superadmin, id: &ClientId, what: &str) -> Result<(), Error> {
        let event =
            Event { subject: Some(format!("{id} {what}")), ..by.principal().event(Action::ClientChange) };
        self.tools.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        self.recent.forget(id);
        Ok(())
    }
}

/// The client as its row is, which nobody else changes until the transaction ends.
async fn locked(tx: &Tx<'_>, id: &ClientId, seen: Option<i64>) -> Result<Client, Error> {
    if !tx.conn().lock_client(id).await? {
        return Err(Error::NotFound);
    }
    let client = tx.conn().find_client(id).await?.ok_or(Error::NotFound)?;
    if seen.is_some_and(|version| version != client.version) { Err(Error::Changed) } else { Ok(client) }
}

fn cover(by: &Superadmin, client: &Client) -> Result<(), Error> {
    if by.covers(&client.scopes) { Ok(()) } else { Err(Error::ExceedsOwn) }
}

fn check(client: &Client) -> Result<(), Error> {
    let identifier = &client.identifier;
    let printable = !identifier.trim().is_empty() && !identifier.chars().any(char::is_control);
    if !printable || identifier.len() > MAX_IDENTIFIER {
        return Err(Error::Invalid { field: "identifier", reason: "must be 1 to 200 bytes of text" });
    }
    if client.token_lifetime_s.is_some_and(|seconds| !LIFETIME_S.contains(&seconds)) {
        return Err(Error::Invalid { field: "token_lifetime_s", reason: "must be 60 to 86400" });
    }
    if client.jwks.as_ref().is_some_and(|jwks| !jwks.get("keys").is_some_and(serde_json::Value::is_array)) {
        return Err(Error::Invalid { field: "jwks", reason: "must be an object with an array `keys`" });
    }
    Ok(())
}

fn warnings(client: &Client) -> Vec<&'static str> {
    let unconfined = client.role == Some(Role::Superadmin) && !client.allow.is_confined();
    if unconfined { vec!["unconfined"] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
