//! What may happen to a connection's row: the protocol of one refresh token, as pure transitions.
//!
//! Each function is one statement of the store (`store/leases.rs`, `store/token_sets.rs`) without the columns that do
//! not decide. The store is tested against them on both databases, and `tests/suite/protocol.rs` explores what
//! they lead to with replicas that crash and messages that are lost. docs/protocol.md explains it for people.

/// Hold-off of the first send of a rotating refresh token, microseconds; doubled with each further one.
pub const HOLD_OFF_US: i64 = 120_000_000;
/// Longest hold-off, microseconds.
pub const HOLD_OFF_MAX_US: i64 = 3_600_000_000;
/// A lease that ends later than this from now was written by a clock that went back; it holds nothing.
pub const LEASE_ABSURD_US: i64 = 60_000_000;
/// A hold-off that ends later than this from now bars nothing.
pub const HOLD_OFF_ABSURD_US: i64 = 7_200_000_000;

/// Where a connection stands, as far as the protocol asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Refreshed when due.
    Active,
    /// The provider refused the grant; never called again.
    Refused {
        /// An answer may have been lost before: the refusal may be of our own making.
        lost_rotation: bool,
    },
    /// The provider refused our client; goes on when the credentials change.
    Misconfigured,
    /// A refresh brought tokens of another account; only a person or an admin can mend it.
    OtherAccount,
    /// Deleted by an admin.
    Deleted,
}

/// A token set of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Set<Id> {
    /// Its name, drawn before it is stored.
    pub id: Id,
    /// Fingerprint of its refresh token.
    pub token: Id,
    /// The refresh token was or may have been sent, or lives on in a copy.
    pub spent: bool,
    /// To be revoked at the provider.
    pub revoke_pending: bool,
    /// Was there when the connection was deleted: never restored, and what a refresh of it still brings is revoked.
    pub deleted: bool,
    /// Is of another account than the connection's, or descends from one: never restored.
    pub other_account: bool,
}

/// Names one attempt to refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt<Id> {
    /// The set whose refresh token is to be sent.
    pub seen: Id,
    /// Drawn for this attempt.
    pub lease: Id,
}

/// The row of a connection with its token sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row<Id> {
    /// State.
    pub standing: Standing,
    /// The current set.
    pub current: Id,
    /// Who may send the refresh token, and until when (microseconds).
    pub lease: Option<(Id, i64)>,
    /// Sends of the current refresh token without a definite answer.
    pub sends: u8,
    /// No resend before (microseconds).
    pub resend_after: Option<i64>,
    /// The current set came from a resend, or was stored over `lost_rotation`.
    pub after_resend: bool,
    /// All sets, oldest first.
    pub sets: Vec<Set<Id>>,
}

/// What an import of a refresh token finds among the sets of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Nothing that bars it: it becomes current.
    No,
    /// The very token that is current and refreshed: nothing is touched.
    Current,
    /// It was held before, and may be spent: refused.
    Spent,
}

impl Known {
    /// By the sets of the connection that hold the token, each as (is current, was deleted).
    pub fn of(holders: &[(bool, bool)], active: bool, strict: bool) -> Self {
        if holders.is_empty() {
            Self::No
        } else if active && holders.iter().any(|(current, _)| *current) {
            Self::Current
        } else if strict || holders.iter().any(|(_, deleted)| *deleted) {
            Self::Spent
        } else {
            Self::No
        }
    }
}

/// How storing a refreshed set went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// It is current.
    Current,
    /// It was stored already: our own commit had landed.
    Already,
    /// Somebody superseded the set that was seen; this one is kept beside it.
    Superseded,
}

impl<Id: Copy + Eq> Set<Id> {
    /// A set just granted.
    pub fn new(id: Id, token: Id) -> Self {
        Self { id, token, spent: false, revoke_pending: false, deleted: false, other_account: false }
    }

    /// Whether it can be restored: its refresh token was never sent, or sending does not spend it.
    pub fn is_restorable(&self, strict: bool) -> bool {
        let barred = self.deleted || self.revoke_pending || self.other_account || (strict && self.spent);
        !barred
    }
}

impl<Id: Copy + Eq> Row<Id> {
    /// A connection just made.
    pub fn new(first: Set<Id>) -> Self {
        Self {
            standing: Standing::Active,
            current: first.id,
            lease: None,
            sends: 0,
            resend_after: None,
            after_resend: false,
            sets: vec![first],
        }
    }

    /// The set of that name.
    pub fn set(&self, id: Id) -> Option<&Set<Id>> {
        self.sets.iter().find(|set| set.id == id)
    }

    /// Claims the right to send the refresh token of `attempt.seen` once. Nothing is sent without it.
    pub fn claim(&mut self, attempt: Attempt<Id>, now: i64, lease_us: i64, strict: bool) -> bool {
        let over = |at: i64, absurd: i64| at <= now || at > now + absurd;
        let free = self.lease.is_none_or(|(_, until)| over(until, LEASE_ABSURD_US));
        let allowed = self.resend_after.is_none_or(|at| over(at, HOLD_OFF_ABSURD_US));
        if self.standing != Standing::Active || self.current != attempt.seen || !free || !allowed {
            return false;
        }
        let hold_off = match strict {
            true if self.sends >= 5 => HOLD_OFF_MAX_US,
            true => HOLD_OFF_US << self.sends,
            false => 0,
        };
        self.lease = Some((attempt.lease, now + lease_us));
        self.resend_after = Some(now + hold_off);
        self.sends = self.sends.saturating_add(1);
        true
    }

