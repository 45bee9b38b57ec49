//! Other resource servers: registered here with the scopes they know, so that clients can get tokens for them.

use std::collections::BTreeSet;

use crate::admin::{Page, Part};
use crate::identity::Superadmin;
use crate::identity::tools::Tools;
use crate::model::event::{Action, Event};
use crate::model::name::DisplayName;
use crate::model::public_url::PublicUrl;
use crate::model::resource::{Resource, ResourceScope};
use crate::model::uri::ResourceUri;
use crate::store::{self, Tx};

/// The most scopes of one resource server.
const MAX_SCOPES: usize = 200;

/// Why a resource server was not registered, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None has this URI.
    #[error("there is no such resource server")]
    NotFound,
    /// It is registered already.
    #[error("the resource server is registered already")]
    Taken,
    /// The broker itself is none.
    #[error("the broker itself is no other resource server")]
    Own,
    /// More scopes than one may have.
    #[error("a resource server has at most 200 scopes")]
    TooManyScopes,
    /// The row has changed since it was read.
    #[error("the resource server has changed meanwhile")]
    Changed,
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] crate::audit::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Registers, lists, changes and deletes resource servers.
pub struct Resources {
    tools: Tools,
    public_url: PublicUrl,
}

impl Resources {
    /// With its tools.
    pub fn new(tools: Tools, public_url: PublicUrl) -> Self {
        Self { tools, public_url }
    }

    /// A part of all resource servers, by URI. Needs `clients:read`.
    pub async fn list(&self, _by: &Superadmin, page: &Page) -> Result<Part<Resource>, Error> {
        let rows = self.tools.store.conn().list_resources(page.after.as_deref(), page.rows()).await?;
        Ok(page.cut(rows, |resource| resource.uri.as_str().to_owned()))
    }

    /// Registers a resource server. Needs `clients:write`.
    pub async fn create(
        &self,
        by: &Superadmin,
        uri: ResourceUri,
        name: &DisplayName,
        scopes: BTreeSet<ResourceScope>,
    ) -> Result<Resource, Error> {
        if uri.as_str().trim_end_matches('/') == self.public_url.as_str().trim_end_matches('/') {
            return Err(Error::Own);
        }
        check(&scopes)?;
        let created_at = self.tools.clock.now();
        let resource = Resource { uri, name: name.as_str().to_owned(), scopes, version: 1, created_at };
        let tx = self.tools.store.begin().await?;
        tx.conn().insert_resource(&resource).await.map_err(|error| match error {
            store::Error::AlreadyExists => Error::Taken,
            other => Error::Store(other),
        })?;
        self.finish(tx, by, &resource.uri, "registered").await?;
        Ok(resource)
    }

    /// Gives a resource server another name and other scopes; tokens made from now on carry no scope that is gone.
    /// Needs `clients:write`.
    pub async fn replace(
        &self,
        by: &Superadmin,
        uri: &ResourceUri,
        name: &DisplayName,
        scopes: BTreeSet<ResourceScope>,
    ) -> Result<Resource, Error> {
        check(&scopes)?;
        let tx = self.tools.store.begin().await?;
        let before = tx.conn().find_resource(uri.as_str()).await?.ok_or(Error::NotFound)?;
        let (seen, name) = (before.version, name.as_str().to_owned());
        let after = Resource { name, scopes, version: seen.saturating_add(1), ..before };
        if !tx.conn().update_resource(&after, seen).await? {
            return Err(Error::Changed);
        }
        self.finish(tx, by, uri, "changed").await?;
        Ok(after)
    }

    /// Deletes a resource server; clients get no more tokens for it. Needs `clients:write`.
    pub async fn delete(&self, by: &Superadmin, uri: &ResourceUri) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        if !tx.conn().delete_resource(uri.as_str()).await? {
            return Err(Error::NotFound);
        }
        self.finish(tx, by, uri, "deleted").await
    }

    async fn finish(&self, tx: Tx<'_>, by: &Superadmin, uri: &ResourceUri, what: &str) -> Result<(), Error> {
        let subject = Some(format!("{} {what}", uri.as_str()));
        let event = Event { subject, ..by.principal().event(Action::ResourceChange) };
        self.tools.audit.record_in(tx.conn(), event).await?;
        Ok(tx.commit().await?)
    }
}

fn check(scopes: &BTreeSet<ResourceScope>) -> Result<(), Error> {
    if scopes.len() > MAX_SCOPES { Err(Error::TooManyScopes) } else { Ok(()) }
}
