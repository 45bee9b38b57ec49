//! Does the judge see a broken promise? Evidence with one lie each, beside the same without it.

use time::macros::datetime;

use jeton::sandbox::Ledger;

use super::*;
use crate::harness::plan::Fault;
use crate::harness::record::Killed;

const NOON: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

fn at(seconds: i64) -> OffsetDateTime {
    NOON + time::Duration::seconds(seconds)
}

fn send(seconds: i64, outcome: Outcome, trouble: Option<Trouble>) -> Presentation {
    Presentation { at: at(seconds), outcome, trouble, waiting_ms: 0 }
}

fn token(id: &str, presentations: Vec<Presentation>) -> RefreshEntry {
    RefreshEntry {
        id: id.to_owned(),
        parent: None,
        grant: 1,
        client_id: "sandbox-standard".to_owned(),
        user: "u0".to_owned(),
        issued_at: NOON,
        live: true,
        presented: presentations.len(),
        presentations,
    }
}

/// One connection that was refreshed once and served once.
fn clean() -> Evidence {
    let tokens = vec![token("first", vec![send(0, Outcome::Rotated, None)]), token("second", vec![])];
    Evidence {
        ledger: Ledger { refresh_tokens: tokens, ..Ledger::default() },
        ended: vec![Ended {
            user: "u0".to_owned(),
            state: "active".to_owned(),
            reason: None,
            audited: 1,
            last_answer: "ok".to_owned(),
            asked_at: at(100),
        }],
        hand_outs: vec![HandOut {
            connection: 0,
            holder: Some("u0".to_owned()),
            dies_at: Some(at(60)),
            received_at: at(1),
        }],
        recoveries: vec![recovery(Some(Duration::from_secs(10)))],
        provider_timeout: Duration::from_secs(5),
        ..Evidence::default()
    }
}

fn recovery(took: Option<Duration>) -> Recovery {
    Recovery { fault: Fault::Kill, replica: 0, took }
}

/// The first refresh token was sent twice, 200 s apart: the first time so, the second time with this outcome.
fn twice(first: Presentation, second: Outcome) -> Evidence {
    let mut evidence = clean();
    evidence.ledger.refresh_tokens[0].presentations = vec![first, send(200, second, None)];
    evidence
}

fn lost(mut evidence: Evidence) -> Evidence {
    evidence.ended[0].state = "reauthorization_required".to_owned();
    evidence.ended[0].reason = Some("lost_rotation".to_owned());
    evidence.ended[0].last_answer = "reauthorization_required".to_owned();
    evidence
}

fn killed(mut evidence: Evidence, seconds: i64) -> Evidence {
    evidence.killed.push(Killed { from: at(seconds), to: at(seconds) });
    evidence
}

#[track_caller]
fn caught(evidence: &Evidence, rule: &str) {
    let complaints = judge(evidence).complaints;
    assert!(complaints.len() == 1 && complaints[0].starts_with(rule), "{rule}: {complaints:?}");
}

#[track_caller]
fn fine(evidence: &Evidence) -> Verdict {
    let verdict = judge(evidence);
    assert!(verdict.is_kept(), "{:?}", verdict.complaints);
    verdict
}

#[test]
fn a_clean_run_is_kept_and_an_empty_one_is_not() {
    let verdict = fine(&clean());
    assert_eq!((verdict.refreshes, verdict.active), (1, 1));
    caught(&Evidence::default(), "nothing");
}

#[test]
fn a_double_spend_is_caught() {
    let answered = send(0, Outcome::Rotated, None);
    let mut evidence = lost(twice(answered, Outcome::Reused));
    let complaints = judge(&evidence).complaints;
    assert!(complaints[0].starts_with("double spend"), "{complaints:?}");
    assert!(complaints[1].starts_with("lost_rotation"), "{complaints:?}");
    // Also where the provider shut an eye.
    evidence = twice(send(0, Outcome::Rotated, None), Outcome::Repeated);
    caught(&evidence, "double spend");
    // A readable error is an answer, and a slow answer is one, too.
    let refused = Trouble::Error { status: 400, code: "invalid_scope".into() };
    caught(&twice(send(0, Outcome::NotProcessed, Some(refused)), Outcome::Rotated), "double spend");
    let slow = Presentation { waiting_ms: 4_900, ..send(0, Outcome::Rotated, None) };
    caught(&twice(slow, Outcome::Repeated), "double spend");
}

