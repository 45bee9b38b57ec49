//! Our OAuth clients: made, changed, deleted, and their secrets.
//!
//! Refuses to make, change or give a secret to a client whose rights exceed those of who asks. A secret is shown
//! once; a change counts at once in this process and within 5 s elsewhere.

mod add;
mod change;
mod deliver;
mod drift;
mod error;
mod first;
mod rules;
mod secrets;

use std::collections::BTreeSet;

use jeton_client::secret_store::Reference;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::identity::Superadmin;
use crate::identity::bearer::RecentRows;
use crate::identity::tools::Tools;
use crate::model::client::{Allow, Client, ClientId, ClientKind, Role};
use crate::model::delivery::{Delivery, DeliveryForm};
use crate::model::entropy::{Entropy, token};
use crate::model::event::{Action, Event};
use crate::model::resource::ResourceScope;
use crate::model::scope::Scopes;
use crate::model::secret::Secret;
use crate::model::uri::{RedirectUri, ResourceUri};
use crate::store::Tx;

pub use self::change::ClientChange;
pub use self::deliver::Post;
pub use self::drift::Drift;
pub use self::error::{Error, Spare};
pub use self::first::FirstClient;

use self::rules::{check, check_change, check_resources, cover};

/// The most clients of one page.
pub const MAX_PAGE: u64 = 200;

/// A client to be made.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// What people call it.
    pub identifier: String,
    /// What it is for.
    pub kind: ClientKind,
    /// Superadmin or nothing.
    pub role: Option<Role>,
    /// `None`: what its kind and role are given by default.
    pub scopes: Option<Scopes>,
    /// Scopes of its resource servers.
    pub resource_scopes: BTreeSet<ResourceScope>,
    /// Where it may receive tokens.
    pub allow: Allow,
    /// Resource servers.
    pub resources: Vec<ResourceUri>,
    /// Where it may be sent back to; `None`: what its kind is given by default.
    pub redirect_uris: Option<Vec<RedirectUri>>,
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
        let mut after = Client { version: version.saturating_add(1), ..change.apply(before.clone()) };
        if after.jwks != before.jwks {
            // Whoever had the old keys has no tokens any more, as after the deletion of a secret.
            after.not_before = Some(self.tools.clock.now());
        }
        check(&after)?;
        check_change(&before, &after)?;
        cover(by, &after)?;
        // One that was registered then and is not any more stands in the way of nothing else.
        if (&after.resources, &after.resource_scopes) != (&before.resources, &before.resource_scopes) {
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
        let (scopes, redirect_uris) = (new.default_scopes(), new.default_redirect_uris());
        Client {
            client_id: new_id(&*self.tools.entropy),
            scopes: new.scopes.unwrap_or(scopes),
            redirect_uris: new.redirect_uris.unwrap_or(redirect_uris),
            identifier: new.identifier,
            kind: new.kind,
            role: new.role,
            resource_scopes: new.resource_scopes,
            allow: new.allow,
            resources: new.resources,
            jwks: new.jwks,
            refresh_tokens: new.refresh_tokens,
            token_lifetime_s: new.token_lifetime_s,
            disabled: false,
            not_before: None,
            version: 1,
            created_at: self.tools.clock.now(),
        }
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

#[expect(clippy::expect_used, reason = "22 characters of the alphabet of client ids")]
fn new_id(entropy: &dyn Entropy) -> ClientId {
    let id = token::<16>(entropy);
    // A command line takes a word that begins with a hyphen for an option.
    let id = id.strip_prefix('-').map_or_else(|| id.clone(), |rest| format!("x{rest}"));
    ClientId::parse(&id).expect("base64url without padding is a client id")
}

fn warnings(client: &Client) -> Vec<&'static str> {
    let unconfined = client.role == Some(Role::Superadmin) && !client.allow.is_confined();
    if unconfined { vec!["unconfined"] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
