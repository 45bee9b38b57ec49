//! Which connectors may be defined at run time, and what happens when one moves to another host?

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::audit;
use crate::identity::Superadmin;
use crate::identity::tools::Tools;
use crate::model::connector::{ConnectorId, Definition, Rules, Violation};
use crate::model::event::{Action, Event};
use crate::registry::own::CustomConnector;
use crate::registry::{self, Registry};
use crate::store::connectors::StoredConnector;
use crate::store::{self, Conn, Tx};

mod rebind;

/// Why a definition was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connector is called so.
    #[error("no connector is called `{0}`")]
    NotFound(String),
    /// It comes with the product.
    #[error("`{0}` is defined by the catalog")]
    BuiltIn(String),
    /// Another connector is called so, or was.
    #[error("`{0}` is or was the name of another connector")]
    Taken(String),
    /// The path names another connector than the definition.
    #[error("the definition is of `{0}`")]
    OtherId(ConnectorId),
    /// It breaks rules.
    #[error("the definition breaks {} rules", .0.len())]
    Invalid(Vec<Violation>),
    /// `confirm_origin` does not repeat what is new.
    #[error("the definition's new origins are `{0}`")]
    OtherOrigin(String),
    /// Connections use it.
    #[error("connections use `{0}`")]
    InUse(ConnectorId),
    /// Somebody else changed it at the same time.
    #[error("`{0}` has changed meanwhile")]
    Changed(ConnectorId),
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

/// Defines connectors.
pub struct Connectors {
    tools: Tools,
    registry: Arc<Registry>,
    rules: Rules,
}

impl Connectors {
    /// Over the given parts; `rules` say what hosts definitions may name.
    pub fn new(tools: Tools, registry: Arc<Registry>, rules: Rules) -> Self {
        Self { tools, registry, rules }
    }

