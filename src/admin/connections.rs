//! How does a token set that was made elsewhere come in?

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::identity::Superadmin;
use crate::keeper::{self, Adoption, AdoptionKind, SecretsKeeper};
use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::{Definition, Grant, Violation, is_token_field};
use crate::model::secret::Secret;
use crate::model::time::Clock;
use crate::registry::{self, Registry};
use crate::store::{self, Store};

/// Why a token set was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such app.
    #[error("there is no app `{0}`")]
    AppNotFound(AppId),
    /// No connector is called so.
    #[error("no connector is called `{0}`")]
    ConnectorNotFound(String),
    /// Values that cannot be.
    #[error("{} values cannot be", .0.len())]
    Invalid(Vec<Violation>),
    /// The keeper did not take it.
    #[error(transparent)]
    Keeper(#[from] keeper::Error),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// When an imported access token dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Not known.
    Unknown,
    /// Seconds from now.
    In(i64),
    /// At this time.
    At(OffsetDateTime),
}

/// A token set from elsewhere.
#[derive(Clone, Debug)]
pub struct Import {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, where there is one.
    pub refresh_token: Option<Secret>,
    /// When the access token dies.
    pub expiry: Expiry,
    /// As granted.
    pub scope: Option<String>,
    /// Which connection.
    pub flow: Flow,
    /// Fields handed out with the token.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// Whether an existing connection may be replaced.
    pub replace: bool,
}

/// Takes token sets in; never calls a provider.
pub struct Imports {
    store: Store,
    keeper: Arc<SecretsKeeper>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
}

impl Imports {
    /// Over the given parts.
    pub fn new(
        store: Store,
        keeper: Arc<SecretsKeeper>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, keeper, registry, clock }
    }

    /// Makes or replaces a connection; returns what it is now.
    pub async fn take(
        &self,
        by: &Superadmin,
        app: &AppId,
        connector: &str,
        import: Import,
    ) -> Result<keeper::Status, Error> {
        let definition = self.require(app, connector).await?;
        let now = self.clock.now();
        let expires_at = import.check(&definition, now)?;
        let flow = import.flow.clone();
        let adoption = self.adoption(by, app, &definition, import, expires_at).await?;
        self.keeper.adopt(adoption).await?;
        Ok(self.keeper.connection(by, app, &definition.id, Some(&flow)).await?)
    }

    async fn require(&self, app: &AppId, connector: &str) -> Result<Arc<Definition>, Error> {
        if self.store.conn().app(app).find_app().await?.is_none() {
            return Err(Error::AppNotFound(app.clone()));
        }
        let found = self.registry.find(connector).await?;
        found.ok_or_else(|| Error::ConnectorNotFound(connector.to_owned()))
    }

    async fn adoption(
        &self,
        by: &Superadmin,
        app: &AppId,
        definition: &Definition,
        import: Import,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<Adoption, Error> {
        let opened = self.registry.credentials_for(app, definition).await?;
        let principal = by.principal();
        Ok(Adoption {
            app: app.clone(),
            connector: definition.id.clone(),
            flow: import.flow,
            grant: Grant {
                access_token: import.access_token,
                refresh_token: import.refresh_token,
                expires_in: None,
                refresh_expires_in: None,
                scope: import.scope,
                extra: import.extra,
            },
            account: None,
            by: principal.actor().clone(),
            owner: principal.actor().clone(),
            owner_label: None,
            credentials: opened.as_ref().map(|opened| (opened.id, opened.version)),
            variables: opened.map(|opened| opened.credentials.variables).unwrap_or_default(),
            sent_at: self.clock.now(),
            origin: principal.origin(),
            signup: None,
            kind: AdoptionKind::Import { replace: import.replace, expires_at },
        })
    }
}

const TEN_YEARS_S: i64 = 10 * 365 * 24 * 3600;

impl Import {
    /// Checks every value; returns when the access token dies.
    fn check(&self, definition: &Definition, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Error> {
        let mut found = Vec::new();
        let mut refuse = |pointer: String, detail: &str| {
            found.push(Violation { pointer, detail: detail.to_owned() });
        };
        let tokens =
            [("/access_token", Some(&self.access_token)), ("/refresh_token", self.refresh_token.as_ref())];
        for (pointer, token) in tokens {
            if token.is_some_and(|token| !is_token(token)) {
                refuse(pointer.to_owned(), "must be 1 to 16384 printable ASCII characters");
            }
        }
        if self.scope.as_ref().is_some_and(|scope| scope.len() > 4096 || scope.chars().any(char::is_control))
        {
            refuse("/scope".to_owned(), "must be at most 4096 characters without control characters");
        }
        for field in self.extra.keys().filter(|field| !definition.extra_fields.contains(field)) {
            let known =
                if is_token_field(field) { "is a token field" } else { "is no extra field of the connector" };
            refuse(format!("/extra/{field}"), known);
        }
        let expires_at = match self.expiry {
            Expiry::Unknown => None,
            Expiry::In(seconds) if (1..=TEN_YEARS_S).contains(&seconds) => {
                Some(now + time::Duration::seconds(seconds))
            }
            Expiry::In(_) => {
                refuse("/expires_in".to_owned(), "must be 1 to 315360000");
                None
            }
            Expiry::At(at) if at - now > time::Duration::seconds(TEN_YEARS_S) => {
                refuse("/expires_at".to_owned(), "is more than ten years ahead");
                None
            }
            Expiry::At(at) if at.year() < 2000 => {
                refuse("/expires_at".to_owned(), "is before the year 2000");
                None
            }
            Expiry::At(at) => Some(at),
        };
        if found.is_empty() { Ok(expires_at) } else { Err(Error::Invalid(found)) }
    }
}

#[expect(clippy::disallowed_methods, reason = "door: the characters of an imported token are checked")]
fn is_token(token: &Secret) -> bool {
    let text = token.expose_secret();
    (1..=16384).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}
