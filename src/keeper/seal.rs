//! Between a provider's answer and a token set: sealing, opening, and what is merged.

use std::sync::Arc;

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use tracing::error;
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::{Connection, Lives};
use crate::model::connector::{ConnectorId, Definition, Grant};
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::secret::{KeyedHash, Sealed, Secret, WrappedKey};
use crate::model::token_set::TokenSetId;
use crate::store::connections::Held;
use crate::store::token_sets::{NewTokenSet, TABLE};
use crate::vault::{Place, Vault};

use super::{Core, Error, Parts};

/// An access token, opened to be handed out.
pub(super) struct OpenedSet {
    pub(super) access: Secret,
    pub(super) extra: Map<String, Value>,
}

/// What a grant becomes a token set with.
pub(super) struct Fresh<'a> {
    pub(super) connection: Uuid,
    pub(super) app: &'a AppId,
    pub(super) connector: &'a ConnectorId,
    pub(super) definition: &'a Arc<Definition>,
    pub(super) key: &'a WrappedKey,
    /// When the request was sent, in database time: expiry counts from here.
    pub(super) sent_at: OffsetDateTime,
    /// Kept where the answer brings none.
    pub(super) keep_refresh: Option<&'a Secret>,
    /// Merged under what the answer brings.
    pub(super) keep_extra: Map<String, Value>,
    /// Stands where the answer names no scope.
    pub(super) keep_scope: Option<&'a str>,
    /// Stands for the answer's own, from an import.
    pub(super) expires_at: Option<OffsetDateTime>,
    /// When the grant ends, where the answer does not tell.
    pub(super) grant_ends_at: Option<OffsetDateTime>,
}

/// Where a set's column is sealed: in its connection, since another one may have other URL variables.
pub(super) fn place<'a>(
    connection: Uuid,
    (app, connector): (&'a AppId, &'a ConnectorId),
    column: &'static str,
    set: TokenSetId,
) -> Place<'a> {
    Place { token_set: Some(set), ..Place::of(TABLE, column, connection).in_app(app, connector) }
}

pub(super) fn place_in<'a>(connection: &'a Connection, column: &'static str, set: TokenSetId) -> Place<'a> {
    place(connection.id, (&connection.app, &connection.connector), column, set)
}

/// Where a refresh token is sealed: it opens only for the origin it may be sent to.
pub(super) fn refresh_place<'a>(connection: &'a Connection, set: TokenSetId, origin: &'a str) -> Place<'a> {
    Place { origin: Some(origin), ..place_in(connection, "sealed_refresh", set) }
}

/// The fingerprint under which a refresh token is found wherever it is held.
pub(super) fn refresh_fingerprint(vault: &Vault, token: &Secret) -> KeyedHash {
    vault.hash_secret(TABLE, "refresh_fingerprint", b"", token)
}

impl Fresh<'_> {
    /// Seals a grant under an id drawn now.
    pub(super) fn seal(&self, parts: &Parts, grant: &Grant) -> Result<NewTokenSet, Error> {
        let vault = &parts.vault;
        let id = TokenSetId(uuid(&*parts.clock, &*parts.entropy));
        let origin = self.definition.token_origin();
        let refresh_token = grant.refresh_token.as_ref().or(self.keep_refresh);
        let refresh = refresh_token.map(|token| {
            let place = Place { origin: Some(&origin), ..self.place("sealed_refresh", id) };
            vault.seal(self.key, &place, token)
        });
        let policy = self.definition.policy();
        let life = grant.expires_in.map(Duration::seconds).or(policy.lifetime);
        let expires_at = self.expires_at.or_else(|| life.map(|life| self.sent_at + life));
        let initial_life = expires_at.map(|at| (at - self.sent_at).max(Duration::ZERO));
        let lives = Lives {
            sent_at: self.sent_at,
            expires_at,
            initial_life,
            refresh_told: grant.refresh_expires_in.map(|s| self.sent_at + Duration::seconds(s)),
            grant_ends_at: self.grant_ends_at,
        };
        let refreshable = refresh_token.is_some() && policy.refreshes;
        Ok(NewTokenSet {
            id,
            connection: self.connection,
            access: vault.seal(self.key, &self.place("sealed_access", id), &grant.access_token)?,
            refresh: refresh.transpose()?,
            extra: self.seal_extra(vault, grant, id)?,
            key_id: self.key.id,
            refresh_fingerprint: refresh_token.map(|token| refresh_fingerprint(vault, token)),
            access_fingerprint: vault.hash_secret(TABLE, "access_fingerprint", b"", &grant.access_token),
            expires_at,
            initial_life,
            scope: grant.scope.clone().or_else(|| self.keep_scope.map(str::to_owned)),
            refresh_due_at: refreshable.then(|| lives.due_at(&policy, chance(parts))).flatten(),
            refresh_expires_at: lives.refresh_expires_at(),
            origin,
        })
    }

    fn place(&self, column: &'static str, set: TokenSetId) -> Place<'_> {
        place(self.connection, (self.app, self.connector), column, set)
    }

    fn seal_extra(&self, vault: &Vault, grant: &Grant, id: TokenSetId) -> Result<Option<Sealed>, Error> {
        let mut extra = self.keep_extra.clone();
        extra.extend(grant.extra.clone());
        if extra.is_empty() {
            return Ok(None);
        }
        let text = Secret::new(Value::Object(extra).to_string());
        Ok(Some(vault.seal(self.key, &self.place("sealed_extra", id), &text)?))
    }
}