    /// All definitions, by id.
    pub async fn list(&self, _by: &Superadmin) -> Result<Vec<Arc<Definition>>, Error> {
        let mut all = self.registry.list().await?;
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// One definition, by id or alias.
    pub async fn require(&self, by: &Superadmin, name: &str) -> Result<Arc<Definition>, Error> {
        let found = self.registry.find(name).await;
        if let Err(registry::Error::Unreadable(_)) = &found {
            let event = Event {
                result: "secret_unreadable",
                connector: ConnectorId::parse(name).ok(),
                ..by.principal().event(Action::SecretUnreadable)
            };
            self.tools.audit.record(event).await?;
        }
        found?.ok_or_else(|| Error::NotFound(name.to_owned()))
    }

    /// Keeps a new definition.
    pub async fn create(&self, by: &Superadmin, definition: &Definition) -> Result<(), Error> {
        self.check(definition).await?;
        let new = CustomConnector {
            definition: definition.clone(),
            confirmed_origins: definition.origins(),
            version: 1,
        };
        let tx = self.tools.store.begin().await?;
        tx.conn().insert_connector(&new.sign(&self.tools.vault)?).await.map_err(|error| match error {
            store::Error::AlreadyExists => Error::Taken(definition.id.to_string()),
            other => Error::Store(other),
        })?;
        self.audit(tx.conn(), by, &definition.id, "defined").await?;
        self.commit(tx).await
    }

    /// Replaces a definition. An origin that the one before did not name removes the stored credentials and parks
    /// the connections: tokens or secrets would go there. `confirm_origin` repeats it (several, with spaces), now
    /// or in a later call, and binds the refresh tokens to the token endpoint's.
    pub async fn replace(
        &self,
        by: &Superadmin,
        id: &ConnectorId,
        definition: &Definition,
        confirm_origin: Option<&str>,
    ) -> Result<(), Error> {
        if definition.id != *id {
            return Err(Error::OtherId(definition.id.clone()));
        }
        self.check(definition).await?;
        let tx = self.tools.store.begin().await?;
        let row = require(tx.conn(), id).await?;
        let origins = definition.origins();
        let told = confirm_origin.map(|told| told.split_whitespace().map(str::to_owned).collect());
        // Of a row that is not ours nothing is known: every origin is new, and must be said.
        let seen = CustomConnector::check(&self.tools.vault, &row).ok();
        let mut confirmed = seen.as_ref().map(|seen| seen.confirmed_origins.clone()).unwrap_or_default();
        if let Some(told) = told.or_else(|| seen.is_none().then(BTreeSet::new)) {
            confirmed.extend(told);
            let missing: Vec<_> = origins.difference(&confirmed).cloned().collect();
            if !missing.is_empty() {
                return Err(Error::OtherOrigin(missing.join(" ")));
            }
        }
        confirmed.retain(|origin| origins.contains(origin));
        let new = CustomConnector {
            definition: definition.clone(),
            confirmed_origins: confirmed.clone(),
            version: row.version.saturating_add(1),
        };
        if !tx.conn().update_connector(&new.sign(&self.tools.vault)?, row.version).await? {
            return Err(Error::Changed(id.clone()));
        }
        if seen.is_some_and(|seen| !origins.is_subset(&seen.definition.origins())) {
            tx.conn().remove_credentials(id, None).await?;
        }
        if confirmed == origins {
            self.rebind(tx.conn(), id, &definition.token_origin()).await?;
            tx.conn().unpark_connections(id).await?;
        } else {
            tx.conn().park_connections(id).await?;
        }
        self.audit(tx.conn(), by, id, "redefined").await?;
        self.commit(tx).await
    }

    /// Deletes a definition that no connection uses, with its credentials.
    pub async fn delete(&self, by: &Superadmin, id: &ConnectorId) -> Result<(), Error> {
        if self.registry.is_builtin(id.as_str()) {
            return Err(Error::BuiltIn(id.to_string()));
        }
        let tx = self.tools.store.begin().await?;
        let seen = require(tx.conn(), id).await?;
        if tx.conn().is_connector_used(id).await? {
            return Err(Error::InUse(id.clone()));
        }
        tx.conn().remove_credentials(id, None).await?;
        if !tx.conn().bury_connector(id, seen.version).await? {
            return Err(Error::Changed(id.clone()));
        }
        self.audit(tx.conn(), by, id, "deleted").await?;
        self.commit(tx).await
    }

    /// Whether the definition keeps the rules and takes nobody's name.
    async fn check(&self, definition: &Definition) -> Result<(), Error> {
        let custom = self.tools.store.conn().list_connectors().await?;
        let others: Vec<_> = custom.iter().filter(|other| other.id != definition.id).collect();
        let aliases = definition.aliases.iter().map(String::as_str);
        for name in std::iter::once(definition.id.as_str()).chain(aliases) {
            if self.registry.is_builtin(name) {
                return Err(Error::BuiltIn(name.to_owned()));
            }
            if others.iter().any(|other| other.is_called(name)) {
                return Err(Error::Taken(name.to_owned()));
            }
        }
        definition.validate(self.rules).map_err(Error::Invalid)
    }

    async fn commit(&self, tx: Tx<'_>) -> Result<(), Error> {
        tx.commit().await?;
        self.registry.forget();
        Ok(())
    }

    async fn audit(
        &self,
        conn: Conn<'_>,
        by: &Superadmin,
        id: &ConnectorId,
        what: &str,
    ) -> Result<(), Error> {
        let event = Event {
            connector: Some(id.clone()),
            subject: Some(what.to_owned()),
            ..by.principal().event(Action::ConnectorChange)
        };
        Ok(self.tools.audit.record_in(conn, event).await?)
    }
}

async fn require(conn: Conn<'_>, id: &ConnectorId) -> Result<StoredConnector, Error> {
    conn.find_connector(id).await?.ok_or_else(|| Error::NotFound(id.to_string()))
}
