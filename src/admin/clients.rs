//! Our OAuth clients: made, changed, deleted, and their secrets.
//!
//! Refuses to make, change or give a secret to a client whose rights exceed those of who asks. A secret is shown
//! once; a change counts at once in this process and within 5 s elsewhere.

mod add;
mod change;
mod deliver;
mod drift;
mod first;
mod secrets;

use std::collections::BTreeSet;

use jeton_client::secret_store::Reference;
use jeton_guard::KeySet;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::identity::Superadmin;
use crate::identity::bearer::RecentRows;
use crate::identity::tools::Tools;
use crate::model::client::{Allow, Client, ClientId, ClientKind, Role};
use crate::model::delivery::{Delivery, DeliveryForm};
use crate::model::entropy::token;
use crate::model::event::{Action, Event};
use crate::model::grant::GrantType;
use crate::model::resource::ResourceScope;
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;
use crate::model::uri::{RedirectUri, ResourceUri};
use crate::store::{Conn, Tx};

pub use self::change::ClientChange;
pub use self::deliver::Post;
pub use self::drift::Drift;
pub use self::first::FirstClient;

/// The most clients of one page.
pub const MAX_PAGE: u64 = 200;
/// The longest identifier, in bytes.
const MAX_IDENTIFIER: usize = 200;
/// The most public keys of one client.
const MAX_KEYS: usize = 10;
/// Of RSA, elliptic curves, and secrets (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
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
    /// Somebody else delivers it at this moment.
    #[error("a delivery of the client's credential is under way: try again in two minutes")]
    UnderWay,
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
    /// A secret store did not do what it was asked, or is none that was named.
    #[error(transparent)]
    Delivery(#[from] crate::secret_stores::Error),
    /// A client was made and its credential is not where it should be.
    #[error("the client {0} was made, and its credential not delivered")]
    HalfDone(ClientId, #[source] Box<Error>),
    /// Its row was changed by somebody else than this instance.
    #[error("the client's row is not used")]
    NotOurs(#[from] crate::vault::Error),
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
    /// Scopes of its resource servers.
    pub resource_scopes: BTreeSet<ResourceScope>,
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
    /// Its secret; `None` for a programmatic client, which has none to keep, and where it has keys instead.
    pub secret: Option<NewSecret>,
    /// What to think about: `unconfined`.
    pub warnings: Vec<&'static str>,
}

/// Administers clients.
pub struct Clients {
    tools: Tools,
    recent: RecentRows,
    post: Option<Post>,
}

impl Clients {
    /// `recent` is shared with whoever authenticates clients in this process.
    pub fn new(tools: Tools, recent: RecentRows) -> Self {
        Self { tools, recent, post: None }
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
        // Shown as they are; whoever acts on one compares it with its hash.
        let clients: Vec<_> = clients.into_iter().map(|client| client.into_parts().0).collect();
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
        let (client, _) = client.into_parts();
        let info = secrets.iter().map(|secret| SecretInfo { id: secret.id, created_at: secret.created_at });
        Ok(Some((client, info.collect())))
    }

    /// Makes a client. Needs `clients:write`.
    pub async fn create(&self, by: &Superadmin, new: NewClient) -> Result<Created, Error> {
        Ok(self.make(by, new, None).await?.0)
    }

    /// The same; its secret is to be delivered there.
    async fn make(
        &self,
        by: &Superadmin,
        new: NewClient,
        deliver_to: Option<(&Reference, DeliveryForm)>,
    ) -> Result<(Created, Option<Delivery>), Error> {
        let client = self.assemble(new);
        check(&client)?;
        cover(by, &client)?;
        let tx = self.tools.store.begin().await?;
        check_resources(tx.conn(), &client).await?;
        tx.conn().insert_client(&client, self.tools.vault.sign(&client)).await?;
        let keeps_a_secret = client.kind.is_confidential() && client.jwks.is_none();
        let secret = match keeps_a_secret {
            true => Some(self.insert_secret(tx.conn(), &client.client_id).await?),
            false => None,
        };
        let delivery = match (deliver_to, &secret) {
            (Some(to), Some(secret)) => Some(self.pending(&client.client_id, to, secret, (1, None))),
            _ => None,
        };
        if let Some(delivery) = &delivery {
            tx.conn().put_delivery(delivery, self.tools.vault.sign(delivery)).await?;
        }
        self.finish(tx, by, &client.client_id, "created").await?;
        let warnings = warnings(&client);
        Ok((Created { client, secret, warnings }, delivery))
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
        let before = self.locked(&tx, id, seen).await?;
        cover(by, &before)?;
        let version = before.version;
        let (resources, scopes) = (before.resources.clone(), before.resource_scopes.clone());
        let keys = before.jwks.clone();
        let mut after = Client { version: version.saturating_add(1), ..change.apply(before) };
        if after.jwks != keys {
            // Whoever had the old keys has no tokens any more, as after the deletion of a secret.
            after.not_before = Some(self.tools.clock.now());
        }
        check(&after)?;
        cover(by, &after)?;
        // One that was registered then and is not any more stands in the way of nothing else.
        if (&after.resources, &after.resource_scopes) != (&resources, &scopes) {
            check_resources(tx.conn(), &after).await?;
        }
        if !tx.conn().update_client(&after, self.tools.vault.sign(&after), version).await? {
            return Err(Error::Changed);
        }
        self.finish(tx, by, id, "changed").await?;
        let warnings = warnings(&after);
        Ok((after, warnings))
    }

    /// Deletes a client with its secrets; its tokens are refused from now on. Needs `clients:write`.
    pub async fn delete(&self, by: &Superadmin, id: &ClientId, seen: Option<i64>) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        // A row that is not ours may go, and only go.
        match self.locked(&tx, id, seen).await {
            Ok(client) => cover(by, &client)?,
            Err(Error::NotOurs(_)) => {}
            Err(other) => return Err(other),
        }
        tx.conn().delete_client(id).await?;
        tx.conn().end_grants_of_client(id).await?;
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
            resource_scopes: new.resource_scopes,
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

    /// The client as its row is, which nobody else changes until the transaction ends.
    async fn locked(&self, tx: &Tx<'_>, id: &ClientId, seen: Option<i64>) -> Result<Client, Error> {
        if !tx.conn().lock_client(id).await? {
            return Err(Error::NotFound);
        }
        let client = tx.conn().find_client(id).await?.ok_or(Error::NotFound)?;
        let client = self.tools.vault.check(client)?;
        if seen.is_some_and(|version| version != client.version) { Err(Error::Changed) } else { Ok(client) }
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

/// What its resource servers know, as they are registered now.
async fn check_resources(conn: Conn<'_>, client: &Client) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for uri in &client.resources {
        let unregistered =
            Error::Invalid { field: "resources", reason: "names a resource that is not registered" };
        known.append(&mut conn.find_resource(uri.as_str()).await?.ok_or(unregistered)?.scopes);
    }
    if client.resource_scopes.is_subset(&known) {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "scopes",
        reason: "names a scope that is neither the broker's nor of its resources",
    })
}

/// Rights at other resource servers are whole: who has not all of the broker's may not give them.
fn cover(by: &Superadmin, client: &Client) -> Result<(), Error> {
    let all = [Scope::Superadmin].into_iter().collect();
    let covered = by.covers(&client.scopes) && (client.resource_scopes.is_empty() || by.covers(&all));
    if covered { Ok(()) } else { Err(Error::ExceedsOwn) }
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
    client.jwks.as_ref().map_or(Ok(()), check_jwks)?;
    let has_codes = client.may_use(GrantType::AuthorizationCode);
    if !has_codes && !client.redirect_uris.is_empty() {
        return Err(Error::Invalid {
            field: "redirect_uris",
            reason: "are for programmatic and provider clients",
        });
    }
    if !client.kind.is_confidential() && client.jwks.is_some() {
        return Err(Error::Invalid { field: "jwks", reason: "are for clients that can keep a secret" });
    }
    Ok(())
}

/// Public keys a signature of the client can be verified with, and no private ones: those belong to the client alone.
fn check_jwks(jwks: &serde_json::Value) -> Result<(), Error> {
    let wrong = |reason| Err(Error::Invalid { field: "jwks", reason });
    let Ok(keys) = KeySet::from_jwks(jwks.to_string().as_bytes()) else {
        return wrong("must be an object with an array `keys`");
    };
    let all = jwks.get("keys").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if all.iter().any(|key| PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some())) {
        return wrong("holds a private key: make another pair, and register the public half alone");
    }
    if keys.is_empty() || keys.len() != all.len() || keys.len() > MAX_KEYS {
        return wrong(
            "must hold 1 to 10 public keys for signatures: P-256, RSA of 2048 bits or more, or Ed25519",
        );
    }
    Ok(())
}

fn warnings(client: &Client) -> Vec<&'static str> {
    let unconfined = client.role == Some(Role::Superadmin) && !client.allow.is_confined();
    if unconfined { vec!["unconfined"] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
