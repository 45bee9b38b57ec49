//! How does an app come into being, change, and go for good?

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::admin::{Page, Part};
use crate::audit;
use crate::identity::Superadmin;
use crate::identity::tools::Tools;
use crate::keeper::{self, Leftover, SecretsKeeper};
use crate::model::app::{App, AppId, AppState};
use crate::model::connection::Connection;
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event};
use crate::model::name::DisplayName;
use crate::model::public_url::PublicUrl;
use crate::store::{self, Conn};
use crate::vault;

/// How long the providers of a deleted app are called: whoever deletes it waits.
const REVOKING: Duration = Duration::from_secs(20);
/// How often a deletion begins again because something was stored meanwhile.
const ROUNDS: u32 = 20;

/// Why an app was not made, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no app `{0}`")]
    NotFound(AppId),
    /// The id is in use, or was.
    #[error("the id `{0}` is or was in use")]
    Taken(AppId),
    /// The public URL's path begins so.
    #[error("the public URL's path begins with `{0}`")]
    Reserved(AppId),
    /// `confirm` does not repeat the id.
    #[error("the deletion of `{0}` was not confirmed")]
    Unconfirmed(AppId),
    /// A connection could not be deleted.
    #[error("a connection could not be deleted")]
    Keeper(#[from] keeper::Error),
    /// No data key could be made.
    #[error("no data key could be made")]
    Vault(#[from] vault::Error),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What may be changed of an app.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// A new name.
    pub name: Option<DisplayName>,
    /// Whether it is in use.
    pub state: Option<AppState>,
}

/// Makes, lists, changes and deletes apps.
pub struct Apps {
    tools: Tools,
    keeper: Arc<SecretsKeeper>,
    public_url: PublicUrl,
}

impl Apps {
    /// Over the given parts.
    pub fn new(tools: Tools, keeper: Arc<SecretsKeeper>, public_url: PublicUrl) -> Self {
        Self { tools, keeper, public_url }
    }

    /// A part of all apps, by id.
    pub async fn list(&self, _by: &Superadmin, page: &Page) -> Result<Part<App>, Error> {
        let rows = self.tools.store.conn().list_apps(page.after.as_deref(), page.rows()).await?;
        Ok(page.cut(rows, |app| app.id.to_string()))
    }

    /// One app.
    pub async fn require(&self, _by: &Superadmin, id: &AppId) -> Result<App, Error> {
        let app = self.tools.store.conn().app(id).find_app().await?;
        app.ok_or_else(|| Error::NotFound(id.clone()))
    }

    /// Makes an app with a data key of its own.
    pub async fn create(&self, by: &Superadmin, id: &AppId, name: &DisplayName) -> Result<App, Error> {
        if self.public_url.first_segment() == Some(id.as_str()) {
            return Err(Error::Reserved(id.clone()));
        }
        let key = self.tools.vault.new_data_key(uuid(&*self.tools.clock, &*self.tools.entropy))?;
        let tx = self.tools.store.begin().await?;
        let made = tx.conn().app(id).insert_app(name.as_str(), &key).await;
        let app = made.map_err(|error| match error {
            store::Error::AlreadyExists => Error::Taken(id.clone()),
            other => Error::Store(other),
        })?;
        self.audit(tx.conn(), by, id, "created").await?;
        tx.commit().await?;
        Ok(app)
    }

    /// Changes what is given.
    pub async fn change(&self, by: &Superadmin, id: &AppId, change: &Change) -> Result<App, Error> {
        let tx = self.tools.store.begin().await?;
        let name = change.name.as_ref().map(DisplayName::as_str);
        let app = tx.conn().app(id).update_app(name, change.state).await?;
        let app = app.ok_or_else(|| Error::NotFound(id.clone()))?;
        let subject = change.state.map_or("renamed", AppState::as_str);
        self.audit(tx.conn(), by, id, subject).await?;
        tx.commit().await?;
        Ok(app)
    }

    /// Deletes an app for good: stops hand-outs, revokes every connection at its provider, then destroys the
    /// data key. Each step can be repeated, so that a deletion cut short is finished by asking again. Returns what
    /// the providers did not take back: without the key it cannot be tried again.
    pub async fn delete(&self, by: &Superadmin, id: &AppId, confirm: &str) -> Result<Vec<Leftover>, Error> {
        if confirm != id.as_str() {
            return Err(Error::Unconfirmed(id.clone()));
        }
        self.change(by, id, &Change { name: None, state: Some(AppState::Disabled) }).await?;
        let until = Instant::now() + REVOKING;
        for _ in 0..ROUNDS {
            let time = until.saturating_duration_since(Instant::now());
            let seen = self.keeper.delete_all(by, id, time).await?;
            if let Some(left) = self.bury(by, id, &seen, !time.is_zero()).await? {
                for Leftover { connector, flow } in &left {
                    warn!(app.id = %id, %connector, %flow, "a deleted app's token lives on at its provider");
                }
                return Ok(left);
            }
        }
        Err(Error::Store(store::Error::Interrupted))
    }

    /// `None` where something has come since the connections were deleted: an import, or, while there is time to
    /// revoke it, the answer of a refresh. No import comes after this look: it holds the app.
    async fn bury(
        &self,
        by: &Superadmin,
        id: &AppId,
        seen: &[Leftover],
        in_time: bool,
    ) -> Result<Option<Vec<Leftover>>, Error> {
        let tx = self.tools.store.begin().await?;
        let rows = tx.conn().app(id);
        rows.update_app(None, Some(AppState::Disabled)).await?;
        let left = rows.list_connections_to_revoke(i64::MAX).await?;
        if rows.has_connections().await? || (in_time && left.len() > seen.len()) {
            return Ok(None);
        }
        if !rows.bury_app().await? {
            return Err(Error::NotFound(id.clone()));
        }
        self.audit(tx.conn(), by, id, "deleted").await?;
        tx.commit().await?;
        let leftover = |left: Connection| Leftover { connector: left.connector, flow: left.flow };
        Ok(Some(left.into_iter().map(leftover).collect()))
    }

    async fn audit(&self, conn: Conn<'_>, by: &Superadmin, id: &AppId, what: &str) -> Result<(), Error> {
        let event = Event {
            app: Some(id.clone()),
            subject: Some(what.to_owned()),
            ..by.principal().event(Action::AppChange)
        };
        Ok(self.tools.audit.record_in(conn, event).await?)
    }
}
