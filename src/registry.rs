//! Which connector is meant, and with which credentials it is spoken to.
//!
//! Definitions come from the catalog first, then from the database (custom ones are remembered for 5 s, so that
//! every replica sees a change within that). Credentials are opened here and nowhere else: the app's own before
//! the instance's, and always bound to the origin of the token endpoint they will be sent to. A row that this
//! instance did not write (`own`) is not used: whoever can write rows could have secrets sent anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use time::OffsetDateTime;
use tracing::error;
use uuid::Uuid;

use crate::connectors::catalog::Catalog;
use crate::connectors::{Connector, instantiate};
use crate::model::app::AppId;
use crate::model::connector::{ConnectorId, Credentials, Definition};
use crate::model::secret::{Sealed, Secret};
use crate::outbound::{Outbound, Trust};
use crate::store::connectors::StoredConnector;
use crate::store::credentials::{HOLD_MAX, StoredCredentials, TABLE};
use crate::store::{Conn, Store};
use crate::vault::{Place, Vault};

use self::own::CustomConnector;

pub mod own;

/// Why a connector or its credentials could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A stored secret does not open in its place, or a row was not written by this instance.
    #[error("what is stored of a connector or its credentials does not open or is not ours")]
    Unreadable(#[from] crate::vault::Error),
}

/// Credentials ready for one provider call, and the row they came from.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Row id.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// Whether the app owns it; else the instance does.
    pub owned_by_app: bool,
    /// Plain, for the call.
    pub credentials: Credentials,
    /// The provider limits them until then.
    held_until: Option<OffsetDateTime>,
}

/// Definitions and credentials.
pub struct Registry {
    catalog: Catalog,
    store: Store,
    vault: Arc<Vault>,
    outbound: Outbound,
    custom: Cache<String, Option<Arc<Definition>>>,
    instances: Cache<ConnectorId, Arc<dyn Connector>>,
}

impl Registry {
    /// Over a catalog and the database.
    pub fn new(catalog: Catalog, store: Store, vault: Arc<Vault>, outbound: Outbound) -> Self {
        let custom = Cache::builder().max_capacity(1_000).time_to_live(Duration::from_secs(5)).build();
        Self { catalog, store, vault, outbound, custom, instances: Cache::new(1_000) }
    }

    /// The definition called `name`, by id or alias, without regard to case.
    pub async fn find(&self, name: &str) -> Result<Option<Arc<Definition>>, Error> {
        if let Some(definition) = self.catalog.find(name) {
            return Ok(Some(Arc::clone(definition)));
        }
        if name.len() > 40 {
            return Ok(None);
        }
        let key = name.to_ascii_lowercase();
        if let Some(known) = self.custom.get(&key) {
            return Ok(known);
        }
        let stored = self.store.conn().list_connectors().await?;
        // One that is not ours takes no name from one that is.
        let (ours, others): (Vec<_>, Vec<_>) =
            stored.iter().map(|row| self.check(row).map_err(|error| (row, error))).partition(Result::is_ok);
        let found = ours.into_iter().flatten().find(|definition| definition.is_called(name));
        if found.is_none()
            && let Some((_, error)) =
                others.into_iter().filter_map(Result::err).find(|(row, _)| row.is_called(name))
        {
            return Err(error);
        }
        self.custom.insert(key, found.clone());
        Ok(found)
    }

    /// Every definition that can be used, built-in ones first.
    pub async fn list(&self) -> Result<Vec<Arc<Definition>>, Error> {
        let stored = self.store.conn().list_connectors().await?;
        let custom = stored.iter().filter_map(|row| self.check(row).ok());
        Ok(self.catalog.iter().cloned().chain(custom).collect())
    }

    /// The definition of a row that is ours.
    fn check(&self, row: &StoredConnector) -> Result<Arc<Definition>, Error> {
        let read = CustomConnector::check(&self.vault, row);
        let read = read.inspect_err(|error| {
            error!(connector = %row.id, %error, "a stored definition is not used; store it again");
        });
        Ok(Arc::new(read?.definition))
    }

    /// Whether `name` is the id or an alias of a built-in connector.
    pub fn is_builtin(&self, name: &str) -> bool {
        self.catalog.find(name).is_some()
    }

