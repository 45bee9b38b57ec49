//! A run from its start to its verdict.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;

use super::callers::{Answer, ask, call_on};
use super::conductor::Conductor;
use super::ground::Ground;
use super::judge::judge;
use super::plan::Plan;
use super::record::{Ended, Evidence, Notes, now};
use super::table::table;
use crate::support::peer::skipped;
use crate::support::sql::Sql;

/// Nothing is resent for so long after a start, or after the database came back.
const SETTLE: Duration = Duration::from_secs(16);
/// A hold-off, its doubling, and what a resend takes.
const HOLD_OFFS: Duration = Duration::from_secs(240 + 15);
/// Calls at once when every connection is asked a last time.
const LAST_CALLS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(40);

/// Runs a plan, prints its table, and panics where the promise was broken.
pub(super) async fn run(plan: Plan) {
    let begun = Instant::now();
    let limit = plan.limit;
    let told = tokio::time::timeout(limit, Box::pin(to_its_end(plan, begun))).await;
    match told.expect("a run ends in its time") {
        Some(Ok(table)) => tell(&table),
        Some(Err(table)) => panic!("the promise was broken\n{table}"),
        None => {}
    }
}

async fn to_its_end(plan: Plan, begun: Instant) -> Option<Result<String, String>> {
    progress(begun, &format!("{} connections are made", plan.connections));
    let ground = match Ground::prepare(plan).await {
        Ok(ground) => Arc::new(ground),
        Err(why) => return skipped(&format!("the harness: {why}")),
    };
    let number = ground.plan.callers;
    let callers: Vec<_> =
        (0..number).map(|number| tokio::spawn(call_on(Arc::clone(&ground), number))).collect();
    let last_start = storm(&ground, begun).await;
    let hold_offs_until = settle(&ground, begun, last_start).await;
    progress(begun, "every connection is asked a last time, when the tokens of now have died");
    tokio::time::sleep(Duration::from_secs(ground.plan.lifetime_s)).await;
    ground.end();
    for caller in callers {
        caller.await.unwrap();
    }
    let last_answers = last_calls(&ground).await;
    let ended = ends(&ground, last_answers).await;
    let ground = Arc::into_inner(ground).expect("all callers have ended");
    Some(verdict(ground, ended, hold_offs_until, begun).await)
}

/// The faults, in their order; when the last of them ended that makes replicas wait.
async fn storm(ground: &Ground, begun: Instant) -> Instant {
    let mut conductor = Conductor::of(ground);
    let mut last_start = Instant::now();
    for (number, fault) in ground.plan.faults.iter().enumerate() {
        if begun.elapsed() > ground.plan.storm {
            ground.record.odd(format!("time: {number} of {} faults were made", ground.plan.faults.len()));
            break;
        }
        let of = ground.plan.faults.len();
        let served = ground.record.write(|notes| notes.hand_outs.len());
        progress(begun, &format!("fault {} of {of}: {}; {served} hand-outs", number + 1, fault.name()));
        conductor.make(*fault).await;
        tokio::time::sleep(ground.plan.calm).await;
        if !fault.is_of_the_provider() {
            last_start = Instant::now();
        }
    }
    last_start
}

