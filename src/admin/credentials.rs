//! With which client id and secret do we speak to a provider, for the instance or for one app?

use std::sync::Arc;

use crate::audit;
use crate::identity::Superadmin;
use crate::identity::tools::Tools;
use crate::model::app::AppId;
use crate::model::connector::{Definition, Violation};
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event};
use crate::model::public_url::PublicUrl;
use crate::model::secret::{Sealed, Secret, WrappedKey};
use crate::registry::{self, Registry, own, place};
use crate::store::credentials::StoredCredentials;
use crate::store::{self, Conn};
use crate::vault;

mod draft;

pub use self::draft::Draft;

/// Why credentials were not read, written or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such app.
    #[error("there is no app `{0}`")]
    AppNotFound(AppId),
    /// No connector is called so.
    #[error("no connector is called `{0}`")]
    ConnectorNotFound(String),
    /// This owner has none.
    #[error("no credentials are stored here")]
    None {
        /// What to register at the provider.
        redirect_uri: String,
    },
    /// The connector's variables could lead the secret anywhere.
    #[error("the connector takes credentials of an app only")]
    AppOnly,
    /// Values that cannot be.
    #[error("{} values cannot be", .0.len())]
    Invalid(Vec<Violation>),
    /// Another version is stored than the caller has seen.
    #[error("the credentials have changed meanwhile")]
    Changed,
    /// A secret could not be sealed, or the one before not opened.
    #[error("a client secret could not be sealed")]
    Vault(#[from] vault::Error),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What is stored, and the addresses to register at the provider; never the secret.
#[derive(Clone, Debug)]
pub struct Held {
    /// As stored.
    pub credentials: StoredCredentials,
    /// To be registered at the provider, exactly.
    pub redirect_uri: String,
    /// Where flows that start at the provider come in.
    pub install_uri: Option<String>,
}

/// Whose credentials of which connector.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// Owner; `None`: the instance.
    pub owner: Option<&'a AppId>,
    /// Id or alias.
    pub connector: &'a str,
}

/// Keeps client ids and secrets at providers.
pub struct ProviderCredentials {
    tools: Tools,
    registry: Arc<Registry>,
    public_url: PublicUrl,
}

impl ProviderCredentials {
    /// Over the given parts.
    pub fn new(tools: Tools, registry: Arc<Registry>, public_url: PublicUrl) -> Self {
        Self { tools, registry, public_url }
    }

    /// What is stored, without the secret.
    pub async fn require(&self, _by: &Superadmin, slot: Slot<'_>) -> Result<Held, Error> {
        let conn = self.tools.store.conn();
        let definition = self.definition(conn, slot).await?;
        let found = conn.find_own_credentials(slot.owner, &definition.id).await?;
        self.held(found, slot, &definition)
    }

    /// Stores credentials. The same client id: the row gets a new secret, and with `keep_previous` the old one
    /// stays live beside it. Another client id: a row of its own becomes current, and connections made with
    /// the one before keep refreshing with that.
    pub async fn put(
        &self,
        by: &Superadmin,
        slot: Slot<'_>,
        draft: &Draft,
        keep_previous: bool,
        seen: Option<i64>,
    ) -> Result<Held, Error> {
        let definition = self.definition(self.tools.store.conn(), slot).await?;
        if slot.owner.is_none() && definition.needs_app_credentials() {
            return Err(Error::AppOnly);
        }
        draft.check(&definition)?;
        let tx = self.tools.store.begin().await?;
        let conn = tx.conn();
        let key = self.data_key(conn, slot).await?;
        let current = conn.find_own_credentials(slot.owner, &definition.id).await?;
        expect_version(current.as_ref(), seen)?;
        let earlier = conn.find_credentials_of_client(slot.owner, &definition.id, &draft.client_id).await?;
        if let Some(current) = current.as_ref().filter(|row| row.client_id != draft.client_id) {
            retire(conn, current).await?;
        }
        let version = current.iter().chain(&earlier).map(|row| row.version).max().unwrap_or_default();
        let keep = earlier.as_ref().filter(|_| keep_previous);
        let row = StoredCredentials {
            id: earlier.as_ref().map_or_else(|| uuid(&*self.tools.clock, &*self.tools.entropy), |row| row.id),
            version: version.saturating_add(1),
            created_at: earlier.as_ref().map_or_else(|| self.tools.clock.now(), |row| row.created_at),
            ..self.blank(slot, &definition, draft, key)
        };
        let row = self.seal(row, draft.client_secret.as_ref(), keep)?;
        write(conn, &row, earlier.as_ref()).await?;
        conn.unpark_misconfigured(row.id).await?;
        self.audit(conn, by, slot, &definition, &format!("stored {}", row.client_id)).await?;
        let stored = conn.find_own_credentials(slot.owner, &definition.id).await?;
        tx.commit().await?;
        self.held(stored, slot, &definition)
    }

