//! How many grants may live at once? Each has tokens that are good for up to 90 days; beyond the bound the oldest ends.

use crate::model::event::{Action, Event, Origin};
use crate::model::grant::{Grant, GrantId};
use crate::model::principal::Actor;
use crate::store::Conn;

use super::{Error, Issuer};

/// Of one person and client: a sign-in each, in whatever browser or script.
const OF_PERSON: u64 = 100;
/// Of a client for itself: a token request each; many tasks may ask at once, and each works by its own for an hour.
const OF_CLIENT: u64 = 1_000;

impl Issuer {
    /// Stores a grant inside the caller's transaction and ends the oldest of too many; which, for
    /// [`Issuer::forget_grants`] once it is committed.
    pub(super) async fn insert_grant(
        &self,
        conn: Conn<'_>,
        grant: &Grant,
        origin: Origin,
    ) -> Result<Vec<GrantId>, Error> {
        let most = if grant.user.is_some() { OF_PERSON } else { OF_CLIENT };
        let ended = conn.oldest_grants(grant.user, &grant.client_id, most - 1).await?;
        for id in &ended {
            // Another transaction may have ended it meanwhile.
            if conn.end_grant(*id).await? {
                let event = Event::new(Actor::Client(grant.client_id.clone()), Action::GrantEnd, origin);
                let event = Event { subject: Some(format!("grant:{}", id.0)), result: "superseded", ..event };
                self.audit.record_in(conn, event).await?;
            }
        }
        conn.insert_grant(grant, self.vault.sign(grant)).await?;
        Ok(ended)
    }

    /// Lets this process see at once that they have ended; others do within seconds.
    pub(super) fn forget_grants(&self, ended: Vec<GrantId>) {
        for id in ended {
            self.recent.forget_grant(id);
        }
    }
}