    /// Gives a claim back under which nothing was sent, or whose refresh token the provider did not take.
    pub fn not_consumed(&mut self, attempt: Attempt<Id>) -> bool {
        if !self.is_ours(attempt) {
            return false;
        }
        if self.sends <= 1 {
            self.resend_after = None;
        }
        self.sends = self.sends.saturating_sub(1);
        self.lease = None;
        true
    }

    /// Nobody knows what came of the send: the hold-off bars the next.
    pub fn unknown(&mut self, attempt: Attempt<Id>) -> bool {
        let ours = self.is_ours(attempt);
        if ours {
            self.lease = None;
        }
        ours
    }

    /// The provider refused the grant.
    pub fn refused(&mut self, attempt: Attempt<Id>) -> bool {
        if !self.is_ours(attempt) || self.standing != Standing::Active {
            return false;
        }
        self.standing = Standing::Refused { lost_rotation: self.sends > 1 || self.after_resend };
        self.lease = None;
        true
    }

    /// The provider refused our client.
    pub fn misconfigured(&mut self, attempt: Attempt<Id>) -> bool {
        if self.standing != Standing::Active || !self.not_consumed(attempt) {
            return false;
        }
        self.standing = Standing::Misconfigured;
        true
    }

    /// The credentials have changed.
    pub fn reconfigured(&mut self) {
        if self.standing == Standing::Misconfigured {
            self.standing = Standing::Active;
        }
    }

    /// Stores what a refresh of `seen` gave: by compare-and-set on the set, never on the lease, so that a late
    /// commit and a replayed spool still win.
    pub fn refreshed(&mut self, seen: Id, new: Set<Id>) -> Stored {
        let other_account = self.set(seen).is_some_and(|set| set.other_account);
        let new = Set { other_account, ..new };
        if self.current == seen && self.standing != Standing::Deleted {
            let over_lost = self.standing == Standing::Refused { lost_rotation: true };
            self.after_resend = self.sends > 1 || over_lost;
            if self.standing != Standing::OtherAccount {
                self.standing = Standing::Active;
            }
            self.mark_spent(seen);
            self.succeed(new);
            return Stored::Current;
        }
        if self.set(new.id).is_some() {
            return Stored::Already;
        }
        let deleted = self.set(seen).is_none_or(|set| set.deleted);
        self.sets.push(Set { revoke_pending: deleted, deleted, ..new });
        Stored::Superseded
    }

    /// The provider says that these tokens are another account's: they are not served any more, and no set that holds
    /// them or descends from one is made current again.
    pub fn account_changed(&mut self, token: Id) -> bool {
        for set in self.sets.iter_mut().filter(|set| set.token == token) {
            set.other_account = true;
        }
        let current = self.set(self.current).is_some_and(|set| set.other_account);
        let parks = current && !matches!(self.standing, Standing::Deleted | Standing::OtherAccount);
        if parks {
            self.standing = Standing::OtherAccount;
        }
        parks
    }

    /// A consent or an import: current whatever was there.
    pub fn adopt(&mut self, new: Set<Id>) {
        if self.sends > 0 && self.standing != Standing::Deleted {
            self.mark_spent(self.current);
        }
        self.standing = Standing::Active;
        self.after_resend = false;
        self.succeed(new);
    }

    /// An import of a token that may have been held here before.
    pub fn import(&mut self, new: Set<Id>, strict: bool) -> Known {
        let holders: Vec<(bool, bool)> = self
            .sets
            .iter()
            .filter(|set| set.token == new.token)
            .map(|set| (set.id == self.current && !set.deleted, set.deleted))
            .collect();
        let known = Known::of(&holders, self.standing == Standing::Active, strict);
        if known == Known::No {
            self.adopt(new);
        }
        known
    }

    /// Whether `id` can be made current again.
    pub fn can_restore(&self, id: Id, strict: bool) -> bool {
        id != self.current && self.set(id).is_some_and(|set| set.is_restorable(strict))
    }

    /// Undo: makes a copy of `id` current, named `copy`. The token now lives in the copy alone.
    pub fn restore(&mut self, id: Id, copy: Id, strict: bool) -> bool {
        if !self.can_restore(id, strict) {
            return false;
        }
        let Some(token) = self.set(id).map(|set| set.token) else { return false };
        self.mark_spent(id);
        self.adopt(Set::new(copy, token));
        true
    }

    /// Deletes in place; every unspent set is to be revoked at the provider.
    pub fn delete(&mut self) {
        self.standing = Standing::Deleted;
        self.lease = None;
        for set in &mut self.sets {
            set.deleted = true;
            set.revoke_pending |= !set.spent;
        }
    }

    /// The provider has revoked the set.
    pub fn revoked_at_provider(&mut self, id: Id) {
        if let Some(set) = self.sets.iter_mut().find(|set| set.id == id) {
            (set.revoke_pending, set.spent) = (false, true);
        }
    }

    fn is_ours(&self, attempt: Attempt<Id>) -> bool {
        self.current == attempt.seen && self.lease.is_some_and(|(lease, _)| lease == attempt.lease)
    }

    fn mark_spent(&mut self, id: Id) {
        for set in self.sets.iter_mut().filter(|set| set.id == id) {
            set.spent = true;
        }
    }

    fn succeed(&mut self, new: Set<Id>) {
        self.current = new.id;
        (self.lease, self.sends, self.resend_after) = (None, 0, None);
        self.sets.push(new);
    }
}
