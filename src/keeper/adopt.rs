//! A grant becomes a connection: by a person's consent or by an import.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use tracing::info;
use uuid::Uuid;

use crate::model::app::{AppId, AppState};
use crate::model::connection::{Connection, Flow, State};
use crate::model::connector::{Account, ConnectorId, Definition, Grant};
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::protocol::Known;
use crate::model::secret::KeyedHash;
use crate::model::token_set::Generation;
use crate::registry::own;
use crate::store::Tx;
use crate::store::token_sets::{Elsewhere, NewConnection};
use crate::vault::Vault;

use super::impact::{Consent, Judged};
use super::{Error, SecretsKeeper, seal};

/// A grant with everything that makes it a connection.
#[derive(Debug)]
pub struct Adoption {
    /// Tenant.
    pub app: AppId,
    /// Kind of API.
    pub connector: ConnectorId,
    /// Which of several.
    pub flow: Flow,
    /// What the provider gave.
    pub grant: Grant,
    /// Whose account it is, where known.
    pub account: Option<Account>,
    /// Who makes it live: the owner, or who confirmed it in their place.
    pub by: Actor,
    /// Who connected it.
    pub owner: Actor,
    /// What people call that one.
    pub owner_label: Option<String>,
    /// Credentials row and version it was made with.
    pub credentials: Option<(Uuid, i64)>,
    /// URL variables.
    pub variables: BTreeMap<String, String>,
    /// When the token request was sent.
    pub sent_at: OffsetDateTime,
    /// Where the request came from.
    pub origin: Origin,
    /// The consent this ends, in the same transaction.
    pub signup: Option<Uuid>,
    /// Which of the two.
    pub kind: AdoptionKind,
}

/// How a grant came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdoptionKind {
    /// A person consented, to what was so then.
    Consent(Judged),
    /// An admin brought tokens along; the provider is not called.
    Import {
        /// Whether a live connection may be replaced.
        replace: bool,
        /// When the access token dies, where the admin knows.
        expires_at: Option<OffsetDateTime>,
    },
}

/// The keyed hash of an account, the same in every app of the instance.
pub fn account_fingerprint(vault: &Vault, connector: &ConnectorId, account_id: &str) -> KeyedHash {
    vault.hash("connection", "account_fingerprint", connector.as_str().as_bytes(), account_id.as_bytes())
}

/// What an import found.
enum Existing {
    /// Nothing, or what may be replaced.
    Replace(Option<Box<Connection>>),
    /// The very token that is current: metadata only, nothing is touched.
    Same(Generation),
}

impl SecretsKeeper {
    /// Makes a grant the current token set of its connection, and audits it. Lease, counters, back-off and a
    /// parked state end; a refresh under way cannot overwrite it.
    pub async fn adopt(&self, adoption: Adoption) -> Result<Generation, Error> {
        match self.try_adopt(&adoption).await {
            // Two first consents at once: the second finds the first's row.
            Err(Error::Store(crate::store::Error::AlreadyExists)) => self.try_adopt(&adoption).await,
            done => done,
        }
    }

    async fn try_adopt(&self, adoption: &Adoption) -> Result<Generation, Error> {
        let definition = self.core.definition(&adoption.connector).await?;
        let tx = self.core.parts.store.begin().await?;
        let rows = tx.conn().app(&adoption.app);
        rows.hold_app().await?;
        if let Some(signup) = adoption.signup
            && !tx.conn().finish_signup(signup).await?
        {
            return Err(Error::SignupGone);
        }
        let existing = match self.existing(&tx, adoption, &definition).await? {
            Existing::Same(generation) => return Ok(generation),
            Existing::Replace(existing) => existing,
        };
        let key = rows.find_app_key().await?.ok_or(Error::AppNotFound)?;
        let fallback = uuid(&*self.core.parts.clock, &*self.core.parts.entropy);
        let id = existing.as_ref().map_or(fallback, |connection| connection.id);
        let import = match adoption.kind {
            AdoptionKind::Consent(_) => None,
            AdoptionKind::Import { expires_at, .. } => Some(expires_at),
        };
        let fresh = seal::Fresh {
            connection: id,
            app: &adoption.app,
            connector: &adoption.connector,
            definition: &definition,
            key: &key,
            sent_at: adoption.sent_at,
            keep_refresh: None,
            keep_extra: serde_json::Map::new(),
            keep_scope: None,
            expires_at: import.flatten(),
            // When an imported grant began is not known.
            grant_ends_at: definition
                .policy()
                .absolute
                .filter(|_| import.is_none())
                .map(|life| adoption.sent_at + life),
        };
        let mut set = fresh.seal(&self.core.parts, &adoption.grant)?;
        if import == Some(None) {
            // Not known, and not made up: where the lifetime is known it is due at once.
            let learnt = existing.as_ref().and_then(|connection| connection.lifetime);
            let known = definition.policy().refreshes && definition.policy().lifetime.or(learnt).is_some();
            set.expires_at = None;
            set.initial_life = None;
            if known && set.refresh.is_some() {
                set.refresh_due_at = Some(adoption.sent_at);
            }
        }
        let connection = self.connection_of(adoption, id, existing.as_deref())?;
        let generation = rows.adopt(&connection, &set).await?;
        let event = Event { token_set: Some(set.id), ..adopted_event(adoption) };
        self.core.parts.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        info!(app.id = %adoption.app, connector = %adoption.connector, flow = %adoption.flow, %generation,
            "an account was connected");
        Ok(generation)
    }

