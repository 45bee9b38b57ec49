//! The provider, and the wire to it.

use jeton::model::protocol::{Attempt, Set};

use super::rules::Id;
use super::world::{Answer, Doing, Family, Message, Outcome, World};

impl World {
    pub(super) fn put(&mut self, message: Message) {
        self.wire.push(message);
        self.wire.sort_unstable();
    }

    pub(super) fn deliver(&mut self, at: usize) {
        match self.wire.remove(at) {
            Message::Request { token, lease } => {
                let answer = self.provider(token);
                self.put(Message::Answer { answer, lease });
            }
            Message::Answer { answer, lease } => self.hear(lease, answer),
        }
    }

    /// Strict rotation: an old token that comes again ends its family.
    fn provider(&mut self, token: Id) -> Answer {
        let family = *self.family(token);
        if !family.alive {
            return Answer::Refused;
        }
        if family.valid != token {
            *self.family(token) = Family { alive: false, reused: true, ..family };
            return Answer::Refused;
        }
        let next = u8::try_from(self.family_of.len()).unwrap();
        self.family_of.push(self.family_of[usize::from(token)]);
        self.family(token).valid = next;
        Answer::Rotated(next)
    }

    /// Who waits for the answer to this send.
    fn waiter(&self, lease: Id) -> Option<(usize, Attempt<Id>)> {
        self.replicas.iter().enumerate().find_map(|(at, replica)| match replica.doing {
            Doing::Waiting(attempt) if attempt.lease == lease && replica.up => Some((at, attempt)),
            _ => None,
        })
    }

    /// An answer that nobody waits for is lost, and a rotated token with it.
    pub(super) fn drop_unheard(&mut self) {
        let unheard = |message: &Message| match message {
            Message::Answer { lease, .. } => self.waiter(*lease).is_none(),
            Message::Request { .. } => false,
        };
        let (lost, wire): (Vec<_>, Vec<_>) = self.wire.iter().copied().partition(unheard);
        let rotated =
            |message: &Message| matches!(message, Message::Answer { answer: Answer::Rotated(_), .. });
        self.excused |= lost.iter().any(rotated);
        self.wire = wire;
    }

    fn hear(&mut self, lease: Id, answer: Answer) {
        let (at, attempt) = self.waiter(lease).expect("what nobody waits for was dropped");
        let outcome = match answer {
            Answer::Rotated(token) => Outcome::Success(Set::new(self.new_set(Some(attempt.seen)), token)),
            Answer::Refused => Outcome::Refused,
            Answer::Limited => Outcome::NotConsumed,
        };
        self.replica(at).doing = Doing::Holding(attempt, outcome);
    }
}
