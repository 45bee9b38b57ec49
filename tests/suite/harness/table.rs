//! How is a run told? In one table.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use comfy_table::{Table, presets};

use super::judge::{Cause, Verdict, slowest};
use super::plan::Plan;
use super::record::{Evidence, Notes};

/// Complaints that are printed; the rest is counted.
const COMPLAINTS: usize = 40;

/// Everything in a table, the verdict last.
pub(super) fn table(
    plan: &Plan,
    notes: &Notes,
    evidence: &Evidence,
    verdict: &Verdict,
    took: Duration,
) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    let mut line = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    line("seed", plan.seed.to_string());
    line("database", plan.base.name().to_owned());
    line(
        "sizes",
        format!(
            "{} replicas, {} callers, {} connections, tokens of {} s",
            plan.replicas, plan.callers, plan.connections, plan.lifetime_s
        ),
    );
    line("took", format!("{:.0?}", took));
    line("faults made", counts(&notes.faults));
    line("skipped", if notes.skipped.is_empty() { "nothing".to_owned() } else { told(&notes.skipped) });
    line("kills", evidence.killed.len().to_string());
    line("hand-outs", evidence.hand_outs.len().to_string());
    line("audited", evidence.ended.iter().map(|ended| ended.audited).sum::<usize>().to_string());
    line("other answers", counts(&notes.refusals));
    line("refreshes", verdict.refreshes.to_string());
    line("re-sends", causes(&verdict.resends));
    line("active at the end", verdict.active.to_string());
    line("lost rotations", causes(&verdict.lost));
    line("held off at the end", verdict.held_off.to_string());
    line("slowest recovery", recoveries(&slowest(&evidence.recoveries)));
    line("verdict", if verdict.is_kept() { "kept" } else { "BROKEN" }.to_owned());
    let mut text = table.to_string();
    for complaint in verdict.complaints.iter().take(COMPLAINTS) {
        text.push_str(&format!("\n  {complaint}"));
    }
    if let Some(more) = verdict.complaints.len().checked_sub(COMPLAINTS).filter(|more| *more > 0) {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}

fn counts<K: Display>(of: &BTreeMap<K, usize>) -> String {
    let lines: Vec<String> = of.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join("\n") }
}

fn causes(of: &BTreeMap<Cause, usize>) -> String {
    counts(&of.iter().map(|(cause, count)| (cause.name(), *count)).collect())
}

fn told(of: &BTreeMap<&'static str, String>) -> String {
    of.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("\n")
}

fn recoveries(of: &BTreeMap<&'static str, Option<Duration>>) -> String {
    let time = |took: &Option<Duration>| {
        took.map_or("never".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()))
    };
    of.iter().map(|(name, took)| format!("{} {name}", time(took))).collect::<Vec<_>>().join("\n")
}
