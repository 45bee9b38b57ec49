//! What becomes of a set nobody made live? Its own tokens are revoked at the provider, never a whole grant.

use time::Duration;
use tracing::{info, warn};
use uuid::Uuid;

use crate::connectors::{Revocation, Tokens};
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::signup::exchanged::Exchanged;
use crate::signup::resolve::Resolved;
use crate::signup::{Error, Signup};
use crate::store::signups::{Stage, StoredSignup};

/// Rows a sweep takes on at once.
const BATCH: u64 = 100;
/// After a failed revocation.
const RETRY: Duration = Duration::minutes(5);
/// After this long a provider that cannot be reached keeps the tokens; the audit trail says so.
const GIVE_UP: Duration = Duration::hours(24);
/// Ended rows stay for questions.
const KEEP_ENDED: Duration = Duration::hours(24);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Sets revoked at their provider.
    pub revoked: u64,
    /// Sets forgotten that could not be revoked: the provider has no way, or it is no longer the same connector.
    pub forgotten: u64,
    /// Revocations that failed and are tried again.
    pub deferred: u64,
}

enum End {
    Revoked,
    Forgotten(&'static str),
    Deferred,
}

impl Signup {
    /// Revokes the sets that nobody confirmed in time, and deletes rows that ended a day ago. Call it every
    /// minute or so; replicas share the work row by row. Once the process ends it goes no further than the row it is at.
    pub async fn expire_abandoned(&self) -> Result<Expired, Error> {
        let mut done = Expired::default();
        let now = self.store.conn().signup_clock().await?;
        for id in self.store.conn().list_overdue_signups(now, BATCH).await? {
            let Some(row) = self.claim(id, Some(now), None).await? else { continue };
            match self.revoke_and_end(&row, "abandoned").await? {
                End::Revoked => done.revoked += 1,
                End::Forgotten(_) => done.forgotten += 1,
                End::Deferred => done.deferred += 1,
            }
            if self.keeper.is_closing() {
                break;
            }
        }
        let tx = self.store.begin().await?;
        tx.conn().delete_ended_signups(now - KEEP_ENDED).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Gives an exchanged set up now, with its audit record; nothing where there is none.
    pub(super) async fn give_up(&self, id: Uuid, event: Option<Event>) -> Result<(), Error> {
        let wanted = event.is_some();
        match self.claim(id, None, event).await? {
            Some(row) => self.revoke_and_end(&row, "given_up").await.map(|_| ()),
            None if wanted => Err(Error::NothingPending),
            None => Ok(()),
        }
    }

    /// Bars confirmation and other replicas for the time of a try.
    async fn claim(
        &self,
        id: Uuid,
        overdue: Option<time::OffsetDateTime>,
        event: Option<Event>,
    ) -> Result<Option<StoredSignup>, Error> {
        let tx = self.store.begin().await?;
        let retry_at = tx.conn().signup_clock().await? + RETRY;
        let row = tx.conn().give_up_signup(id, retry_at, overdue).await?;
        if let (Some(_), Some(event)) = (&row, event) {
            self.audit.record_in(tx.conn(), event).await?;
        }
        tx.commit().await?;
        Ok(row)
    }

    async fn revoke_and_end(&self, row: &StoredSignup, why: &'static str) -> Result<End, Error> {
        let end = match self.revoke(row).await {
            Ok(end) => end,
            Err(error) if is_lasting(&error) => End::Forgotten("not_revocable"),
            Err(error) => return Err(error),
        };
        let old = self.store.conn().signup_clock().await? - row.created_at > GIVE_UP;
        let result = match end {
            End::Deferred if !old => return Ok(end),
            End::Deferred => "revocation_failed",
            End::Forgotten(result) => result,
            End::Revoked => why,
        };
        let event = Event {
            result,
            app: Some(row.app.clone()),
            connector: Some(row.connector.clone()),
            flow: Some(row.flow.to_string()),
            ..Event::new(Actor::System, Action::ConnectionConnect, Origin::default())
        };
        let tx = self.store.begin().await?;
        if tx.conn().fail_signup(row.id, Stage::Revoking).await? {
            self.audit.record_in(tx.conn(), event).await?;
        }
        tx.commit().await?;
        info!(app.id = %row.app, connector = %row.connector, result, "an exchanged set was given up");
        Ok(end)
    }

    async fn revoke(&self, row: &StoredSignup) -> Result<End, Error> {
        let resolved = self.resolve_kept(row).await?;
        let set = self.open_exchanged(&self.key_of(row).await?, row, &resolved.definition).await?;
        let spare_grant = self.shares_grant(row, &resolved, &set).await?;
        Ok(revoke_set(row, &resolved, &set, spare_grant).await)
    }

    /// Gives back a set that could not even be sealed into its row.
    pub(super) async fn revoke_unkept(&self, row: &StoredSignup, resolved: &Resolved, set: &Exchanged) {
        let spare_grant = self.shares_grant(row, resolved, set).await.unwrap_or(true);
        revoke_set(row, resolved, set, spare_grant).await;
    }

    /// Whether a live connection may hang on the same grant: many providers end all of it with its refresh token.
    async fn shares_grant(
        &self,
        row: &StoredSignup,
        resolved: &Resolved,
        set: &Exchanged,
    ) -> Result<bool, Error> {
        let conn = self.store.conn();
        let Some(account) = &set.account else {
            return Ok(conn.app(&row.app).find_predecessor(&row.connector, &row.flow).await?.is_some());
        };
        let fingerprint = self.fingerprint(row, account);
        Ok(!conn.list_uses_of_account(&row.connector, resolved.opened.id, &fingerprint).await?.is_empty())
    }
}

/// Sends the tokens of one set to be revoked, its refresh token only where no other set can hang on it.
async fn revoke_set(row: &StoredSignup, resolved: &Resolved, set: &Exchanged, spare_grant: bool) -> End {
    if spare_grant && resolved.definition.revokes_all_grants {
        return End::Forgotten("grant_in_use");
    }
    let tokens = Tokens {
        access_token: Some(&set.grant.access_token),
        refresh_token: set.grant.refresh_token.as_ref().filter(|_| !spare_grant),
    };
    match resolved.connector.revoke(&resolved.credentials(&row.variables), &tokens).await {
        Ok(Revocation::Revoked) => End::Revoked,
        Ok(Revocation::Unsupported) => End::Forgotten("not_revocable"),
        Err(error) => {
            warn!(signup.id = %row.id, connector = %row.connector, %error, "a set was not revoked");
            End::Deferred
        }
    }
}

/// Nothing a later try could mend: the tokens may go to no other address than they came from.
fn is_lasting(error: &Error) -> bool {
    matches!(
        error,
        Error::Changed | Error::Unreadable | Error::AppNotFound | Error::NothingPending | Error::Vault(_)
    )
}
