//! The world around one connection's row: two replicas, a strictly rotating provider, a wire and a database that fail.
//!
//! A step is whatever may happen next. Time stands still but for [`Step::Tick`], which jumps to the next deadline of the
//! row. Promises of time are taken for granted and not explored: a replica gives up on the provider before its lease
//! ends; a request reaches the provider within the hold-off (unless the budget allows a late one), and in any case before
//! the token that its resend brought is refreshed; a replica that reaches the database stores what it holds before the
//! 15 s of settling are over.

use jeton::model::protocol::{Attempt, Row, Set, Standing};

use super::rules::{Id, Rules, State};

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
    /// The person revokes at the provider.
    pub(crate) revocations: u8,
}

/// What the provider answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    Rotated { token: Id, lease: Id },
    Refused { lease: Id },
    Limited { lease: Id },
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

/// What may happen next; `usize` is a replica, or a place in the wire or among the late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Claim(usize),
    ClaimUnanswered(usize),
    GiveBack(usize),
    Forget(usize),
    Send(usize),
    GiveUp(usize),
    Record(usize),
    RecordUnanswered(usize),
    Spool(usize),
    Crash(usize),
    Start(usize),
    Deliver(usize),
    Limit(usize),
    Lose(usize),
    Land(usize),
    Vanish(usize),
    Tick,
    Consent,
    Delete,
    Revoke,
    Undo(Id),
    RevokeAtProvider,
    DatabaseGoes,
    DatabaseReturns,
}

