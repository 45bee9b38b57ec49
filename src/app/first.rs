//! What does `init` make? Data directory, keyring, database, signing key, the first superadmin client and invitation.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::{Error, Ground, Nature, keyring, public_url, services};
use crate::admin::clients::{Clients, FirstClient};
use crate::config::Config;
use crate::identity::bearer::RecentRows;
use crate::identity::password::Passwords;
use crate::identity::people::People;
use crate::identity::session::Sessions;
use crate::identity::tools::Tools;
use crate::issuer;
use crate::model::client::ClientId;
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::secret::Secret;
use crate::store::{self, Conn, Store};
use crate::vault::Vault;

/// What is shown once: the keys to the house.
#[derive(Debug)]
pub struct Credentials {
    /// A superadmin client.
    pub client_id: ClientId,
    /// Its secret.
    pub client_secret: Secret,
    /// Opens in a browser: whoever follows it becomes a superadmin.
    pub invitation_url: Secret,
}

/// Whether there is an instance already; nothing is changed.
pub async fn is_made(config: &Config, nature: Nature) -> Result<bool, Error> {
    Ok(Store::look(&config.database, nature.clock).await?.is_some())
}

/// Makes an instance where there is none.
///
/// # Errors
/// [`Error::AlreadyInitialised`], and nothing was changed.
pub async fn init(config: &Config, nature: Nature) -> Result<Credentials, Error> {
    let url = public_url(config, None)?;
    make_directories(config)?;
    if Store::look(&config.database, Arc::clone(&nature.clock)).await?.is_some() {
        return Err(Error::AlreadyInitialised);
    }
    let keys = keyring::read_or_make(config, &*nature.entropy).map_err(Error::KeyringUnusable)?;
    let key_id = uuid(&*nature.clock, &*nature.entropy);
    let (vault, made) = Vault::create(Arc::new(keys), Arc::clone(&nature.entropy), key_id)?;
    let store = Store::connect(&config.database, Arc::clone(&nature.clock)).await?;
    let store = store.with_notary(vault.notary());
    store.migrate().await?;
    let ground = Ground::assemble(config, nature, store, Arc::new(vault), url);
    let tx = ground.store.begin().await?;
    let configured = config.public_url.as_ref().map(|url| url.as_str());
    tx.conn()
        .insert_instance(&config.instance.name, configured, &made.data_key, &made.sealed_hash_key)
        .await
        .map_err(|error| match error {
            store::Error::AlreadyExists => Error::AlreadyInitialised,
            other => Error::Store(other),
        })?;
    let (clock, entropy) = (&*ground.nature.clock, &*ground.nature.entropy);
    issuer::keys::create_first(tx.conn(), &ground.vault, clock, entropy, services::algorithm(config)).await?;
    let client = ground.clients().create_first(tx.conn()).await?;
    let credentials = ground.credentials(tx.conn(), client).await?;
    tx.commit().await?;
    ground.store.close().await?;
    Ok(credentials)
}

impl Ground {
    /// A superadmin client's secret and a superadmin invitation, recorded, inside the caller's transaction.
    pub(super) async fn credentials(
        &self,
        conn: Conn<'_>,
        client: FirstClient,
    ) -> Result<Credentials, Error> {
        let FirstClient { client_id, secret: client_secret } = client;
        let invitation = self.people().first_superadmin_invitation(conn, None).await?;
        let event = Event::new(Actor::System, Action::Recover, Origin::default());
        let subject = Some(format!("client:{client_id} invitation:{}", invitation.id));
        self.audit.record_in(conn, Event { subject, ..event }).await?;
        Ok(Credentials { client_id, client_secret, invitation_url: invitation.url })
    }

    pub(super) fn clients(&self) -> Clients {
        Clients::new(self.tools(), RecentRows::default())
    }

    pub(super) fn tools(&self) -> Tools {
        Tools {
            store: self.store.clone(),
            vault: Arc::clone(&self.vault),
            audit: Arc::clone(&self.audit),
            clock: Arc::clone(&self.nature.clock),
            entropy: Arc::clone(&self.nature.entropy),
        }
    }

    fn people(&self) -> People {
        let passwords = Arc::new(Passwords::new(Arc::clone(&self.vault), Arc::clone(&self.nature.entropy)));
        let sessions = Arc::new(Sessions::new(self.tools()));
        People::new(self.tools(), passwords, sessions, self.public_url.clone(), RecentRows::default())
    }
}

/// The data directory, and that of the SQLite file; new ones are for the owner alone.
fn make_directories(config: &Config) -> Result<(), Error> {
    make_directory(&config.data_dir)?;
    match config.sqlite_file().and_then(Path::parent) {
        Some(parent) if !parent.as_os_str().is_empty() => make_directory(parent),
        _ => Ok(()),
    }
}

fn make_directory(path: &Path) -> Result<(), Error> {
    let wrong = |source| Error::Directory { path: path.to_owned(), source };
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(wrong)
}
