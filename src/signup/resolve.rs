//! Which app, connector and credentials is this about, and are they still what the flow was started with?

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::connectors::Connector;
use crate::identity::Member;
use crate::model::app::{App, AppId, AppState};
use crate::model::connector::{Credentials, Definition};
use crate::model::time::to_micros;
use crate::registry::Opened;
use crate::signup::{Error, Signup};
use crate::store::signups::{StoredSignup, TABLE};

/// A connector ready to be called for an app.
pub(super) struct Resolved {
    pub(super) definition: Arc<Definition>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) opened: Opened,
}

impl Resolved {
    /// The credentials with the values the person gave; those the credentials fix come first.
    pub(super) fn credentials(&self, given: &BTreeMap<String, String>) -> Credentials {
        self.opened.clone().with_variables(given).credentials
    }

    /// URL variables a person must give.
    pub(super) fn open_variables(&self) -> Vec<(String, String)> {
        let fixed = &self.opened.credentials.variables;
        let all = self.definition.url_variables.iter();
        all.filter(|(name, _)| !fixed.contains_key(*name)).map(|(n, p)| (n.clone(), p.clone())).collect()
    }

    /// The app the redirect URI names, where it owns the credentials.
    pub(super) fn owner<'a>(&self, app: &'a AppId) -> Option<&'a AppId> {
        self.opened.owned_by_app.then_some(app)
    }
}

impl Signup {
    /// The app of a member; only superadmins get as far as an app that is not there.
    pub(super) async fn require_app(&self, by: &Member) -> Result<App, Error> {
        let app = self.store.conn().app(by.app()).find_app().await?.ok_or(Error::AppNotFound)?;
        if app.state == AppState::Disabled { Err(Error::AppDisabled) } else { Ok(app) }
    }

    /// A connector by the name in the URL, with the credentials a consent for `app` uses now.
    pub(super) async fn resolve(&self, app: &AppId, name: &str) -> Result<Resolved, Error> {
        let definition = self.registry.find(name).await?.ok_or(Error::ConnectorNotFound)?;
        let opened = self.registry.credentials_for(app, &definition).await?;
        let opened = opened.ok_or(Error::CredentialsMissing)?;
        if definition.needs_app_credentials() && !opened.owned_by_app {
            return Err(Error::CredentialsMissing);
        }
        Ok(self.resolved(definition, opened))
    }

    /// What a row was started with, if it is still so: codes and tokens go nowhere else.
    pub(super) async fn resolve_row(&self, row: &StoredSignup) -> Result<Resolved, Error> {
        let resolved = match self.resolve(&row.app, row.connector.as_str()).await {
            Err(Error::ConnectorNotFound | Error::CredentialsMissing) => return Err(Error::Changed),
            other => other?,
        };
        let same_credentials = (resolved.opened.id, resolved.opened.version) == row.credentials;
        if same_credentials && self.is_same(row, &resolved.definition) {
            Ok(resolved)
        } else {
            Err(Error::Changed)
        }
    }

    /// The same for a set that is here already: its credentials may have got a new secret meanwhile, or have
    /// been replaced for new consents.
    pub(super) async fn resolve_kept(&self, row: &StoredSignup) -> Result<Resolved, Error> {
        let definition = self.definition_of(row).await?;
        let opened = self.registry.credentials(&row.app, row.credentials.0, &definition).await?;
        Ok(self.resolved(definition, opened.ok_or(Error::Changed)?))
    }

    fn resolved(&self, definition: Arc<Definition>, opened: Opened) -> Resolved {
        Resolved { connector: self.registry.connector(&definition), definition, opened }
    }

    /// The definition a row was started with, if it and the row's variables are still what they were.
    pub(super) async fn definition_of(&self, row: &StoredSignup) -> Result<Arc<Definition>, Error> {
        let definition = self.registry.find(row.connector.as_str()).await?.ok_or(Error::Changed)?;
        if self.is_same(row, &definition) { Ok(definition) } else { Err(Error::Changed) }
    }

    fn is_same(&self, row: &StoredSignup, definition: &Definition) -> bool {
        self.definition_hash(row, definition) == row.definition_hash
    }

    /// The keyed hash of all that says whose consent it is, of what, and where its code, its tokens and its person go: a
    /// row that was turned by SQL to another person, tenant or connector is nobody's.
    pub(super) fn definition_hash(&self, row: &StoredSignup, definition: &Definition) -> Vec<u8> {
        let who = (row.session, row.user, &row.user_label, row.link, to_micros(row.created_at));
        let what = (row.app.as_str(), row.connector.as_str(), row.flow.to_string(), row.credentials);
        let way = (&row.redirect_uri, &row.return_to, definition, &row.variables);
        let text = serde_json::to_vec(&(who, what, way)).unwrap_or_default();
        self.vault.hash(TABLE, "definition_hash", row.id.as_bytes(), &text).to_vec()
    }
}
