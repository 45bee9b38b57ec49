//! What is refreshed although nobody asks? When a set is due, and whether a due connection may be refreshed now.

use time::{Duration, OffsetDateTime};

use super::{Connection, State};
use crate::model::connector::Policy;
use crate::model::protocol::HOLD_OFF_ABSURD_US;

/// A refresh token that is told to live shorter than this is not kept alive for its own sake.
const SHORT: Duration = Duration::hours(1);

/// When the tokens of a set that is stored now begin and end.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// When the request was sent.
    pub sent_at: OffsetDateTime,
    /// When the access token dies, where known.
    pub expires_at: Option<OffsetDateTime>,
    /// Life it has left now.
    pub initial_life: Option<Duration>,
    /// When the refresh token dies if it is not used, as the answer told.
    pub refresh_told: Option<OffsetDateTime>,
    /// When the grant ends whatever happens.
    pub grant_ends_at: Option<OffsetDateTime>,
}

impl Lives {
    /// When the refresh token dies, as far as is known.
    pub fn refresh_expires_at(&self) -> Option<OffsetDateTime> {
        self.refresh_told.or(self.grant_ends_at)
    }

    /// When the set is refreshed unasked: before a reader would, before the refresh token dies of disuse, and when
    /// the grant ends (what the provider says then is told). Never where that kills a token others were promised.
    /// `chance` spreads what was stored at one time.
    pub fn due_at(&self, policy: &Policy, chance: u16) -> Option<OffsetDateTime> {
        let part = |of: Duration| of * i32::from(chance) / (i32::from(u16::MAX) + 1);
        let life = self.initial_life.unwrap_or_default();
        let kill_zone = self.expires_at.filter(|_| policy.kills_access_token).map(|at| at - life / 5);
        let access = match kill_zone {
            Some(zone) => Some(zone + part(life / 10)),
            None => self.expires_at.map(|at| {
                let ahead = Duration::minutes(10).min(life / 4);
                at - ahead - part(ahead / 2)
            }),
        };
        let of_disuse = policy.idle.map(|idle| self.sent_at + idle);
        let exercise = [of_disuse, self.refresh_told].into_iter().flatten().min().and_then(|dies| {
            let life = dies - self.sent_at;
            (life >= SHORT).then(|| dies - life / 4 - part(life / 8))
        });
        let end = self.grant_ends_at.filter(|_| self.refresh_told.is_none());
        let due = [access, exercise, end].into_iter().flatten().min()?;
        Some(kill_zone.map_or(due, |zone| due.max(zone)))
    }
}

impl Connection {
    /// Whether a connection that is due may be refreshed unasked. A refresh token that was sent with an unknown
    /// outcome, and that a refresh spends, is sent again only once the access token has expired.
    pub fn may_refresh_unasked(&self, policy: &Policy, now: OffsetDateTime) -> bool {
        // A time that no statement of ours writes (a clock that went back) bars nothing.
        let barred =
            |at: Option<OffsetDateTime>, limit: Duration| at.is_some_and(|at| at > now && at <= now + limit);
        let expired = self.expires_at().is_some_and(|at| at <= now);
        let unknown_outcome = self.is_strict(policy) && self.sending.sends > 0;
        let kills =
            policy.kills_access_token && self.guaranteed_until(policy).is_some_and(|promised| promised > now);
        self.state == State::Active
            && self.can_refresh(policy)
            && self.refresh_due_at.is_some_and(|due| due <= now)
            && !self.sending.is_under_way(now)
            && !barred(self.retry_at, Duration::hours(2))
            && !barred(self.sending.resend_after, Duration::microseconds(HOLD_OFF_ABSURD_US))
            && (!unknown_outcome || expired)
            && !kills
    }

    /// Whether the refresh token is past its life, as far as is known: a refusal says no more than that.
    pub fn is_grant_over(&self, policy: &Policy, now: OffsetDateTime) -> bool {
        let used = self.last_refresh_at.unwrap_or(self.since);
        let of_disuse = policy.idle.map(|idle| used + idle);
        [self.refresh_expires_at, of_disuse].into_iter().flatten().any(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: OffsetDateTime = time::macros::datetime!(2026-11-24 03:00 UTC);
    const DAY: Duration = Duration::DAY;

    fn lives(life: Option<Duration>) -> Lives {
        Lives {
            sent_at: SENT,
            expires_at: life.map(|life| SENT + life),
            initial_life: life,
            refresh_told: None,
            grant_ends_at: None,
        }
    }

    /// The earliest and the latest.
    fn due(lives: Lives, policy: &Policy) -> Option<(Duration, Duration)> {
        let (one, two) = (lives.due_at(policy, 0)? - SENT, lives.due_at(policy, u16::MAX)? - SENT);
        Some((one.min(two), one.max(two)))
    }

    fn within(found: Option<(Duration, Duration)>, earliest: Duration, latest: Duration) {
        let (first, last) = found.unwrap();
        assert!(earliest <= first && last <= latest && first < last, "{first} {last}");
    }

    #[test]
    fn a_set_is_due_before_a_reader_would_refresh_it_and_not_all_at_once() {
        let policy = Policy::default();
        within(due(lives(Some(Duration::HOUR)), &policy), Duration::minutes(45), Duration::minutes(50));
        let short = Duration::seconds(80);
        within(due(lives(Some(short)), &policy), Duration::seconds(50), Duration::seconds(60));
        assert_eq!(due(lives(None), &policy), None);
    }

    #[test]
    fn where_a_refresh_kills_the_access_token_it_is_not_early() {
        let policy = Policy { kills_access_token: true, idle: Some(DAY), ..Policy::default() };
        within(due(lives(Some(Duration::hours(10))), &policy), Duration::hours(8), Duration::hours(9));
        let (first, _) = due(lives(Some(DAY * 10)), &policy).unwrap();
        assert_eq!(first, DAY * 8, "not even where the refresh token dies before");
    }

    #[test]
    fn a_refresh_token_is_used_before_it_dies_of_disuse() {
        let policy = Policy { idle: Some(DAY * 40), ..Policy::default() };
        within(due(lives(None), &policy), DAY * 25, DAY * 30);
        within(due(lives(Some(Duration::HOUR)), &policy), Duration::minutes(45), Duration::minutes(50));
        let told = Lives { refresh_told: Some(SENT + DAY * 20), ..lives(Some(DAY * 365)) };
        within(due(told, &policy), DAY * 12, DAY * 15);
        let short = Lives { refresh_told: Some(SENT + Duration::minutes(30)), ..lives(None) };
        assert_eq!(due(short, &Policy::default()), None);
    }

    #[test]
    fn the_end_of_a_grant_is_found_out_when_it_comes() {
        let ends = Lives { grant_ends_at: Some(SENT + DAY * 365), ..lives(None) };
        assert_eq!(due(ends, &Policy::default()), Some((DAY * 365, DAY * 365)));
        assert_eq!(ends.refresh_expires_at(), Some(SENT + DAY * 365));
        let told = Lives { refresh_told: Some(SENT + DAY), ..ends };
        assert_eq!(told.refresh_expires_at(), Some(SENT + DAY), "the answer knows better");
    }
}