/// Spreads what is stored at one time.
pub(super) fn chance(parts: &Parts) -> u16 {
    let mut dice = [0_u8; 2];
    parts.entropy.fill(&mut dice);
    u16::from_be_bytes(dice)
}

/// Whether an answer brought another refresh token than the one that was sent.
#[expect(clippy::disallowed_methods, reason = "door: two refresh tokens are compared in constant time")]
pub(super) fn rotated(sent: &Secret, grant: &Grant) -> bool {
    use subtle::ConstantTimeEq;
    grant
        .refresh_token
        .as_ref()
        .is_some_and(|new| !bool::from(new.expose_secret().as_bytes().ct_eq(sent.expose_secret().as_bytes())))
}

/// Whether an answer grants less than was granted before.
pub(super) fn narrowed(before: Option<&str>, now: Option<&str>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return false };
    let now: Vec<&str> = now.split(' ').collect();
    before.split(' ').filter(|scope| !scope.is_empty()).any(|scope| !now.contains(&scope))
}

impl Core {
    /// Opens the access token and the extra fields of what was read.
    pub(super) async fn open_access(&self, held: &Held) -> Result<OpenedSet, Error> {
        let connection = &held.connection;
        let not_connected = || Error::ConnectionNotFound { flow: Some(connection.flow.clone()) };
        let set = connection.token_set.as_ref().map(|set| set.id).ok_or_else(not_connected)?;
        let opened = self.open_set(held, set);
        if let Err(Error::Unreadable(_)) = &opened {
            self.unreadable(connection, set).await;
        }
        opened
    }

    fn open_set(&self, held: &Held, set: TokenSetId) -> Result<OpenedSet, Error> {
        let vault = &self.parts.vault;
        let connection = &held.connection;
        let missing = || crate::vault::Error::DoesNotOpen { table: TABLE, column: "sealed_access" };
        let key = held.sealed.key.as_ref().ok_or_else(missing)?;
        let place = |column| place_in(connection, column, set);
        let sealed = held.sealed.access.as_ref().ok_or_else(missing)?;
        let access = vault.open(key, &place("sealed_access"), sealed)?;
        let extra = open_extra(vault, connection, set, key, held.sealed.extra.as_ref())?;
        Ok(OpenedSet { access, extra })
    }

    /// Notes in the audit trail that a secret of a connection does not open, or that what says where it goes is
    /// not ours.
    pub(super) async fn unreadable(&self, connection: &Connection, set: TokenSetId) {
        let event = Event { token_set: Some(set), ..unreadable(&connection.connector).about(connection) };
        self.note(event).await;
    }

    /// The same of a connector's definition.
    pub(super) async fn unreadable_definition(&self, connector: &ConnectorId) {
        self.note(unreadable(connector)).await;
    }

    async fn note(&self, event: Event) {
        if let Err(error) = self.parts.audit.record(event).await {
            error!(%error, "what cannot be read could not be noted in the audit trail");
        }
    }
}

fn unreadable(connector: &ConnectorId) -> Event {
    Event {
        result: "secret_unreadable",
        connector: Some(connector.clone()),
        ..Event::new(Actor::System, Action::SecretUnreadable, Origin::default())
    }
}

/// The extra fields of a set.
pub(super) fn open_extra(
    vault: &Vault,
    connection: &Connection,
    set: TokenSetId,
    key: &WrappedKey,
    sealed: Option<&Sealed>,
) -> Result<Map<String, Value>, Error> {
    let place = place_in(connection, "sealed_extra", set);
    sealed.map_or_else(|| Ok(Map::new()), |sealed| parse_extra(&vault.open(key, &place, sealed)?))
}

#[expect(clippy::disallowed_methods, reason = "door: extra fields are parsed to be handed out")]
fn parse_extra(text: &Secret) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(text.expose_secret()).map_err(|_| Error::Unreadable(crate::vault::Error::NotText))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_narrowed_when_one_is_missing() {
        assert!(narrowed(Some("repo read:org"), Some("repo")));
        assert!(!narrowed(Some("repo"), Some("read:org repo")));
        assert!(!narrowed(Some("repo"), None));
    }
}
