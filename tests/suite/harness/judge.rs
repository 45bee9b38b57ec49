//! Was the promise kept? A pure judgement over what a run has left behind.
//!
//! Each complaint names a rule, the connection and the instant, so that it can be looked up in the ledger.

#[path = "forged.rs"]
mod forged;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jeton::sandbox::{Outcome, Presentation, RefreshEntry, Trouble};
use time::OffsetDateTime;

use super::record::{Ended, Evidence, HandOut, Recovery};

/// An answer that was sent while its token lived may arrive so much later.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// A killed process's request may have arrived so much after its end,
const IN_BUFFERS: Duration = Duration::from_secs(2);
/// and an answer may have been in its hands, neither stored nor spooled, for so long.
const UNSTORED: Duration = Duration::from_secs(4);
/// A refusal waits in memory alone while the database is away; a stop of ours and its recovery take no longer.
const UNRECORDED: Duration = Duration::from_secs(20);
/// What a replica may take after a fault.
const RECOVERY: Duration = Duration::from_secs(10);
/// The hold-off of a strict connector counts from a claim, which lies so little before its request.
const CLAIMED_BEFORE: Duration = Duration::from_secs(5);
/// A lease outlasts the call by so much.
const LEASE_MORE: Duration = Duration::from_secs(5);

/// Why a refresh token was rightly sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The wire brought no answer, or no readable one.
    AnswerLost,
    /// A 5xx.
    ServerError,
    /// It came after the broker had given up.
    TimedOut,
    /// The process that had sent it was killed before it could store the answer.
    HolderKilled,
    /// The provider took nothing, and said so.
    NotConsumed,
}

impl Cause {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AnswerLost => "answer lost",
            Self::ServerError => "5xx",
            Self::TimedOut => "timed out",
            Self::HolderKilled => "holder killed",
            Self::NotConsumed => "429, not taken",
        }
    }
}

/// The judgement.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// What is wrong; empty where the promise was kept.
    pub(super) complaints: Vec<String>,
    /// Refreshes that the provider accepted.
    pub(super) refreshes: usize,
    /// Sends beyond the first of a refresh token, by the cause of the one before.
    pub(super) resends: BTreeMap<Cause, usize>,
    /// Connections that ended as `lost_rotation`, by what lost it.
    pub(super) lost: BTreeMap<Cause, usize>,
    /// Connections that wait for their hold-off, rightly.
    pub(super) held_off: usize,
    pub(super) active: usize,
}

/// Judges a run.
pub(super) fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.complaints.extend(evidence.oddities.iter().cloned());
    let mut families: HashMap<&str, Vec<&RefreshEntry>> = HashMap::new();
    for entry in &evidence.ledger.refresh_tokens {
        families.entry(&entry.user).or_default().push(entry);
        verdict.of_token(evidence, entry);
    }
    for hand_out in &evidence.hand_outs {
        verdict.complaints.extend(wrong_with(hand_out, &evidence.ended));
    }
    let mut received = vec![0; evidence.ended.len()];
    evidence.hand_outs.iter().for_each(|one| received[one.connection] += 1);
    for (ended, received) in evidence.ended.iter().zip(received) {
        let family = families.get(ended.user.as_str()).map_or(&[][..], Vec::as_slice);
        verdict.of_connection(evidence, ended, family);
        if ended.audited < received {
            let (user, audited) = (&ended.user, ended.audited);
            verdict.complain(format!(
                "audit: {user}: {received} hand-outs were received, {audited} are recorded"
            ));
        }
    }
    verdict.complaints.extend(evidence.recoveries.iter().filter_map(too_slow));
    if evidence.hand_outs.is_empty() || verdict.refreshes == 0 {
        verdict.complain("nothing was handed out, or nothing refreshed: a run that shows nothing".to_owned());
    }
    verdict
}

