//! Provider answers that the database could not take: in the spool, and from there into the database before anything
//! else is claimed for their connection.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::secret::Secret;
use crate::model::token_set::TokenSetId;
use crate::spool::{self, Content, Entry, Kind};
use crate::store::token_sets::{Learnt, NewTokenSet, Stored};
use crate::{store, vault};

use super::{Core, Error, Parts, SecretsKeeper};

const ANSWER: &str = "answer";
/// What one attempt to store may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A refreshed set with what storing it needs; its tokens are sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) app: AppId,
    pub(super) connector: ConnectorId,
    pub(super) flow: Flow,
    pub(super) seen: TokenSetId,
    pub(super) set: NewTokenSet,
    pub(super) learnt: Learnt,
}

/// Why an answer could not be put aside or read again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Spool(#[from] spool::Error),
    #[error(transparent)]
    Vault(#[from] vault::Error),
    #[error("an answer does not read as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the file ends in the middle of a frame, or holds more than one")]
    Torn,
}

/// Which connections wait for an answer to come out of the spool.
#[derive(Default)]
pub(super) struct Shelf {
    /// Connections by token set.
    held: Mutex<HashMap<Uuid, Uuid>>,
    /// Answers of which was said already that they cannot be stored.
    told: Mutex<HashSet<Uuid>>,
    /// One replay at a time.
    replay: tokio::sync::Mutex<()>,
}

