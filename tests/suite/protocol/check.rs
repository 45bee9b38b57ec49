//! The promises that hold in every state.

use jeton::model::protocol::Standing;

use super::rules::Id;
use super::world::{Answer, Doing, Message, Outcome, Replica, World};

/// A promise that was broken.
pub(crate) type Violation = &'static str;

impl World {
    /// The promises that hold in every state.
    pub(super) fn check(&self) -> Result<(), Violation> {
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
        if current.other_account && !matches!(row.standing, Standing::OtherAccount | Standing::Deleted) {
            return Err("a token of another account is handed out");
        }
        if !self.excused && family.alive && !self.is_kept(family.valid) {
            return Err("the provider's refresh token is held by nobody");
        }
        Ok(())
    }

    /// Whether somebody still has the refresh token.
    fn is_kept(&self, token: Id) -> bool {
        let in_the_wire = |message: &Message| matches!(message, Message::Answer { answer: Answer::Rotated(next), .. } if *next == token);
        let held = |replica: &Replica| {
            matches!(replica.doing, Doing::Holding(_, Outcome::Success(set)) if set.token == token)
                || replica.spool.is_some_and(|(_, set)| set.token == token)
        };
        self.row.sets.iter().any(|set| set.token == token)
            || self.wire.iter().any(in_the_wire)
            || self.replicas.iter().any(held)
    }
}
