//! What may happen next?

use jeton::model::protocol::{Attempt, Standing};

use super::rules::Id;
use super::world::{Doing, Message, Outcome, Replica, World};

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
    Import(Id),
    OtherAccount,
    RevokeAtProvider,
    DatabaseGoes,
    DatabaseReturns,
}

impl World {
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
        if self.budget.imports > 0 {
            steps.extend(self.row.sets.iter().map(|set| Step::Import(set.token)));
        }
        if self.budget.strangers > 0 {
            steps.push(Step::OtherAccount);
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
    pub(super) fn deadline(&self) -> Option<i64> {
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
}
