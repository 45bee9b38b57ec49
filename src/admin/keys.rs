//! Which key signs our tokens from when to when? Rotation by command and by schedule, and taking a key out.
//!
//! A key is made, waits until every verifier can have read it, signs, and is published until the last token it signed
//! has expired. Every step can be taken by any replica, again and at any time; the store lets one of them do it.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::audit;
use crate::identity::Superadmin;
use crate::identity::bearer::Bearers;
use crate::identity::tools::Tools;
use crate::issuer::{Algorithm, Issuer, keys};
use crate::model::entropy::uuid;
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::store::signing_keys::{NewSigningKey, SigningKey, SigningKeyState};
use crate::store::{self, Conn};

pub use crate::store::signing_keys::{SigningKey as StoredKey, SigningKeyState as State};

/// How long a new key waits. A verifier keeps the published keys for 300 s, a replica its own for 5 s; twice that.
pub const WAIT: Duration = Duration::seconds(600);
/// When the private part of a retired key goes: every replica has read by then that another one signs.
pub const SIGNING_ON: Duration = Duration::seconds(60);
/// How long a retired key is published: the longest life of a token, the most that a guard forgives, and what replicas
/// may have signed on, with clocks that differ and answers that were slow.
pub const KEPT: Duration = Duration::seconds(86_400 + 60 + 540);

/// How often a rotation looks again whether one is under way.
const ROUNDS: u32 = 3;

/// What the operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of new keys.
    pub algorithm: Algorithm,
    /// When another key takes over by itself.
    pub rotate_after: Option<Duration>,
}

/// Why a key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no signing key `{}`", .0.simple())]
    NotFound(Uuid),
    /// Keys change faster than they can be looked at.
    #[error("the signing keys were changed at the same time")]
    Changed,
    /// A key could not be made.
    #[error("no signing key could be made")]
    Keys(#[from] keys::Error),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What came of a rotation that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// The key that waits.
    pub pending: SigningKey,
    /// Whether it was made just now.
    pub begun: bool,
}

/// What one look at the keys has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// A key began to sign.
    pub promoted: usize,
    /// A key was made by schedule.
    pub made: usize,
    /// Private parts were destroyed.
    pub destroyed: usize,
    /// Keys are published no more.
    pub removed: usize,
}

/// Rotates signing keys.
pub struct SigningKeys {
    tools: Tools,
    settings: Settings,
    issuer: Arc<Issuer>,
    bearers: Arc<Bearers>,
}

impl SigningKeys {
    /// Over the given parts; `issuer` and `bearers` are those of this process.
    pub fn new(tools: Tools, settings: Settings, issuer: Arc<Issuer>, bearers: Arc<Bearers>) -> Self {
        Self { tools, settings, issuer, bearers }
    }

    /// All keys, newest first.
    pub async fn list(&self, _by: &Superadmin) -> Result<Vec<SigningKey>, Error> {
        Ok(self.tools.store.conn().list_signing_keys().await?)
    }

    /// The key that waits, where one does.
    pub async fn find_pending(&self, _by: &Superadmin) -> Result<Option<SigningKey>, Error> {
        self.pending().await
    }

    /// Makes a key of the configured algorithm that signs after [`WAIT`]; one that waits already is answered instead.
    pub async fn rotate(&self, by: &Superadmin) -> Result<Rotation, Error> {
        for _ in 0..ROUNDS {
            if let Some(pending) = self.pending().await? {
                return Ok(Rotation { pending, begun: false });
            }
            let made = self.insert_pending(None, by.principal().event(Action::KeyChange)).await?;
            if let Some(kid) = made
                && let Some(pending) = self.pending().await?.filter(|pending| pending.kid == kid)
            {
                return Ok(Rotation { pending, begun: true });
            }
        }
        Err(Error::Changed)
    }

    /// Takes a key out at once: what it signed is refused. In the place of the one that signs comes a new one, that no
    /// verifier has read yet. For a key that somebody else may have.
    pub async fn retire(&self, by: &Superadmin, kid: Uuid) -> Result<(), Error> {
        let keys = self.tools.store.conn().list_signing_keys().await?;
        let key = keys.iter().find(|key| key.kid == kid).ok_or(Error::NotFound(kid))?;
        // One that waits may sign by the time it is taken out.
        let retired = matches!(key.state, SigningKeyState::Retired { .. });
        let successor = if retired { None } else { Some(self.make().await?) };
        let tx = self.tools.store.begin().await?;
        let removed = tx.conn().delete_signing_key(kid).await?.ok_or(Error::NotFound(kid))?;
        let event = || by.principal().event(Action::KeyChange);
        self.audit(tx.conn(), event(), kid, "taken out").await?;
        if removed.was_active {
            let successor = successor.ok_or(Error::Changed)?;
            tx.conn().insert_active_signing_key(&successor).await?;
            self.audit(tx.conn(), event(), successor.kid, "signs").await?;
        }
        tx.commit().await?;
        warn!(kid = %kid.simple(), signed = removed.was_active, "a signing key was taken out; tokens that it signed are refused");
        self.reread().await;
        Ok(())
    }

