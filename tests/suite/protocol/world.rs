//! The world around one connection's row: two replicas, a strictly rotating provider, a wire and a database that fail.
//!
//! A step is whatever may happen next. Time stands still but for [`Step::Tick`], which jumps to the next deadline of the
//! row. Promises of time are taken for granted and not explored: a replica gives up on the provider before its lease
//! ends; a request reaches the provider within the hold-off (unless the budget allows a late one), and in any case before
//! the token that its resend brought is refreshed; a replica that reaches the database stores what it holds before the
//! 15 s of settling are over.

use jeton::model::protocol::{Attempt, Row, Set};

use super::rules::{Id, State};

/// How often each misfortune may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    pub(crate) claims: u8,
    pub(crate) crashes: u8,
    pub(crate) outages: u8,
    /// A message vanishes, or is given up on.
    pub(crate) lost: u8,
    /// A request arrives after its resend.
    pub(crate) late_requests: u8,
    /// A commit is not answered and lands later, or never.
    pub(crate) late_commits: u8,
    pub(crate) limited: u8,
    pub(crate) consents: u8,
    pub(crate) deletes: u8,
    pub(crate) undos: u8,
    /// A token that was held before is imported.
    pub(crate) imports: u8,
    /// The provider's token turns out to be another account's.
    pub(crate) strangers: u8,
    /// The person revokes at the provider.
    pub(crate) revocations: u8,
}

/// What the provider answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    Rotated(Id),
    Refused,
    Limited,
}

/// What a replica is about to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Success(Set<Id>),
    Refused,
    NotConsumed,
    Unknown,
}

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Doing {
    Nothing,
    /// The claim's commit was not answered: nothing is sent, and it is given back.
    Unsure(Attempt<Id>),
    Claimed(Attempt<Id>),
    Waiting(Attempt<Id>),
    Holding(Attempt<Id>, Outcome),
}

/// A process: what it does, what its spool holds, whether it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    pub(crate) up: bool,
    pub(crate) doing: Doing,
    pub(crate) spool: Option<(Attempt<Id>, Set<Id>)>,
    /// Has just started, or regained the database.
    pub(crate) settling: bool,
    /// The lease of its claim has lapsed.
    pub(crate) lapsed: bool,
}

/// On its way between a replica and the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Message {
    Request { token: Id, lease: Id },
    Answer { answer: Answer, lease: Id },
}

/// A statement whose commit was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Late {
    Claim(Attempt<Id>),
    Record(Attempt<Id>, Outcome),
}

/// One consent at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Family {
    /// The only refresh token that works.
    pub(crate) valid: Id,
    pub(crate) alive: bool,
    /// Ended by an old token that came again.
    pub(crate) reused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) row: State,
    pub(crate) replicas: [Replica; 2],
    pub(crate) families: Vec<Family>,
    /// Which family a token is of, by token.
    pub(crate) family_of: Vec<u8>,
    pub(crate) wire: Vec<Message>,
    pub(crate) late: Vec<Late>,
    pub(crate) database: bool,
    pub(crate) budget: Budget,
    /// Something happened that no protocol can mend (refresh.md §4).
    pub(crate) excused: bool,
    /// The current set must descend from this grant, the last that was adopted.
    pub(crate) grant: u8,
    /// Which adoption a set descends from, by set.
    pub(crate) grant_of: Vec<u8>,
    /// Tokens whose refresh was stored.
    pub(crate) stored: Vec<Id>,
    pub(crate) leases: u8,
}

impl World {
    pub(crate) fn new(budget: Budget) -> Self {
        let idle = Replica { up: true, doing: Doing::Nothing, spool: None, settling: false, lapsed: false };
        Self {
            row: Row::new(Set::new(0, 0)),
            replicas: [idle; 2],
            families: vec![Family { valid: 0, alive: true, reused: false }],
            family_of: vec![0],
            wire: Vec::new(),
            late: Vec::new(),
            database: true,
            budget,
            excused: false,
            grant: 0,
            grant_of: vec![0],
            stored: Vec::new(),
            leases: 0,
        }
    }

    pub(super) fn replica(&mut self, at: usize) -> &mut Replica {
        &mut self.replicas[at]
    }

    pub(super) fn draw(&mut self) -> Attempt<Id> {
        self.budget.claims -= 1;
        self.leases += 1;
        Attempt { seen: self.row.current, lease: self.leases }
    }

    pub(super) fn new_family(&mut self) -> Id {
        let token = u8::try_from(self.family_of.len()).unwrap();
        self.family_of.push(u8::try_from(self.families.len()).unwrap());
        self.families.push(Family { valid: token, alive: true, reused: false });
        token
    }

    /// Names a set; one that descends from no other is a new grant.
    pub(super) fn new_set(&mut self, seen: Option<Id>) -> Id {
        let id = u8::try_from(self.grant_of.len()).unwrap();
        match seen {
            Some(seen) => self.grant_of.push(self.grant_of[usize::from(seen)]),
            None => {
                self.grant += 1;
                self.grant_of.push(self.grant);
            }
        }
        id
    }

    pub(super) fn family(&mut self, token: Id) -> &mut Family {
        let family = self.family_of[usize::from(token)];
        &mut self.families[usize::from(family)]
    }
}