    fn connection_of(
        &self,
        adoption: &Adoption,
        id: Uuid,
        existing: Option<&Connection>,
    ) -> Result<NewConnection, Error> {
        let vault = &self.core.parts.vault;
        let import = matches!(adoption.kind, AdoptionKind::Import { .. });
        // An import brings tokens only: the variables given at signup stay.
        let mut variables = BTreeMap::new();
        if let Some(existing) = existing.filter(|_| import) {
            own::check_variables(vault, existing)?;
            variables.clone_from(&existing.variables);
        }
        variables.extend(adoption.variables.clone());
        let lifetime = adoption.grant.expires_in.filter(|_| !import).map(time::Duration::seconds);
        Ok(NewConnection {
            id,
            connector: adoption.connector.clone(),
            flow: adoption.flow.clone(),
            owner: adoption.owner.to_string(),
            owner_label: adoption.owner_label.clone(),
            account_fingerprint: self.fingerprint(adoption),
            account_label: adoption.account.as_ref().map(|account| account.label.clone()),
            own_mac: own::sign_variables(vault, id, &adoption.app, &adoption.connector, &variables),
            variables,
            credentials: adoption.credentials,
            lifetime,
        })
    }

    fn fingerprint(&self, adoption: &Adoption) -> Option<KeyedHash> {
        let account = adoption.account.as_ref();
        account.map(|account| account_fingerprint(&self.core.parts.vault, &adoption.connector, &account.id))
    }

    /// The connection that is replaced or revived, locked; refuses what was not judged or an import may not do.
    async fn existing(
        &self,
        tx: &Tx<'_>,
        adoption: &Adoption,
        definition: &Definition,
    ) -> Result<Existing, Error> {
        let rows = tx.conn().app(&adoption.app);
        let import = matches!(adoption.kind, AdoptionKind::Import { .. });
        let find = async || -> Result<Option<Box<Connection>>, Error> {
            let found = rows.look_up(&adoption.connector, Some(&adoption.flow)).await?;
            match found.app_state {
                None => return Err(Error::AppNotFound),
                Some(AppState::Disabled) if !import => return Err(Error::AppDisabled),
                Some(_) => {}
            }
            Ok(found.rows.into_iter().next().map(|held| Box::new(held.connection)))
        };
        let mut existing = find().await?;
        if let Some(connection) = &existing {
            rows.lock_connection(connection.id).await?;
            existing = find().await?;
        }
        let replace = match adoption.kind {
            AdoptionKind::Import { replace, .. } => replace,
            AdoptionKind::Consent(judged) => {
                self.check_judged(tx, adoption, definition, judged).await?;
                return Ok(Existing::Replace(existing));
            }
        };
        let current = existing.as_deref();
        if let Some(same) = self.check_fingerprint(tx, adoption, definition, current).await? {
            return Ok(Existing::Same(same));
        }
        if current.is_some_and(|connection| connection.state != State::Revoked) && !replace {
            return Err(Error::AlreadyExists);
        }
        Ok(Existing::Replace(existing))
    }

    /// Nobody was shown what came after the judgement; whoever wants it must look again.
    async fn check_judged(
        &self,
        tx: &Tx<'_>,
        adoption: &Adoption,
        definition: &Definition,
        judged: Judged,
    ) -> Result<(), Error> {
        let account = self.fingerprint(adoption);
        if let (Some(account), Some(_)) = (account, definition.max_tokens_per_account) {
            tx.conn().lock_fingerprint(account).await?;
        }
        let consent = Consent {
            app: &adoption.app,
            connector: &adoption.connector,
            flow: &adoption.flow,
            credentials: adoption.credentials.map(|(id, _)| id),
            account: account.as_ref().map(|account| account.0.as_slice()),
            max_tokens: definition.max_tokens_per_account,
        };
        let now = consent.impact(tx.conn()).await?.judged();
        if judged.covers(&now) { Ok(()) } else { Err(Error::ConnectionChanged) }
    }

    async fn check_fingerprint(
        &self,
        tx: &Tx<'_>,
        adoption: &Adoption,
        definition: &Definition,
        existing: Option<&Connection>,
    ) -> Result<Option<Generation>, Error> {
        let Some(token) = &adoption.grant.refresh_token else { return Ok(None) };
        let fingerprint = seal::refresh_fingerprint(&self.core.parts.vault, token);
        tx.conn().lock_fingerprint(fingerprint).await?;
        let holders = tx.conn().find_refresh_holders(fingerprint).await?;
        let policy = definition.policy();
        let strict = existing.map_or(policy.rotates != Some(false), |existing| existing.is_strict(&policy));
        if let Some(elsewhere) = Elsewhere::of(&holders, existing.map(|existing| existing.id), strict) {
            return Err(elsewhere.into());
        }
        let Some(connection) = existing else { return Ok(None) };
        let ours: Vec<(bool, bool)> = holders
            .iter()
            .filter(|holder| holder.connection == connection.id)
            .map(|holder| (holder.current, holder.deleted))
            .collect();
        match Known::of(&ours, connection.state == State::Active, strict) {
            Known::No => Ok(None),
            Known::Current => Ok(Some(connection.generation)),
            Known::Spent => Err(Error::AlreadySpent),
        }
    }
}

fn adopted_event(adoption: &Adoption) -> Event {
    let action = match adoption.kind {
        AdoptionKind::Consent(_) => Action::ConnectionConnect,
        AdoptionKind::Import { .. } => Action::ConnectionImport,
    };
    Event {
        app: Some(adoption.app.clone()),
        connector: Some(adoption.connector.clone()),
        flow: Some(adoption.flow.to_string()),
        subject: (adoption.by != adoption.owner).then(|| adoption.owner.to_string()),
        ..Event::new(adoption.by.clone(), action, adoption.origin)
    }
}