impl Verdict {
    pub(super) fn is_kept(&self) -> bool {
        self.complaints.is_empty()
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// A refresh token is sent again only where every earlier send left no answer.
    fn of_token(&mut self, evidence: &Evidence, entry: &RefreshEntry) {
        let sends = &entry.presentations;
        self.refreshes += sends.iter().filter(|send| send.outcome.is_accepted()).count();
        for (send, next) in sends.iter().zip(sends.iter().skip(1)) {
            let told = || format!("{} of {} at {}", short(&entry.id), entry.user, send.at);
            let Some(cause) = cause(evidence, send) else {
                self.complain(format!("double spend: {} was answered and sent again at {}", told(), next.at));
                continue;
            };
            *self.resends.entry(cause).or_default() += 1;
            let own = evidence.hold_offs_until.is_none_or(|until| next.at < until);
            if cause != Cause::NotConsumed && own && next.at - send.at < hold_off(1) - CLAIMED_BEFORE {
                self.complain(format!("hold-off: {} was sent again at {}", told(), next.at));
            }
        }
    }

    fn of_connection(&mut self, evidence: &Evidence, ended: &Ended, family: &[&RefreshEntry]) {
        let user = &ended.user;
        match (ended.state.as_str(), ended.reason.as_deref(), ended.last_answer.as_str()) {
            ("active", _, "ok") => self.active += 1,
            ("active", _, "refresh_in_progress" | "provider_unavailable")
                if awaits(evidence, ended, family) =>
            {
                self.held_off += 1;
            }
            ("active", _, answer) => {
                self.complain(format!(
                    "stuck: {user} is active, answers `{answer}`, and no send explains it"
                ));
            }
            ("reauthorization_required", Some("lost_rotation"), _) => match loss(evidence, family) {
                Some(cause) => *self.lost.entry(cause).or_default() += 1,
                None => self.complain(format!("lost_rotation: nothing lost the answer of {user}")),
            },
            (state, reason, _) => {
                self.complain(format!("ended: {user} is {state} ({})", reason.unwrap_or("no reason")));
            }
        }
    }
}

/// Why the outcome of a send is not known to the broker, or that it was not taken; none: it was answered.
fn cause(evidence: &Evidence, send: &Presentation) -> Option<Cause> {
    match &send.trouble {
        Some(Trouble::RateLimited { .. }) if send.outcome == Outcome::NotProcessed => {
            return Some(Cause::NotConsumed);
        }
        Some(Trouble::Status(500..)) => return Some(Cause::ServerError),
        Some(Trouble::Error { .. } | Trouble::RateLimited { .. } | Trouble::Status(_)) => {}
        Some(_) => return Some(Cause::AnswerLost),
        None => {}
    }
    let waited = Duration::from_millis(send.waiting_ms);
    if waited >= evidence.provider_timeout {
        return Some(Cause::TimedOut);
    }
    let begin = send.at - IN_BUFFERS;
    let end = send.at + waited + if send.outcome.is_accepted() { UNSTORED } else { UNRECORDED };
    let killed = evidence.killed.iter().any(|killed| killed.to >= begin && killed.from <= end);
    killed.then_some(Cause::HolderKilled)
}

/// What lost the answer that the provider had given: a spent refresh token came again, since nobody knew.
fn loss(evidence: &Evidence, family: &[&RefreshEntry]) -> Option<Cause> {
    let reused = family.iter().find(|entry| entry.presentations.iter().any(is_reuse))?;
    let again = reused.presentations.iter().position(is_reuse)?;
    let spent = reused.presentations.iter().position(|send| send.outcome.is_accepted())?;
    // A request that arrived after its resend: the second of them was the one that was answered.
    let first = &reused.presentations[spent.min(again)];
    cause(evidence, first).filter(|cause| *cause != Cause::NotConsumed)
}

fn is_reuse(send: &Presentation) -> bool {
    send.outcome == Outcome::Reused
}

/// Whether the refresh token in force may not be sent yet: its last send left no answer, or a process was killed that
/// may have claimed it and sent nothing; and the hold-off of that claim was not over when the last call was answered.
fn awaits(evidence: &Evidence, ended: &Ended, family: &[&RefreshEntry]) -> bool {
    let in_doubt =
        |send: &&Presentation| cause(evidence, send).is_some_and(|cause| cause != Cause::NotConsumed);
    let sends =
        family.iter().rfind(|entry| !entry.presentations.is_empty()).map(|entry| &entry.presentations);
    let unanswered = sends.and_then(|sends| sends.last()).filter(in_doubt);
    let sent = unanswered.and(sends).map_or(0, |sends| sends.iter().filter(in_doubt).count());
    let barred = |since: OffsetDateTime, sent: usize| {
        let lapsed = since + evidence.provider_timeout + LEASE_MORE;
        evidence.hold_offs_until.is_none_or(|until| lapsed >= until)
            && ended.asked_at < since + hold_off(sent)
    };
    // Nobody could claim it before it was there, or before its own hold-off was over.
    let claimable = match unanswered {
        Some(send) => Some(send.at + hold_off(sent) - CLAIMED_BEFORE),
        None => family.last().map(|entry| entry.issued_at),
    };
    let kills = evidence.killed.iter().filter(|kill| claimable.is_some_and(|since| kill.to >= since));
    unanswered.is_some_and(|send| barred(send.at, sent))
        || kills.map(|kill| kill.to).any(|at| barred(at, sent + 1))
}

/// From the claim on, after so many sends whose outcome is not known.
fn hold_off(sends: usize) -> Duration {
    (1..sends).fold(Duration::from_secs(120), |time, _| time * 2).min(Duration::from_secs(3_600))
}

fn wrong_with(hand_out: &HandOut, ended: &[Ended]) -> Option<String> {
    let HandOut { connection, holder, dies_at, received_at } = hand_out;
    let user = &ended[*connection].user;
    match holder {
        None => return Some(format!("foreign: {user} got a token that was never issued, at {received_at}")),
        Some(holder) if holder != user => {
            return Some(format!("foreign: {user} got a token of {holder} at {received_at}"));
        }
        Some(_) => {}
    }
    let died = dies_at.filter(|dies| *dies + UNDER_WAY < *received_at)?;
    Some(format!("expired: {user} got a token at {received_at} that had died at {died}"))
}

fn too_slow(recovery: &Recovery) -> Option<String> {
    let Recovery { fault, replica, took } = recovery;
    let told = match took {
        Some(took) if *took <= RECOVERY => return None,
        Some(took) => format!("took {took:.1?}"),
        None => "did not come back".to_owned(),
    };
    Some(format!("recovery: replica {replica} {told} after `{}`", fault.name()))
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// The slowest recovery after each kind of fault.
pub(super) fn slowest(recoveries: &[Recovery]) -> BTreeMap<&'static str, Option<Duration>> {
    let mut slowest: BTreeMap<&'static str, Option<Duration>> = BTreeMap::new();
    for recovery in recoveries {
        let worst = slowest.entry(recovery.fault.name()).or_insert(recovery.took);
        *worst = worst.zip(recovery.took).map(|(one, other)| one.max(other));
    }
    slowest
}