    /// Removes this owner's credentials of the connector, replaced ones too: nothing made with them refreshes
    /// until the same client id is stored again.
    pub async fn delete(&self, by: &Superadmin, slot: Slot<'_>, seen: Option<i64>) -> Result<(), Error> {
        let definition = self.definition(self.tools.store.conn(), slot).await?;
        let tx = self.tools.store.begin().await?;
        let current = tx.conn().find_own_credentials(slot.owner, &definition.id).await?;
        let held = self.held(current, slot, &definition)?;
        expect_version(Some(&held.credentials), seen)?;
        retire(tx.conn(), &held.credentials).await?;
        tx.conn().remove_credentials(&definition.id, Some(slot.owner)).await?;
        let what = format!("removed {}", held.credentials.client_id);
        self.audit(tx.conn(), by, slot, &definition, &what).await?;
        Ok(tx.commit().await?)
    }

    async fn definition(&self, conn: Conn<'_>, slot: Slot<'_>) -> Result<Arc<Definition>, Error> {
        if let Some(app) = slot.owner
            && conn.app(app).find_app().await?.is_none()
        {
            return Err(Error::AppNotFound(app.clone()));
        }
        let found = self.registry.find(slot.connector).await?;
        found.ok_or_else(|| Error::ConnectorNotFound(slot.connector.to_owned()))
    }

    async fn data_key(&self, conn: Conn<'_>, slot: Slot<'_>) -> Result<WrappedKey, Error> {
        match slot.owner {
            None => Ok(self.tools.vault.instance_key().clone()),
            Some(app) => conn.app(app).find_app_key().await?.ok_or_else(|| Error::AppNotFound(app.clone())),
        }
    }

    fn held(
        &self,
        found: Option<StoredCredentials>,
        slot: Slot<'_>,
        definition: &Definition,
    ) -> Result<Held, Error> {
        let redirect_uri = self.public_url.redirect_uri(&definition.id, slot.owner);
        let Some(credentials) = found else { return Err(Error::None { redirect_uri }) };
        let install_uri = definition.starts_at_provider.then(|| self.public_url.install_uri(&definition.id));
        Ok(Held { credentials, redirect_uri, install_uri })
    }

    fn blank(
        &self,
        slot: Slot<'_>,
        definition: &Definition,
        draft: &Draft,
        key: WrappedKey,
    ) -> StoredCredentials {
        StoredCredentials {
            id: uuid::Uuid::nil(),
            connector: definition.id.clone(),
            app: slot.owner.cloned(),
            client_id: draft.client_id.clone(),
            sealed_secret: None,
            sealed_previous: None,
            key,
            scopes: draft.scopes.clone(),
            params: draft.params.clone(),
            origin: definition.token_origin(),
            version: 0,
            current: true,
            own_mac: Vec::new(),
            held_until: None,
            created_at: self.tools.clock.now(),
            updated_at: self.tools.clock.now(),
        }
    }

    /// Seals the new secret, and the one to keep for the other column: a ciphertext opens in its own alone.
    fn seal(
        &self,
        mut row: StoredCredentials,
        secret: Option<&Secret>,
        keep: Option<&StoredCredentials>,
    ) -> Result<StoredCredentials, Error> {
        let to = |column, secret: &Secret| {
            self.tools.vault.seal(&row.key, &place(&row, column, &row.origin), secret)
        };
        let sealed_secret = secret.map(|secret| to("sealed_secret", secret)).transpose()?;
        // What was bound to another origin is never carried to this one.
        let kept = keep.filter(|kept| kept.origin == row.origin);
        let sealed_previous = kept.and_then(|kept| Some((kept, kept.sealed_secret.as_ref()?)));
        let sealed_previous: Option<Sealed> = sealed_previous
            .map(|(kept, sealed)| {
                let opened =
                    self.tools.vault.open(&kept.key, &place(kept, "sealed_secret", &kept.origin), sealed)?;
                to("sealed_previous", &opened)
            })
            .transpose()?;
        row.sealed_secret = sealed_secret;
        row.sealed_previous = sealed_previous;
        own::sign_credentials(&self.tools.vault, &mut row);
        Ok(row)
    }

    async fn audit(
        &self,
        conn: Conn<'_>,
        by: &Superadmin,
        slot: Slot<'_>,
        definition: &Definition,
        what: &str,
    ) -> Result<(), Error> {
        let event = Event {
            app: slot.owner.cloned(),
            connector: Some(definition.id.clone()),
            subject: Some(what.to_owned()),
            ..by.principal().event(Action::CredentialsChange)
        };
        Ok(self.tools.audit.record_in(conn, event).await?)
    }
}

fn expect_version(current: Option<&StoredCredentials>, seen: Option<i64>) -> Result<(), Error> {
    let stale = seen.is_some_and(|seen| current.is_none_or(|row| row.version != seen));
    if stale { Err(Error::Changed) } else { Ok(()) }
}

/// Compares again in the write: what was read may have changed since.
async fn retire(conn: Conn<'_>, seen: &StoredCredentials) -> Result<(), Error> {
    if conn.retire_credentials(seen.id, seen.version).await? { Ok(()) } else { Err(Error::Changed) }
}

async fn write(
    conn: Conn<'_>,
    row: &StoredCredentials,
    earlier: Option<&StoredCredentials>,
) -> Result<(), Error> {
    let Some(earlier) = earlier else {
        return match conn.insert_credentials(row).await {
            Err(store::Error::AlreadyExists) => Err(Error::Changed),
            other => Ok(other?),
        };
    };
    if conn.replace_credentials(row, earlier.version).await? { Ok(()) } else { Err(Error::Changed) }
}