/// Waits until every unknown outcome can be known; callers go on. Gives until when hold-offs were the product's own.
async fn settle(ground: &Ground, begun: Instant, last_start: Instant) -> Option<OffsetDateTime> {
    if ground.plan.waits_for_hold_offs {
        let until = Instant::now() + HOLD_OFFS;
        while Instant::now() < until {
            let held = held_off(ground).await;
            progress(begun, &format!("{held} connections wait for their hold-off"));
            // Twice the life of a token, so that every connection has been refreshed since the last fault.
            if held == 0 && last_start.elapsed() > Duration::from_secs(ground.plan.lifetime_s) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        return None;
    }
    progress(begun, "the replicas settle");
    tokio::time::sleep(SETTLE.saturating_sub(last_start.elapsed())).await;
    let until = now();
    // A lease that its holder did not live to give back has lapsed.
    let lapsed = format!("lease_id IS NULL OR lease_until < {}", until.unix_timestamp_nanos() / 1_000);
    let sql = Sql::open(&ground.home).await;
    sql.run(&format!("UPDATE connection SET resend_after = NULL WHERE {lapsed}")).await;
    Some(until)
}

async fn held_off(ground: &Ground) -> usize {
    Sql::open(&ground.home).await.count("connection WHERE state = 'active' AND sends > 0").await
}

/// Every connection once more: what it was answered, and when.
async fn last_calls(ground: &Ground) -> Vec<(String, OffsetDateTime)> {
    let replicas = ground.plan.replicas;
    stream::iter(0..ground.connections.len())
        .map(|number| async move {
            let (mut last, mut asked_at) = (String::new(), now());
            // A connection that backs off is asked again a little later.
            for _ in 0..5 {
                last = match ask(ground, number % replicas, number, PATIENCE).await {
                    Answer::Token => return ("ok".to_owned(), now()),
                    Answer::Problem(code) => code,
                    Answer::Nothing => "nothing".to_owned(),
                };
                asked_at = now();
                if last == "reauthorization_required" {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            (last, asked_at)
        })
        .buffered(LAST_CALLS)
        .collect()
        .await
}

/// What the rows and the audit trail say at the end.
async fn ends(ground: &Ground, last_answers: Vec<(String, OffsetDateTime)>) -> Vec<Ended> {
    let sql = Sql::open(&ground.home).await;
    let rows = sql
        .texts(
            "SELECT c.app || ' ' || c.flow || ' ' || c.state || ' ' || COALESCE(c.reason, '-') || ' ' || \
             (SELECT CAST(count(*) AS TEXT) FROM audit_event a WHERE a.action = 'token.hand_out' \
              AND a.app = c.app AND a.flow = c.flow) FROM connection c",
        )
        .await;
    let rows: std::collections::HashMap<(String, String), Vec<String>> = rows
        .iter()
        .map(|row| {
            let words: Vec<String> = row.split(' ').map(str::to_owned).collect();
            ((words[0].clone(), words[1].clone()), words[2..].to_vec())
        })
        .collect();
    let ended = |(connection, (last_answer, asked_at)): (&super::ground::Connection, _)| {
        let row = &rows[&(connection.app.clone(), connection.flow.clone())];
        Ended {
            user: connection.user.clone(),
            state: row[0].clone(),
            reason: Some(row[1].clone()).filter(|reason| reason != "-"),
            audited: row[2].parse().unwrap(),
            last_answer,
            asked_at,
        }
    };
    ground.connections.iter().zip(last_answers).map(ended).collect()
}

/// Ends everything and judges it; the table either way.
async fn verdict(
    ground: Ground,
    ended: Vec<Ended>,
    hold_offs_until: Option<OffsetDateTime>,
    begun: Instant,
) -> Result<String, String> {
    let Ground { plan, sandbox, replicas, record, cluster, wire, disk, home, .. } = ground;
    let logs: Vec<(usize, String)> = replicas.into_iter().map(|one| (one.number, one.into_log())).collect();
    let ledger = sandbox.handle().ledger();
    sandbox.stop().await;
    let mut notes = record.into_notes();
    let evidence = Evidence {
        ledger,
        ended,
        hand_outs: std::mem::take(&mut notes.hand_outs),
        killed: std::mem::take(&mut notes.killed),
        recoveries: std::mem::take(&mut notes.recoveries),
        provider_timeout: plan.provider_timeout,
        hold_offs_until,
        oddities: std::mem::take(&mut notes.oddities),
    };
    let verdict = judge(&evidence);
    let text = table(&plan, &notes, &evidence, &verdict, begun.elapsed());
    drop((wire, cluster, disk, home));
    if verdict.is_kept() {
        return Ok(text);
    }
    let folder = keep(&plan, &notes, &evidence, &logs);
    Err(format!("{text}\n  ledger and logs: {folder}"))
}

/// Keeps what the reader of a broken run needs.
fn keep(plan: &Plan, notes: &Notes, evidence: &Evidence, logs: &[(usize, String)]) -> String {
    let name = format!("harness-{}-{}", plan.base.name(), plan.seed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ledger.json"), serde_json::to_vec_pretty(&evidence.ledger).unwrap()).unwrap();
    std::fs::write(folder.join("faults.txt"), notes.timeline.join("\n")).unwrap();
    for (number, log) in logs {
        std::fs::write(folder.join(format!("replica-{number}.log")), log).unwrap();
    }
    folder.display().to_string()
}

/// Where somebody watches.
#[expect(clippy::print_stderr, reason = "who runs the harness by hand sees how far it is")]
fn progress(begun: Instant, what: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("{:>4} s  {what}", begun.elapsed().as_secs());
    }
}

#[expect(clippy::print_stdout, reason = "the table is what a run is for")]
fn tell(table: &str) {
    println!("{table}");
}
