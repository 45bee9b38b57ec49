//! The rules under exploration: those of the product, or the same with one of them broken.

use jeton::model::protocol::{Attempt, Known, Row, Set, Standing, Stored};

/// Names of sets, tokens and leases: small numbers, so that states are small.
pub(crate) type Id = u8;
pub(crate) type State = Row<Id>;

pub(crate) const LEASE_US: i64 = 30_000_000;

/// The transitions that a mutation can replace.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) claim: fn(&mut State, Attempt<Id>, i64) -> bool,
    pub(crate) refused: fn(&mut State, Attempt<Id>) -> bool,
    pub(crate) not_consumed: fn(&mut State, Attempt<Id>) -> bool,
    pub(crate) refreshed: fn(&mut State, Attempt<Id>, Set<Id>) -> Stored,
    pub(crate) restore: fn(&mut State, Id, Id) -> bool,
    pub(crate) import: fn(&mut State, Set<Id>) -> Known,
}

impl Rules {
    /// As the product has them, for a provider that rotates.
    pub(crate) fn product() -> Self {
        Self {
            claim: |row, attempt, now| row.claim(attempt, now, LEASE_US, true),
            refused: State::refused,
            not_consumed: State::not_consumed,
            refreshed: |row, attempt, new| row.refreshed(attempt.seen, new),
            restore: |row, id, copy| row.restore(id, copy, true),
            import: |row, new| row.import(new, true),
        }
    }

    /// A refusal parks whoever holds the lease.
    pub(crate) fn refusal_ignores_the_lease() -> Self {
        let refused = |row: &mut State, attempt: Attempt<Id>| {
            if row.current != attempt.seen || row.standing != Standing::Active {
                return false;
            }
            row.standing = Standing::Refused { lost_rotation: row.sends > 1 || row.after_resend };
            row.lease = None;
            true
        };
        Self { refused, ..Self::product() }
    }

    /// A "try later" forgets the sends before it.
    pub(crate) fn not_consumed_forgets_earlier_sends() -> Self {
        let not_consumed = |row: &mut State, attempt: Attempt<Id>| {
            let done = row.not_consumed(attempt);
            if done {
                (row.sends, row.resend_after) = (0, None);
            }
            done
        };
        Self { not_consumed, ..Self::product() }
    }

    /// A success counts only under its lease.
    pub(crate) fn success_needs_the_lease() -> Self {
        let refreshed = |row: &mut State, attempt: Attempt<Id>, new: Set<Id>| {
            if row.lease.is_some_and(|(lease, _)| lease == attempt.lease) {
                row.refreshed(attempt.seen, new)
            } else {
                Stored::Superseded
            }
        };
        Self { refreshed, ..Self::product() }
    }

    /// A refresh token whose outcome is unknown is sent again at once.
    pub(crate) fn no_hold_off() -> Self {
        Self { claim: |row, attempt, now| row.claim(attempt, now, LEASE_US, false), ..Self::product() }
    }

    /// An import takes whatever it is given.
    pub(crate) fn import_of_a_held_token() -> Self {
        let import = |row: &mut State, new: Set<Id>| {
            row.adopt(new);
            Known::No
        };
        Self { import, ..Self::product() }
    }

    /// A refresh makes the connection active whatever parked it.
    pub(crate) fn refresh_lifts_another_account() -> Self {
        let refreshed = |row: &mut State, attempt: Attempt<Id>, new: Set<Id>| {
            let stored = row.refreshed(attempt.seen, new);
            if stored == Stored::Current {
                row.standing = Standing::Active;
            }
            stored
        };
        Self { refreshed, ..Self::product() }
    }

    /// Undo gives back a set that was sent.
    pub(crate) fn undo_of_a_sent_set() -> Self {
        let restore = |row: &mut State, id: Id, copy: Id| {
            let mut looser = row.clone();
            for set in looser.sets.iter_mut().filter(|set| set.id == id) {
                set.spent = false;
            }
            let done = looser.restore(id, copy, true);
            if done {
                *row = looser;
            }
            done
        };
        Self { restore, ..Self::product() }
    }
}
