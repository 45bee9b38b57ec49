//! Does a step come to the same there and here? Each is done by the statements and by the model, which must agree on
//! what came of it.

use crate::model::protocol::{Attempt, Known, Set, Standing, Stored};
use crate::model::token_set::TokenSetId;
use crate::store::Conn;
use crate::store::leases::Spent;
use crate::store::token_sets::{self, Learnt};

use super::{Change, Trying, Walk, fingerprint};

const LEASE_US: i64 = 30_000_000;

impl Walk<'_> {
    pub(super) async fn claim(&mut self, strict: bool, conn: Conn<'_>) {
        let attempt = Attempt { seen: self.row.current, lease: self.db.id() };
        self.attempts.push(attempt);
        let (_, stored) = self.attempt(0).unwrap();
        let won = conn.app(&self.app).claim(stored, LEASE_US, strict).await.unwrap().is_some();
        assert_eq!(won, self.row.claim(attempt, self.now, LEASE_US, strict));
    }

    pub(super) async fn go_on(&mut self, trying: Trying, back: usize, conn: Conn<'_>) {
        let Some((attempt, stored)) = self.attempt(back) else { return };
        let rows = conn.app(&self.app);
        let (done, told) = match trying {
            Trying::GiveBack => (rows.release(stored).await, self.row.not_consumed(attempt)),
            Trying::NotConsumed => {
                let done = rows.record_failure(stored, Spent::No, "code", None).await;
                (done, self.row.not_consumed(attempt))
            }
            Trying::Unknown => {
                let done = rows.record_failure(stored, Spent::Unknown, "code", None).await;
                (done, self.row.unknown(attempt))
            }
            Trying::Refused => {
                (rows.record_refusal(stored, "revoked", "code").await, self.row.refused(attempt))
            }
            Trying::Misconfigured => {
                let done = rows.record_misconfigured(stored, (self.credentials, 1), "code").await;
                (done, self.row.misconfigured(attempt))
            }
        };
        assert_eq!(done.unwrap(), told, "{trying:?}");
    }

    pub(super) async fn change(&mut self, change: Change, conn: Conn<'_>) {
        let rows = conn.app(&self.app);
        match change {
            Change::Refreshed(back) => {
                let Some(seen) = self.earlier(back) else { return };
                self.last = Some((seen.id, self.new_set()));
                self.store_last(conn).await;
            }
            Change::RefreshedAgain => self.store_last(conn).await,
            Change::Adopt => {
                let new = self.new_set();
                rows.adopt(&self.owner(), &self.stored(new)).await.unwrap();
                self.row.adopt(new);
            }
            Change::Import(back, strict) => self.import(back, strict, conn).await,
            Change::Restore(back, strict) => {
                let Some(from) = self.earlier(back) else { return };
                let copy = Set::new(self.db.id(), from.token);
                let (from_id, owner) = (TokenSetId(from.id), self.owner());
                let done = rows.restore(from_id, strict, &owner, &self.stored(copy)).await.unwrap();
                assert_eq!(done.is_some(), self.row.restore(from.id, copy.id, strict), "{change:?}");
            }
            Change::OtherAccount(back) => {
                let Some(set) = self.earlier(back) else { return };
                let held = fingerprint(set.token);
                let parked = rows.park_other_account(self.connection, held).await.unwrap();
                let parks = self.row.account_changed(set.token);
                assert_eq!(matches!(parked, token_sets::Marked::Current(_)), parks, "{change:?}");
            }
            Change::Delete => {
                rows.revoke_connection(self.connection).await.unwrap();
                self.row.delete();
            }
            Change::RevokedAtProvider(back) => {
                let pending = self.row.sets.iter().rev().filter(|set| set.revoke_pending);
                let Some(id) = pending.map(|set| set.id).nth(back) else { return };
                rows.clear_revoke_pending(TokenSetId(id)).await.unwrap();
                self.row.revoked_at_provider(id);
            }
        }
    }

    /// The keeper's way of deciding, over what the database says.
    async fn import(&mut self, back: usize, strict: bool, conn: Conn<'_>) {
        let Some(held) = self.earlier(back) else { return };
        let new = Set::new(self.db.id(), held.token);
        let holders = conn.find_refresh_holders(fingerprint(held.token)).await.unwrap();
        let holders: Vec<(bool, bool)> = holders.iter().map(|one| (one.current, one.deleted)).collect();
        let known = Known::of(&holders, self.row.standing == Standing::Active, strict);
        if known == Known::No {
            conn.app(&self.app).adopt(&self.owner(), &self.stored(new)).await.unwrap();
        }
        assert_eq!(known, self.row.import(new, strict));
    }

    async fn store_last(&mut self, conn: Conn<'_>) {
        let Some((seen, new)) = self.last else { return };
        let rows = conn.app(&self.app);
        let done = rows.store_refreshed(TokenSetId(seen), &self.stored(new), Learnt::default()).await;
        assert_eq!(told(done.unwrap()), self.row.refreshed(seen, new));
    }
}

fn told(stored: token_sets::Stored) -> Stored {
    match stored {
        token_sets::Stored::Current => Stored::Current,
        token_sets::Stored::Already => Stored::Already,
        token_sets::Stored::Superseded => Stored::Superseded,
    }
}