/// A promise that was broken.
pub(crate) type Violation = &'static str;

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

    /// What may happen now.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(16);
        for (at, replica) in self.replicas.iter().enumerate() {
            self.steps_of(at, replica, &mut steps);
        }
        for (at, message) in self.wire.iter().enumerate() {
            steps.push(Step::Deliver(at));
            if self.budget.lost > 0 {
                steps.push(Step::Lose(at));
            }
            if self.budget.limited > 0 && matches!(message, Message::Request { .. }) {
                steps.push(Step::Limit(at));
            }
        }
        for at in 0..self.late.len() {
            if self.database {
                steps.push(Step::Land(at));
            }
            steps.push(Step::Vanish(at));
        }
        self.steps_of_people(&mut steps);
        if self.may_tick() {
            steps.push(Step::Tick);
        }
        steps
    }

    fn steps_of(&self, at: usize, replica: &Replica, steps: &mut Vec<Step>) {
        if !replica.up {
            steps.push(Step::Start(at));
            return;
        }
        if self.budget.crashes > 0 {
            steps.push(Step::Crash(at));
        }
        match replica.doing {
            Doing::Nothing => {
                let settled = self.row.sends == 0 || !replica.settling;
                if self.database && settled && self.budget.claims > 0 && self.can_claim() {
                    steps.push(Step::Claim(at));
                    if self.budget.late_commits > 0 {
                        steps.push(Step::ClaimUnanswered(at));
                    }
                }
            }
            Doing::Unsure(_) => {
                if self.database {
                    steps.push(Step::GiveBack(at));
                }
                steps.push(Step::Forget(at));
            }
            Doing::Claimed(_) if replica.lapsed => steps.push(Step::Forget(at)),
            Doing::Claimed(attempt) if self.is_timely(attempt) => steps.push(Step::Send(at)),
            Doing::Claimed(_) => {}
            Doing::Waiting(_) => {
                if self.budget.lost > 0 {
                    steps.push(Step::GiveUp(at));
                }
            }
            Doing::Holding(_, outcome) => {
                let success = matches!(outcome, Outcome::Success(_));
                if self.database {
                    steps.push(Step::Record(at));
                    if self.budget.late_commits > 0 {
                        steps.push(Step::RecordUnanswered(at));
                    }
                } else if !success {
                    steps.push(Step::Forget(at));
                }
                if success && replica.spool.is_none() && (!self.database || !self.late.is_empty()) {
                    steps.push(Step::Spool(at));
                }
            }
        }
    }

    fn steps_of_people(&self, steps: &mut Vec<Step>) {
        if self.budget.outages > 0 && self.database {
            steps.push(Step::DatabaseGoes);
        }
        if !self.database {
            steps.push(Step::DatabaseReturns);
        }
        if self.budget.revocations > 0 && self.families.iter().any(|family| family.alive) {
            steps.push(Step::RevokeAtProvider);
        }
        if !self.database {
            return;
        }
        if self.budget.consents > 0 {
            steps.push(Step::Consent);
        }
        if self.budget.deletes > 0 && self.row.standing != Standing::Deleted {
            steps.push(Step::Delete);
        }
        if self.row.sets.iter().any(|set| set.revoke_pending) {
            steps.push(Step::Revoke);
        }
        if self.budget.undos > 0 {
            let others = self.row.sets.iter().filter(|set| set.id != self.row.current);
            steps.extend(others.map(|set| Step::Undo(set.id)));
        }
    }

    fn can_claim(&self) -> bool {
        let past = |at: i64| at <= 0;
        self.row.standing == Standing::Active
            && self.row.lease.is_none_or(|(_, until)| past(until))
            && self.row.resend_after.is_none_or(past)
    }

    /// A request outlives its resend at most, not the refresh of what that brought.
    fn is_timely(&self, attempt: Attempt<Id>) -> bool {
        let token = self.row.set(attempt.seen).map(|set| set.token);
        let older = |message: &Message| match message {
            Message::Request { token: t, .. } => {
                Some(*t) != token && self.family_of(*t) == token.and_then(|t| self.family_of(t))
            }
            _ => false,
        };
        !self.wire.iter().any(older)
    }

    fn family_of(&self, token: Id) -> Option<u8> {
        self.family_of.get(usize::from(token)).copied()
    }

    /// Where the next deadline lies, if there is one.
    fn deadline(&self) -> Option<i64> {
        let lease = self.row.lease.map(|(_, until)| until);
        let ahead = [lease, self.row.resend_after].into_iter().flatten().filter(|at| *at > 0);
        ahead.min().or_else(|| self.is_settling().then_some(1))
    }

    fn is_settling(&self) -> bool {
        self.replicas.iter().any(|replica| replica.up && replica.settling)
    }

    /// A replica that reaches the database records first.
    fn may_tick(&self) -> bool {
        let held = |replica: &Replica| replica.up && matches!(replica.doing, Doing::Holding(..));
        let recordable = self.database && self.replicas.iter().any(held);
        let hold_off_ends = self.row.resend_after.is_some_and(|at| self.deadline() == Some(at));
        let requests = self.wire.iter().any(|message| matches!(message, Message::Request { .. }));
        let prompt = !(hold_off_ends && requests) || self.budget.late_requests > 0;
        self.deadline().is_some() && !recordable && prompt
    }

    /// The world after a step, or the promise it breaks.
    pub(crate) fn after(&self, step: Step, rules: &Rules) -> Result<Self, Violation> {
        let mut world = self.clone();
        world.take(step, rules)?;
        world.drop_unheard();
        world.check()?;
        Ok(world)
    }

    #[expect(clippy::too_many_lines, reason = "one arm a step")]
    fn take(&mut self, step: Step, rules: &Rules) -> Result<(), Violation> {
        match step {
            Step::Claim(at) => {
                let attempt = self.draw();
                if (rules.claim)(&mut self.row, attempt, 0) {
                    self.excused |= self.is_held_out_of_reach(attempt.seen);
                    self.replica(at).doing = Doing::Claimed(attempt);
                    self.replica(at).lapsed = false;
                }
            }
            Step::ClaimUnanswered(at) => {
                self.budget.late_commits -= 1;
                let attempt = self.draw();
                self.late.push(Late::Claim(attempt));
                self.replica(at).doing = Doing::Unsure(attempt);
            }
            Step::GiveBack(at) => {
                if let Doing::Unsure(attempt) = self.replica(at).doing {
                    self.row.not_consumed(attempt);
                }
                self.replica(at).doing = Doing::Nothing;
            }
            Step::Forget(at) => self.replica(at).doing = Doing::Nothing,
            Step::Send(at) => self.send(at)?,
            Step::GiveUp(at) => {
                self.budget.lost -= 1;
                self.give_up(at);
            }
            Step::Record(at) => {
                if let Doing::Holding(attempt, outcome) = self.replica(at).doing {
                    self.record(attempt, outcome, rules)?;
                    self.replica(at).doing = Doing::Nothing;
                    self.replica(at).spool = None;
                }
            }
            Step::RecordUnanswered(at) => {
                self.budget.late_commits -= 1;
                if let Doing::Holding(attempt, outcome) = self.replica(at).doing {
                    self.late.push(Late::Record(attempt, outcome));
                    if !matches!(outcome, Outcome::Success(_)) {
                        self.replica(at).doing = Doing::Nothing;
                    }
                }
            }
            Step::Spool(at) => {
                if let Doing::Holding(attempt, Outcome::Success(set)) = self.replica(at).doing {
                    self.replica(at).spool = Some((attempt, set));
                }
            }
            Step::Crash(at) => self.crash(at),
            Step::Start(at) => {
                let spool = self.replica(at).spool;
                let held = |(attempt, set)| Doing::Holding(attempt, Outcome::Success(set));
                let doing = spool.map_or(Doing::Nothing, held);
                *self.replica(at) = Replica { up: true, doing, spool, settling: true, lapsed: true };
            }
            Step::Deliver(at) => self.deliver(at),
            Step::Limit(at) => {
                self.budget.limited -= 1;
                if let Message::Request { lease, .. } = self.wire.remove(at) {
                    self.put(Message::Limited { lease });
                }
            }
            Step::Lose(at) => {
                self.budget.lost -= 1;
                if let Message::Rotated { .. } = self.wire.remove(at) {
                    self.excused = true;
                }
            }
            Step::Land(at) => match self.late.remove(at) {
                Late::Claim(attempt) => {
                    (rules.claim)(&mut self.row, attempt, 0);
                }
                Late::Record(attempt, outcome) => self.record(attempt, outcome, rules)?,
            },
            Step::Vanish(at) => {
                self.late.remove(at);
            }
            Step::Tick => self.tick(),
            Step::Consent => {
                self.budget.consents -= 1;
                let token = self.new_family();
                let set = Set::new(self.new_set(None), token);
                self.row.adopt(set);
            }
            Step::Delete => {
                self.budget.deletes -= 1;
                self.row.delete();
            }
            Step::Revoke => {
                if let Some(set) = self.row.sets.iter().find(|set| set.revoke_pending).copied() {
                    self.kill(set.token);
                    self.row.revoked_at_provider(set.id);
                }
            }
            Step::Undo(id) => {
                self.budget.undos -= 1;
                let mut row = self.row.clone();
                let copy = u8::try_from(self.grant_of.len()).unwrap();
                if (rules.restore)(&mut row, id, copy) {
                    self.row = row;
                    self.new_set(None);
                }
            }
            Step::RevokeAtProvider => {
                self.budget.revocations -= 1;
                for family in &mut self.families {
                    family.alive = false;
                }
            }
            Step::DatabaseGoes => {
                self.budget.outages -= 1;
                self.database = false;
            }
            Step::DatabaseReturns => {
                self.database = true;
                for replica in self.replicas.iter_mut().filter(|replica| replica.up) {
                    replica.settling = true;
                }
            }
        }
        Ok(())
    }

    fn replica(&mut self, at: usize) -> &mut Replica {
        &mut self.replicas[at]
    }

    fn draw(&mut self) -> Attempt<Id> {
        self.budget.claims -= 1;
        self.leases += 1;
        Attempt { seen: self.row.current, lease: self.leases }
    }

    fn new_family(&mut self) -> Id {
        let token = u8::try_from(self.family_of.len()).unwrap();
        self.family_of.push(u8::try_from(self.families.len()).unwrap());
        self.families.push(Family { valid: token, alive: true, reused: false });
        token
    }

    /// Names a set; one that descends from no other is a new grant.
    fn new_set(&mut self, seen: Option<Id>) -> Id {
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

    fn family(&mut self, token: Id) -> &mut Family {
        let family = self.family_of[usize::from(token)];
        &mut self.families[usize::from(family)]
    }

    fn kill(&mut self, token: Id) {
        self.family(token).alive = false;
    }

    fn put(&mut self, message: Message) {
        self.wire.push(message);
        self.wire.sort_unstable();
    }

    fn send(&mut self, at: usize) -> Result<(), Violation> {
        let Doing::Claimed(attempt) = self.replicas[at].doing else { return Ok(()) };
        let token = self.row.set(attempt.seen).expect("a claim names a set that is stored").token;
        if self.stored.contains(&token) && !self.excused {
            return Err("a refresh token was sent again although its refresh was stored");
        }
        let elsewhere = |attempt: Attempt<Id>| self.row.set(attempt.seen).is_some_and(|s| s.token == token);
        for (other, replica) in self.replicas.iter().enumerate().filter(|(other, _)| *other != at) {
            let busy = match replica.doing {
                Doing::Waiting(attempt) => elsewhere(attempt),
                Doing::Holding(attempt, Outcome::Success(_)) => replica.spool.is_none() && elsewhere(attempt),
                _ => false,
            };
            if busy && self.replicas[other].up {
                return Err("a refresh token was sent while another replica waits for its answer");
            }
        }
        self.put(Message::Request { token, lease: attempt.lease });
        self.replica(at).doing = Doing::Waiting(attempt);
        Ok(())
    }

    /// Whether an answer for this set waits where nobody reaches it: in the spool of a process that is down, or in a
    /// commit that has not landed. Its holder is unreachable past the hold-off when somebody else may claim.
    fn is_held_out_of_reach(&self, seen: Id) -> bool {
        let token = self.row.set(seen).map(|set| set.token);
        let same = |attempt: Attempt<Id>| self.row.set(attempt.seen).map(|set| set.token) == token;
        let landing = |late: &Late| match late {
            Late::Record(attempt, Outcome::Success(_)) => same(*attempt),
            _ => false,
        };
        self.replicas.iter().any(|replica| replica.spool.is_some_and(|(attempt, _)| same(attempt)))
            || self.late.iter().any(landing)
    }

    fn give_up(&mut self, at: usize) {
        if let Doing::Waiting(attempt) = self.replicas[at].doing {
            self.replica(at).doing = Doing::Holding(attempt, Outcome::Unknown);
        }
    }

    fn crash(&mut self, at: usize) {
        self.budget.crashes -= 1;
        let replica = self.replica(at);
        replica.up = false;
        let held = matches!(replica.doing, Doing::Holding(_, Outcome::Success(_)));
        let kept = replica.spool.is_some();
        replica.doing = Doing::Nothing;
        self.excused |= held && !kept;
    }

    fn deliver(&mut self, at: usize) {
        match self.wire.remove(at) {
            Message::Request { token, lease } => {
                let answer = self.provider(token, lease);
                self.put(answer);
            }
            Message::Rotated { token, lease } => self.hear(lease, Answer::Rotated(token)),
            Message::Refused { lease } => self.hear(lease, Answer::Refused),
            Message::Limited { lease } => self.hear(lease, Answer::Limited),
        }
    }

    /// Strict rotation: an old token that comes again ends its family.
    fn provider(&mut self, token: Id, lease: Id) -> Message {
        let family = *self.family(token);
        if !family.alive {
            return Message::Refused { lease };
        }
        if family.valid != token {
            *self.family(token) = Family { alive: false, reused: true, ..family };
            return Message::Refused { lease };
        }
        let next = u8::try_from(self.family_of.len()).unwrap();
        self.family_of.push(self.family_of[usize::from(token)]);
        self.family(token).valid = next;
        Message::Rotated { token: next, lease }
    }

    /// An answer that nobody waits for is lost, and a rotated token with it.
    fn drop_unheard(&mut self) {
        let replicas = self.replicas;
        let heard = |lease: Id| {
            let waits = |r: &Replica| matches!(r.doing, Doing::Waiting(attempt) if attempt.lease == lease);
            replicas.iter().any(waits)
        };
        let excused = &mut self.excused;
        self.wire.retain(|message| match message {
            Message::Request { .. } => true,
            Message::Rotated { lease, .. } => {
                *excused |= !heard(*lease);
                heard(*lease)
            }
            Message::Refused { lease } | Message::Limited { lease } => heard(*lease),
        });
    }

    fn hear(&mut self, lease: Id, answer: Answer) {
        let waits = |replica: &Replica| match replica.doing {
            Doing::Waiting(attempt) if attempt.lease == lease && replica.up => Some(attempt),
            _ => None,
        };
        let waiting =
            self.replicas.iter().enumerate().find_map(|(at, r)| waits(r).map(|attempt| (at, attempt)));
        let Some((at, attempt)) = waiting else { return };
        let outcome = match answer {
            Answer::Rotated(token) => Outcome::Success(Set::new(self.new_set(Some(attempt.seen)), token)),
            Answer::Refused => Outcome::Refused,
            Answer::Limited => Outcome::NotConsumed,
        };
        self.replica(at).doing = Doing::Holding(attempt, outcome);
    }

    fn record(&mut self, attempt: Attempt<Id>, outcome: Outcome, rules: &Rules) -> Result<(), Violation> {
        match outcome {
            Outcome::Success(set) => {
                let token = self.row.set(attempt.seen).map(|seen| seen.token);
                (rules.refreshed)(&mut self.row, attempt, set);
                self.stored.extend(token.filter(|token| !self.stored.contains(token)));
                self.stored.sort_unstable();
            }
            Outcome::Refused => {
                let holder = self.row.lease.map(|(lease, _)| lease);
                if (rules.refused)(&mut self.row, attempt) && holder != Some(attempt.lease) {
                    return Err("a refusal parked the connection under somebody else's claim");
                }
            }
            Outcome::NotConsumed => {
                (rules.not_consumed)(&mut self.row, attempt);
            }
            Outcome::Unknown => {
                self.row.unknown(attempt);
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        let Some(by) = self.deadline() else { return };
        let hold_off_ends = self.row.resend_after == Some(by);
        if hold_off_ends && self.wire.iter().any(|message| matches!(message, Message::Request { .. })) {
            self.budget.late_requests -= 1;
            self.excused = true;
        }
        if self.row.lease.is_some_and(|(_, until)| until == by) {
            for at in 0..self.replicas.len() {
                self.give_up(at);
                self.replica(at).lapsed = true;
            }
        }
        if self.database {
            for replica in &mut self.replicas {
                replica.settling = false;
            }
        }
        let later = |at: i64| (at - by).max(0);
        self.row.lease = self.row.lease.map(|(lease, until)| (lease, later(until)));
        self.row.resend_after = self.row.resend_after.map(later);
    }

    /// The promises that hold in every state.
    fn check(&self) -> Result<(), Violation> {
        let row = &self.row;
        if !self.excused && self.families.iter().any(|family| family.reused) {
            return Err("the provider saw a spent refresh token and ended the grant");
        }
        if self.grant_of[usize::from(row.current)] != self.grant {
            return Err("an older refresh overwrote a newer grant");
        }
        let current = row.set(row.current).ok_or("the current set is not stored")?;
        let family = &self.families[usize::from(self.family_of[usize::from(current.token)])];
        match row.standing {
            Standing::Refused { lost_rotation: false } if family.alive || family.reused => {
                return Err("`revoked` is told though the provider did not revoke");
            }
            Standing::Refused { lost_rotation: true } if !self.excused && family.alive => {
                return Err("`lost_rotation` is told though nothing was lost");
            }
            Standing::Deleted if row.sets.iter().any(|set| !set.spent && !set.revoke_pending) => {
                return Err("a deleted connection keeps a token that is not revoked");
            }
            _ => {}
        }
        if row.standing != Standing::Deleted && current.deleted {
            return Err("a deleted set is current");
        }
        if !self.excused && family.alive && !self.is_kept(family.valid) {
            return Err("the provider's refresh token is held by nobody");
        }
        Ok(())
    }

    /// Whether somebody still has the refresh token.
    fn is_kept(&self, token: Id) -> bool {
        let in_the_wire =
            |message: &Message| matches!(message, Message::Rotated { token: t, .. } if *t == token);
        let held = |replica: &Replica| {
            matches!(replica.doing, Doing::Holding(_, Outcome::Success(set)) if set.token == token)
                || replica.spool.is_some_and(|(_, set)| set.token == token)
        };
        self.row.sets.iter().any(|set| set.token == token)
            || self.wire.iter().any(in_the_wire)
            || self.replicas.iter().any(held)
    }
}