#[test]
fn a_resend_is_told_by_its_cause() {
    let sends = [
        (send(0, Outcome::NotProcessed, Some(Trouble::Reset)), Cause::AnswerLost),
        (send(0, Outcome::NotProcessed, Some(Trouble::Status(500))), Cause::ServerError),
        (send(0, Outcome::NotProcessed, Some(Trouble::RateLimited { retry_after_s: 1 })), Cause::NotConsumed),
        (Presentation { waiting_ms: 7_000, ..send(0, Outcome::NotProcessed, None) }, Cause::TimedOut),
    ];
    for (first, cause) in sends {
        let verdict = fine(&twice(first, Outcome::Rotated));
        assert_eq!(verdict.resends, BTreeMap::from([(cause, 1)]));
    }
}

#[test]
fn a_kill_explains_only_what_was_under_way() {
    let answered = || twice(send(0, Outcome::Rotated, None), Outcome::Repeated);
    assert_eq!(fine(&killed(answered(), 3)).resends, BTreeMap::from([(Cause::HolderKilled, 1)]));
    caught(&killed(answered(), 6), "double spend");
    caught(&killed(answered(), -4), "double spend");
}

#[test]
fn a_resend_before_the_hold_off_is_caught() {
    let lost = |second: i64| {
        let first = send(0, Outcome::NotProcessed, Some(Trouble::Reset));
        let mut evidence = twice(first, Outcome::Rotated);
        evidence.ledger.refresh_tokens[0].presentations[1].at = at(second);
        evidence
    };
    fine(&lost(120));
    caught(&lost(100), "hold-off");
    let mut shortened = lost(100);
    shortened.hold_offs_until = Some(at(99));
    fine(&shortened);
}

#[test]
fn a_lost_rotation_needs_an_answer_that_was_lost() {
    let lost_answer = send(0, Outcome::Rotated, Some(Trouble::Reset));
    let verdict = fine(&lost(twice(lost_answer, Outcome::Reused)));
    assert_eq!(verdict.lost, BTreeMap::from([(Cause::AnswerLost, 1)]));
    let held = killed(lost(twice(send(0, Outcome::Rotated, None), Outcome::Reused)), 1);
    assert_eq!(fine(&held).lost, BTreeMap::from([(Cause::HolderKilled, 1)]));
    // A request that arrived after its resend.
    let mut late = lost(twice(send(0, Outcome::Reused, Some(Trouble::Reset)), Outcome::Rotated));
    assert_eq!(fine(&late).lost, BTreeMap::from([(Cause::AnswerLost, 1)]));
    late.ledger.refresh_tokens[0].presentations.truncate(1);
    caught(&lost(clean()), "lost_rotation");
}

#[test]
fn other_ends_than_active_and_lost_rotation_are_caught() {
    for (state, reason) in
        [("reauthorization_required", Some("revoked")), ("misconfigured", None), ("revoked", None)]
    {
        let mut evidence = clean();
        evidence.ended[0].state = state.to_owned();
        evidence.ended[0].reason = reason.map(str::to_owned);
        caught(&evidence, "ended");
    }
}

/// The one connection is active and gave nothing in the end.
fn waiting(mut evidence: Evidence) -> Evidence {
    evidence.ended[0].last_answer = "refresh_in_progress".to_owned();
    evidence
}

/// Its second refresh token was sent so.
fn sent(mut evidence: Evidence, sends: Vec<Presentation>) -> Evidence {
    evidence.ledger.refresh_tokens[1].presentations = sends;
    evidence
}