    /// Forgets remembered custom definitions; for whoever just changed one.
    pub fn forget(&self) {
        self.custom.invalidate_all();
    }

    /// Where refresh tokens of a custom connector may go, as the database says now; `None` where an origin still waits to
    /// be confirmed, and for what the catalog defines.
    pub async fn confirmed_token_origin(
        &self,
        conn: Conn<'_>,
        id: &ConnectorId,
    ) -> Result<Option<String>, Error> {
        let Some(row) = conn.find_connector(id).await? else { return Ok(None) };
        let ours = CustomConnector::check(&self.vault, &row)?;
        let confirmed = ours.definition.origins().is_subset(&ours.confirmed_origins);
        Ok(confirmed.then(|| ours.definition.token_origin()))
    }

    /// The connector that runs a definition.
    pub fn connector(&self, definition: &Arc<Definition>) -> Arc<dyn Connector> {
        if let Some(known) = self.instances.get(&definition.id)
            && known.definition() == &**definition
        {
            return known;
        }
        let trust = if self.is_builtin(definition.id.as_str()) { Trust::Operator } else { Trust::Custom };
        let made = instantiate(Arc::clone(definition), self.outbound.clone(), trust);
        self.instances.insert(definition.id.clone(), Arc::clone(&made));
        made
    }

    /// What a new consent of this app uses: the app's own credentials, else the instance's.
    pub async fn credentials_for(
        &self,
        app: &AppId,
        definition: &Definition,
    ) -> Result<Option<Opened>, Error> {
        let stored = self.store.conn().find_credentials_for(app, &definition.id).await?;
        stored.map(|stored| self.open(&stored, app, definition)).transpose()
    }

    /// What a connection of this app was made with.
    pub async fn credentials(
        &self,
        app: &AppId,
        id: Uuid,
        definition: &Definition,
    ) -> Result<Option<Opened>, Error> {
        let stored = self.store.conn().find_credentials(id).await?;
        stored.map(|stored| self.open(&stored, app, definition)).transpose()
    }

    fn open(
        &self,
        stored: &StoredCredentials,
        app: &AppId,
        definition: &Definition,
    ) -> Result<Opened, Error> {
        own::check_credentials(&self.vault, stored, app, &definition.id).inspect_err(|error| {
            error!(%app, connector = %definition.id, credentials.id = %stored.id, %error,
                "stored credentials are not used; store them again");
        })?;
        let origin = definition.token_origin();
        let open = |column: &'static str, sealed: Option<&Sealed>| -> Result<Option<Secret>, Error> {
            let place = place(stored, column, &origin);
            Ok(sealed.map(|sealed| self.vault.open(&stored.key, &place, sealed)).transpose()?)
        };
        Ok(Opened {
            id: stored.id,
            version: stored.version,
            owned_by_app: stored.app.is_some(),
            credentials: Credentials {
                client_id: stored.client_id.clone(),
                client_secret: open("sealed_secret", stored.sealed_secret.as_ref())?,
                previous_secret: open("sealed_previous", stored.sealed_previous.as_ref())?,
                scopes: stored.scopes.clone(),
                variables: stored.params.clone(),
            },
            held_until: stored.held_until,
        })
    }
}

impl Opened {
    /// How long the provider wants no call with them, at this time of the database. What is further ahead than this
    /// program ever writes holds nothing.
    pub fn held_for(&self, now: OffsetDateTime) -> Option<Duration> {
        let left = Duration::try_from(self.held_until? - now).ok()?;
        (!left.is_zero() && left <= HOLD_MAX).then_some(left)
    }

    /// The same, with the values a connection has for the URL variables that the credentials don't fix.
    #[must_use]
    pub fn with_variables(mut self, variables: &BTreeMap<String, String>) -> Self {
        for (name, value) in variables {
            self.credentials.variables.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self
    }
}

/// Where a client secret is sealed: it opens only for the token endpoint's origin it was given for.
pub fn place<'a>(stored: &'a StoredCredentials, column: &'static str, origin: &'a str) -> Place<'a> {
    Place {
        app: stored.app.as_ref(),
        connector: Some(&stored.connector),
        origin: Some(origin),
        ..Place::of(TABLE, column, stored.id)
    }
}
