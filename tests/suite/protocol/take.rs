//! What does a step do?

use jeton::model::protocol::{Attempt, Known, Set};

use super::check::Violation;
use super::rules::{Id, Rules};
use super::steps::Step;
use super::world::{Answer, Doing, Late, Message, Outcome, Replica, World};

impl World {
    /// The world after a step, or the promise it breaks.
    pub(crate) fn after(&self, step: Step, rules: &Rules) -> Result<Self, Violation> {
        let mut world = self.clone();
        world.take(step, rules)?;
        world.drop_unheard();
        world.check()?;
        Ok(world)
    }

    fn take(&mut self, step: Step, rules: &Rules) -> Result<(), Violation> {
        match step {
            Step::Tick => self.tick(),
            Step::Deliver(_) | Step::Limit(_) | Step::Lose(_) | Step::Land(_) | Step::Vanish(_) => {
                self.on_the_way(step, rules)?;
            }
            Step::Consent
            | Step::Delete
            | Step::Revoke
            | Step::Undo(_)
            | Step::Import(_)
            | Step::OtherAccount
            | Step::RevokeAtProvider
            | Step::DatabaseGoes
            | Step::DatabaseReturns => self.around(step, rules),
            _ => self.in_a_replica(step, rules)?,
        }
        Ok(())
    }

    fn in_a_replica(&mut self, step: Step, rules: &Rules) -> Result<(), Violation> {
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
            _ => {}
        }
        Ok(())
    }

    fn on_the_way(&mut self, step: Step, rules: &Rules) -> Result<(), Violation> {
        match step {
            Step::Deliver(at) => self.deliver(at),
            Step::Limit(at) => {
                self.budget.limited -= 1;
                if let Message::Request { lease, .. } = self.wire.remove(at) {
                    self.put(Message::Answer { answer: Answer::Limited, lease });
                }
            }
            Step::Lose(at) => {
                self.budget.lost -= 1;
                let lost = self.wire.remove(at);
                self.excused |= matches!(lost, Message::Answer { answer: Answer::Rotated(_), .. });
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
            _ => {}
        }
        Ok(())
    }

    fn around(&mut self, step: Step, rules: &Rules) {
        match step {
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
            Step::Import(token) => {
                let id = u8::try_from(self.grant_of.len()).unwrap();
                // What changes nothing costs nothing.
                if (rules.import)(&mut self.row, Set::new(id, token)) == Known::No {
                    self.budget.imports -= 1;
                    self.new_set(None);
                }
            }
            Step::OtherAccount => {
                self.budget.strangers -= 1;
                let token = self.row.set(self.row.current).map(|set| set.token);
                self.row.account_changed(token.expect("the current set is stored"));
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
            _ => {}
        }
    }

    fn kill(&mut self, token: Id) {
        self.family(token).alive = false;
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
}
