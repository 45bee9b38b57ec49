//! What can be connected here, and what would a click do? Reads only.

use std::sync::Arc;

use crate::identity::{Member, Principal};
use crate::keeper::Status;
use crate::model::app::{App, AppId, AppState};
use crate::model::connection::{Flow, State};
use crate::model::connector::Definition;
use crate::signup::{Error, Signup};

/// Apps an install page lists at most.
const MOST_APPS: u64 = 1_000;

/// A connector of an app with what is connected.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which.
    pub definition: Arc<Definition>,
    /// The app's connections of it that are not deleted.
    pub connections: Vec<Status>,
}

/// What a signup page shows before the click.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Which app asks.
    pub app: App,
    /// With which connector.
    pub definition: Arc<Definition>,
    /// For which scopes.
    pub scopes: Vec<String>,
    /// URL variables to be given, each with its pattern.
    pub variables: Vec<(String, String)>,
    /// For which connection.
    pub flow: Flow,
}

/// What an install page shows.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Whose flow starts at the provider.
    pub definition: Arc<Definition>,
    /// Apps the person may connect an account for.
    pub apps: Vec<App>,
}

impl Signup {
    /// The app's connectors, those with credentials of its own or of the instance.
    pub async fn offers(&self, by: &Member) -> Result<(App, Vec<Offer>), Error> {
        let app = self.require_app(by).await?;
        let usable = self.store.conn().list_connectors_with_credentials(&app.id).await?;
        let connections = self.keeper.connections_of(by).await?;
        let mut offers = Vec::new();
        for definition in self.registry.list().await? {
            let theirs =
                |status: &&Status| status.connector == definition.id && status.state != State::Revoked;
            let connections: Vec<Status> = connections.iter().filter(theirs).cloned().collect();
            if usable.contains(&definition.id) || !connections.is_empty() {
                offers.push(Offer { definition, connections });
            }
        }
        Ok((app, offers))
    }

    /// What a click on "connect" would ask for; starts nothing.
    pub async fn propose(
        &self,
        by: &Member,
        name: &str,
        flow: Flow,
        return_to: Option<&str>,
    ) -> Result<Proposal, Error> {
        let app = self.require_app(by).await?;
        return_to.map(|text| self.settings.read_return_to(text)).transpose()?;
        self.proposal(app, name, flow).await
    }

    pub(super) async fn proposal(&self, app: App, name: &str, flow: Flow) -> Result<Proposal, Error> {
        let resolved = self.resolve(&app.id, name).await?;
        let asked = resolved.opened.credentials.scopes.clone();
        Ok(Proposal {
            app,
            scopes: asked.unwrap_or_else(|| resolved.definition.scopes.clone()),
            variables: resolved.open_variables(),
            definition: resolved.definition,
            flow,
        })
    }

    /// A connector whose flows may start at the provider, and the apps this person may choose from.
    pub async fn installation(&self, by: &Principal, name: &str) -> Result<Installation, Error> {
        let definition = self.registry.find(name).await?.ok_or(Error::ConnectorNotFound)?;
        if !definition.starts_at_provider {
            return Err(Error::ConnectorNotFound);
        }
        let mut apps = Vec::new();
        let mut after: Option<AppId> = None;
        loop {
            let page = self.store.conn().list_apps(after.as_ref().map(AppId::as_str), MOST_APPS).await?;
            after = page.last().map(|app| app.id.clone());
            let usable = |app: &App| app.state == AppState::Active && by.member(&app.id).is_ok();
            apps.extend(page.into_iter().filter(usable));
            if after.is_none() {
                return Ok(Installation { definition, apps });
            }
        }
    }
}