    /// Takes the steps whose time has come.
    pub async fn step(&self) -> Result<Steps, Error> {
        let conn = self.tools.store.conn();
        let (keys, now) = (conn.list_signing_keys().await?, conn.clock_of_keys().await?);
        let mut steps = Steps::default();
        for key in &keys {
            match key.state {
                SigningKeyState::Pending { activates_at } if activates_at <= now => {
                    steps.promoted += usize::from(self.promote(key).await?);
                }
                SigningKeyState::Active { activated_at } if self.is_aged(activated_at, now) => {
                    let waits = keys.iter().any(SigningKey::is_pending);
                    steps.made += usize::from(!waits && self.rotate_aged(key.kid).await?);
                }
                SigningKeyState::Retired { retired_at, .. } if now - retired_at >= KEPT => {
                    steps.removed += usize::from(self.remove(key.kid).await?);
                }
                SigningKeyState::Retired { retired_at, .. }
                    if now - retired_at >= SIGNING_ON && !key.sealed_private.bytes.is_empty() =>
                {
                    steps.destroyed += usize::from(self.destroy(key.kid).await?);
                }
                _ => {}
            }
        }
        if steps != Steps::default() {
            self.reread().await;
        }
        Ok(steps)
    }

    /// Says so where the key that signs is of another algorithm than the configured one.
    pub async fn tell_algorithm(&self) -> Result<(), Error> {
        let keys = self.tools.store.conn().list_signing_keys().await?;
        let (active, configured) =
            (keys.iter().find(|key| key.is_active()), self.settings.algorithm.as_str());
        let waits = keys.iter().any(|key| key.is_pending() && key.algorithm == configured);
        if let Some(active) = active.filter(|active| !waits && active.algorithm != configured) {
            warn!(
                kid = %active.kid.simple(),
                algorithm = active.algorithm,
                configured,
                "tokens are signed by a key of another algorithm than `issuer.algorithm`; run `jeton keys rotate`"
            );
        }
        Ok(())
    }

    async fn pending(&self) -> Result<Option<SigningKey>, Error> {
        let keys = self.tools.store.conn().list_signing_keys().await?;
        Ok(keys.into_iter().find(SigningKey::is_pending))
    }

    fn is_aged(&self, activated_at: OffsetDateTime, now: OffsetDateTime) -> bool {
        self.settings.rotate_after.is_some_and(|age| now - activated_at >= age)
    }

    async fn make(&self) -> Result<NewSigningKey, Error> {
        let kid = uuid(&*self.tools.clock, &*self.tools.entropy);
        Ok(keys::make(&self.tools.vault, kid, self.settings.algorithm).await?)
    }

    /// The new key, unless one waits, or `after` no longer holds.
    async fn insert_pending(
        &self,
        after: Option<(Uuid, Duration)>,
        event: Event,
    ) -> Result<Option<Uuid>, Error> {
        let key = self.make().await?;
        let tx = self.tools.store.begin().await?;
        if !tx.conn().insert_pending_signing_key(&key, WAIT, after).await? {
            return Ok(None);
        }
        self.audit(tx.conn(), event, key.kid, "waits").await?;
        tx.commit().await?;
        info!(kid = %key.kid.simple(), algorithm = key.algorithm, "a new signing key waits to take over");
        self.reread().await;
        Ok(Some(key.kid))
    }

    async fn rotate_aged(&self, active: Uuid) -> Result<bool, Error> {
        let Some(age) = self.settings.rotate_after else { return Ok(false) };
        Ok(self.insert_pending(Some((active, age)), by_itself()).await?.is_some())
    }

    /// A key that could not sign, or that nobody would believe, never takes over.
    async fn promote(&self, pending: &SigningKey) -> Result<bool, Error> {
        let kid = pending.kid;
        if let Err(cause) = keys::check(pending, &self.tools.vault) {
            error!(kid = %kid.simple(), %cause, "the signing key that waits cannot be used; run `jeton keys retire` with its kid, then `jeton keys rotate`");
            return Ok(false);
        }
        let tx = self.tools.store.begin().await?;
        if !tx.conn().promote_signing_key(kid).await? {
            return Ok(false);
        }
        self.audit(tx.conn(), by_itself(), kid, "signs").await?;
        tx.commit().await?;
        info!(kid = %kid.simple(), algorithm = pending.algorithm, "another signing key signs from now on");
        Ok(true)
    }

    async fn destroy(&self, kid: Uuid) -> Result<bool, Error> {
        let tx = self.tools.store.begin().await?;
        let destroyed = tx.conn().destroy_signing_key(kid, SIGNING_ON).await?;
        tx.commit().await?;
        Ok(destroyed)
    }

    async fn remove(&self, kid: Uuid) -> Result<bool, Error> {
        let tx = self.tools.store.begin().await?;
        if !tx.conn().delete_retired_signing_key(kid, KEPT).await? {
            return Ok(false);
        }
        self.audit(tx.conn(), by_itself(), kid, "removed").await?;
        tx.commit().await?;
        Ok(true)
    }

    /// This process goes by what was changed at once, the other replicas within 5 s.
    async fn reread(&self) {
        self.issuer.reread_keys().await;
        self.bearers.reread_keys().await;
    }

    async fn audit(&self, conn: Conn<'_>, event: Event, kid: Uuid, what: &str) -> Result<(), Error> {
        let subject = Some(format!("{} {what}", kid.simple()));
        Ok(self.tools.audit.record_in(conn, Event { subject, ..event }).await?)
    }
}

fn by_itself() -> Event {
    Event::new(Actor::System, Action::KeyChange, Origin::default())
}

#[cfg(test)]
mod tests;
