//! What does `init` make? Data directory, keyring, database, signing key, the first superadmin client and invitation.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::{Error, Ground, Nature, keyring, public_url, services};
use crate::config::Config;
use crate::identity::password::Passwords;
use crate::identity::people::People;
use crate::identity::session::Sessions;
use crate::identity::tools::Tools;
use crate::issuer;
use crate::model::client::{Allow, Client, ClientId, ClientKind, Role};
use crate::model::entropy::{token, uuid};
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;
use crate::store::clients::ClientSecret;
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
    let client = ground.superadmin_client("superadmin");
    tx.conn().insert_client(&client).await?;
    let credentials = ground.credentials(tx.conn(), client.client_id).await?;
    tx.commit().await?;
    ground.store.close().await?;
    Ok(credentials)
}

impl Ground {
    /// A client with every right.
    pub(super) fn superadmin_client(&self, identifier: &str) -> Client {
        Client {
            client_id: self.client_id(),
            identifier: identifier.to_owned(),
            kind: ClientKind::Service,
            role: Some(Role::Superadmin),
            scopes: [Scope::Superadmin].into_iter().collect::<Scopes>(),
            allow: Allow::default(),
            resources: Vec::new(),
            redirect_uris: Vec::new(),
            jwks: None,
            refresh_tokens: false,
            token_lifetime_s: None,
            disabled: false,
            not_before: None,
            version: 1,
            created_at: self.nature.clock.now(),
        }
    }

    #[expect(clippy::expect_used, reason = "22 characters of the alphabet of client ids")]
    fn client_id(&self) -> ClientId {
        ClientId::parse(&token::<16>(&*self.nature.entropy)).expect("base64url is the alphabet of client ids")
    }

    /// A new secret of a client and a superadmin invitation, recorded, inside the caller's transaction.
    pub(super) async fn credentials(
        &self,
        conn: Conn<'_>,
        client_id: ClientId,
    ) -> Result<Credentials, Error> {
        let client_secret = Secret::new(token::<32>(&*self.nature.entropy));
        let id: Uuid = uuid(&*self.nature.clock, &*self.nature.entropy);
        let place = Vault::row(&[id.as_bytes(), client_id.as_str().as_bytes()]);
        let hash = self.vault.hash_secret("client_secret", "secret_hash", &place, &client_secret);
        let row = ClientSecret { id, hash: hash.to_vec(), created_at: self.nature.clock.now() };
        conn.insert_client_secret(&client_id, &row).await?;
        let invitation = self.people().first_superadmin_invitation(conn, None).await?;
        let event = Event::new(Actor::System, Action::Recover, Origin::default());
        let subject = Some(format!("client:{client_id} invitation:{}", invitation.id));
        self.audit.record_in(conn, Event { subject, ..event }).await?;
        Ok(Credentials { client_id, client_secret, invitation_url: invitation.url })
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
        People::new(self.tools(), passwords, sessions, self.public_url.clone())
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