fn asked(mut evidence: Evidence, seconds: i64) -> Evidence {
    evidence.ended[0].asked_at = at(seconds);
    evidence
}

fn cut_off(seconds: i64) -> Presentation {
    send(seconds, Outcome::Rotated, Some(Trouble::Truncated))
}

#[test]
fn an_active_connection_that_gives_nothing_needs_a_send_without_an_answer() {
    caught(&waiting(clean()), "stuck");
    let unknown = sent(waiting(clean()), vec![cut_off(5)]);
    assert_eq!(fine(&unknown).held_off, 1);
    let mut other = unknown.clone();
    other.ended[0].last_answer = "internal".to_owned();
    caught(&other, "stuck");
    // It was answered after all: what came with that was sent, and answered.
    let mut known = unknown;
    known.ledger.refresh_tokens.push(token("third", vec![send(20, Outcome::Rotated, None)]));
    caught(&known, "stuck");
}

#[test]
fn a_hold_off_excuses_nothing_once_it_is_over() {
    let once = || sent(waiting(clean()), vec![cut_off(5)]);
    fine(&asked(once(), 124));
    caught(&asked(once(), 125), "stuck");
    // It doubles.
    let twice =
        || sent(waiting(clean()), vec![send(5, Outcome::NotProcessed, Some(Trouble::Reset)), cut_off(130)]);
    fine(&asked(twice(), 369));
    caught(&asked(twice(), 370), "stuck");
    // The harness shortened it, except where the lease had not lapsed.
    let shortened = |until: i64| Evidence { hold_offs_until: Some(at(until)), ..once() };
    fine(&shortened(15));
    caught(&shortened(16), "stuck");
}

#[test]
fn a_kill_excuses_only_a_connection_that_may_have_been_claimed_then() {
    // The second refresh token is there since 10.
    let since = |issued: i64, kill: i64| {
        let mut evidence = killed(waiting(clean()), kill);
        evidence.ledger.refresh_tokens[1].issued_at = at(issued);
        evidence
    };
    assert_eq!(fine(&since(10, 20)).held_off, 1);
    caught(&since(10, 9), "stuck");
    // Its hold-off ends, too, or is shortened.
    fine(&asked(since(10, 20), 139));
    caught(&asked(since(10, 20), 140), "stuck");
    caught(&Evidence { hold_offs_until: Some(at(31)), ..since(10, 20) }, "stuck");
    // While a send without an answer bars the next there is nothing to claim.
    let unknown = |kill: i64| asked(sent(since(10, kill), vec![cut_off(15)]), 200);
    caught(&unknown(100), "stuck");
    fine(&unknown(131));
}

#[test]
fn a_foreign_token_is_caught() {
    for holder in [None, Some("u1".to_owned())] {
        let mut evidence = clean();
        evidence.hand_outs[0].holder = holder;
        caught(&evidence, "foreign");
    }
}

#[test]
fn an_expired_token_is_caught() {
    let mut evidence = clean();
    evidence.hand_outs[0].received_at = at(60);
    fine(&evidence);
    evidence.hand_outs[0].received_at = at(62);
    caught(&evidence, "expired");
}

#[test]
fn a_missing_audit_record_is_caught() {
    let mut evidence = clean();
    evidence.ended[0].audited = 2;
    fine(&evidence);
    evidence.ended[0].audited = 0;
    caught(&evidence, "audit");
}

#[test]
fn a_slow_recovery_is_caught() {
    for took in [Some(Duration::from_millis(10_001)), None] {
        let mut evidence = clean();
        evidence.recoveries.push(recovery(took));
        caught(&evidence, "recovery");
        assert_eq!(slowest(&evidence.recoveries)["kill -9"], took);
    }
}

#[test]
fn what_must_never_be_answered_is_told() {
    let mut evidence = clean();
    evidence.oddities.push("odd: replica 0 answered 500".to_owned());
    caught(&evidence, "odd");
}