impl Shelf {
    pub(super) fn holds(&self, connection: Uuid) -> bool {
        self.lock().values().any(|held| *held == connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Uuid>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the database is away, for this answer and every other.
fn is_away(error: &Error) -> bool {
    use crate::audit::Error as Audit;
    match error {
        Error::Store(cause) | Error::Audit(Audit::Store(cause)) => {
            matches!(cause, store::Error::Unavailable(_) | store::Error::Interrupted)
        }
        Error::Audit(_) => true,
        _ => false,
    }
}

impl Answer {
    /// Stores the set by compare-and-set, with its audit record; safe to repeat.
    pub(super) async fn store(&self, core: &Core) -> Result<Stored, Error> {
        let attempt = tokio::time::timeout(ATTEMPT, self.store_once(&core.parts)).await;
        let stored = attempt.unwrap_or(Err(Error::Store(store::Error::Interrupted)));
        if stored.as_ref().is_err_and(is_away) {
            core.settling.away();
        }
        stored
    }

    async fn store_once(&self, parts: &Parts) -> Result<Stored, Error> {
        let tx = parts.store.begin().await?;
        let stored = tx.conn().app(&self.app).store_refreshed(self.seen, &self.set, self.learnt).await?;
        let result = match stored {
            Stored::Current | Stored::Already => "ok",
            Stored::Superseded => "superseded",
        };
        if stored != Stored::Already {
            self.follow_connector(parts, tx.conn()).await?;
            parts.audit.record_in(tx.conn(), self.event(result)).await?;
        }
        tx.commit().await?;
        Ok(stored)
    }

    fn event(&self, result: &'static str) -> Event {
        Event {
            result,
            app: Some(self.app.clone()),
            connector: Some(self.connector.clone()),
            flow: Some(self.flow.to_string()),
            token_set: Some(self.set.id),
            ..Event::new(Actor::System, Action::TokenRefresh, Origin::default())
        }
    }
}

impl Core {
    /// Makes an answer safe: sealed, and on the disk when this returns.
    pub(super) async fn put_aside(&self, answer: &Answer) -> Result<(), Trouble> {
        let id = answer.set.id.0;
        let text = Secret::new(serde_json::to_string(answer)?);
        let frame = self.parts.vault.seal_frame(ANSWER, id, &text)?;
        self.parts.spool.work(move |spool| spool.put(Entry { kind: Kind::Answer, id }, &frame)).await?;
        self.shelf.lock().insert(id, answer.set.connection);
        Ok(())
    }

    /// Forgets an answer whose outcome is known.
    pub(super) async fn forget(&self, set: TokenSetId) {
        let entry = Entry { kind: Kind::Answer, id: set.0 };
        if let Err(error) = self.parts.spool.work(move |spool| spool.remove(entry)).await {
            // It is found stored when it is replayed.
            warn!(%error, "an answer that is stored could not be removed from the spool");
        }
        self.shelf.lock().remove(&set.0);
    }

    /// Brings what waits in the spool into the database, then compares whose tokens they are, as after every refresh.
    /// Ends when the database is away; an answer that cannot be stored for another reason waits, and stops no other.
    pub(super) async fn replay(&self) -> Result<usize, Error> {
        let mut stored = Vec::new();
        let outcome = self.store_spooled(&mut stored).await;
        join_all(stored.iter().map(|answer| self.compare_account(answer))).await;
        outcome.map(|()| stored.len())
    }

    /// First it takes note of all: nothing is claimed for any of their connections.
    async fn store_spooled(&self, stored: &mut Vec<Answer>) -> Result<(), Error> {
        let _alone = self.shelf.replay.lock().await;
        let entries = self.take_note().await;
        for entry in entries {
            let Some(answer) = self.read_answer(entry).await else { continue };
            match self.replay_one(&answer).await {
                Ok(()) => stored.push(answer),
                Err(error) if is_away(&error) => return Err(error),
                Err(error) => self.tell_once(entry, &answer, &error),
            }
        }
        Ok(())
    }

    /// The files that wait, each with its connection on the shelf.
    async fn take_note(&self) -> Vec<Entry> {
        let spool = &self.parts.spool;
        let held: HashSet<Uuid> = self.shelf.lock().keys().copied().collect();
        let entries = match spool.work(|spool| spool.entries(Kind::Answer)).await {
            Ok(entries) => entries,
            Err(error) => {
                error!(%error, "the spool cannot be read; answers in it wait");
                return Vec::new();
            }
        };
        let listed: HashSet<Uuid> = entries.iter().map(|entry| entry.id).collect();
        // What is gone was stored by another process on this disk; what came since the listing began is not in it.
        self.shelf.lock().retain(|id, _| listed.contains(id) || !held.contains(id));
        for entry in entries.iter().filter(|entry| !held.contains(&entry.id)) {
            if let Some(answer) = self.read_answer(*entry).await {
                self.shelf.lock().insert(entry.id, answer.set.connection);
            }
        }
        entries
    }

    /// The answer in a file; `None` where it is gone, still written, or cannot be read.
    async fn read_answer(&self, entry: Entry) -> Option<Answer> {
        match self.parts.spool.work(move |spool| spool.read(entry)).await {
            Ok(content) => match self.read(entry, content?) {
                Ok(answer) => Some(answer),
                Err(cause) => {
                    self.set_aside(entry, &cause).await;
                    None
                }
            },
            Err(cause) => {
                error!(file = %entry, %cause, "a file of the spool cannot be read; it waits");
                None
            }
        }
    }

    fn tell_once(&self, entry: Entry, answer: &Answer, error: &Error) {
        let mut told = self.shelf.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(entry.id) {
            error!(file = %entry, app.id = %answer.app, connector = %answer.connector, flow = %answer.flow, %error,
                "an answer in the spool cannot be stored; it waits there, the others go on");
        }
    }

    async fn replay_one(&self, answer: &Answer) -> Result<(), Error> {
        let stored = answer.store(self).await?;
        self.forget(answer.set.id).await;
        info!(app.id = %answer.app, connector = %answer.connector, flow = %answer.flow, ?stored,
            "a refreshed token came from the spool into the database");
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "door: a spooled answer is parsed; its tokens stay sealed")]
    fn read(&self, entry: Entry, content: Content) -> Result<Answer, Trouble> {
        let [frame] = &content.frames[..] else { return Err(Trouble::Torn) };
        if content.torn {
            return Err(Trouble::Torn);
        }
        let text = self.parts.vault.open_frame(ANSWER, entry.id, frame)?;
        Ok(serde_json::from_str(text.expose_secret())?)
    }

    /// A damaged file stops nothing else; the connection it was of goes on as after a lost answer.
    async fn set_aside(&self, entry: Entry, cause: &Trouble) {
        match self.parts.spool.work(move |spool| spool.set_aside(entry)).await {
            Ok(aside) => error!(file = %aside.display(), %cause,
                "a file of the spool is damaged: the answer in it is lost; it was set aside"),
            Err(error) => {
                error!(file = %entry, %cause, %error, "a damaged file of the spool could not be set aside")
            }
        }
        self.shelf.lock().remove(&entry.id);
        let event = Event {
            result: "secret_unreadable",
            subject: Some(format!("spool:{entry}")),
            ..Event::new(Actor::System, Action::SecretUnreadable, Origin::default())
        };
        if let Err(error) = self.parts.audit.record(event).await {
            error!(%error, "a damaged file of the spool could not be noted in the audit trail");
        }
    }
}

impl SecretsKeeper {
    /// Brings provider answers that wait in the spool into the database; how many it took.
    pub async fn replay_spool(&self) -> Result<usize, Error> {
        self.core.replay().await
    }

    /// Answers that wait in the spool.
    pub fn spooled(&self) -> usize {
        self.core.shelf.lock().len()
    }
}
