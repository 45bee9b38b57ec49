//! The cases of docs/benchmarks.md, one file each.

mod crowd;
mod growth;
mod hand_out;
mod issue;
mod start;
mod sweep;

use std::io::Write;

use crate::spread::Spread;
use crate::stage::{Kind, Stage};
use crate::table::{self, Row};
use crate::{Fallible, RunArgs};

/// Measures what is asked for, prints the table, and writes it into the document.
pub(crate) async fn run(args: &RunArgs) -> Fallible<()> {
    let stage = Stage::new(args)?;
    let mut rows = Vec::new();
    let wants = |name: &str| name.contains(&args.only);
    if wants("hand-out-sqlite") {
        rows.extend(hand_out::measure(&stage, Kind::Sqlite).await?);
    }
    if wants("hand-out-postgres") {
        rows.extend(hand_out::measure(&stage, Kind::Postgres).await?);
    }
    if wants("issue") {
        rows.extend(issue::measure(&stage).await?);
    }
    if wants("crowd-sqlite") {
        rows.extend(crowd::measure(&stage, Kind::Sqlite).await?);
    }
    if wants("crowd-postgres") {
        rows.extend(crowd::measure(&stage, Kind::Postgres).await?);
    }
    if wants("growth-sqlite") {
        rows.extend(growth::measure(&stage, Kind::Sqlite).await?);
    }
    if wants("growth-postgres") {
        rows.extend(growth::measure(&stage, Kind::Postgres).await?);
    }
    if wants("sweep") {
        rows.extend(sweep::measure(&stage).await?);
    }
    if wants("start") {
        rows.extend(start::measure(&stage).await?);
    }
    let table = table::markdown(&rows);
    writeln!(std::io::stdout(), "\n{table}")?;
    if let Some(document) = &args.write {
        table::write_into(document, &table)?;
    }
    Ok(())
}

/// Few, who wait for the disk; and enough to keep a core busy while others wait.
const CALLERS: [u32; 2] = [32, 512];

fn say(text: &str) {
    // Where standard error is closed there is nobody left to tell.
    writeln!(std::io::stderr(), "{text}").ok();
}

/// A row whose ratio to the floor must be at least this.
fn at_least(case: String, unit: &'static str, floor: &[f64], measured: &[f64], wanted: f64) -> Row {
    let ratio = Spread::of_ratios(measured, floor);
    Row {
        case,
        unit,
        floor: Some(Spread::of(floor)),
        measured: Spread::of(measured),
        ratio: Some(ratio),
        wanted: format!("at least {wanted} of the floor"),
        reached: ratio.median >= wanted,
    }
}

/// A row whose ratio to the floor must be at most this.
fn at_most_times(case: String, unit: &'static str, floor: &[f64], measured: &[f64], wanted: f64) -> Row {
    let ratio = Spread::of_ratios(measured, floor);
    Row {
        case,
        unit,
        floor: Some(Spread::of(floor)),
        measured: Spread::of(measured),
        ratio: Some(ratio),
        wanted: format!("at most {wanted} times"),
        reached: ratio.median <= wanted,
    }
}

/// A row without a floor, whose figure must be under this.
fn under(case: String, unit: &'static str, measured: &[f64], wanted: f64) -> Row {
    let measured = Spread::of(measured);
    let reached = measured.median < wanted;
    Row { case, unit, floor: None, measured, ratio: None, wanted: format!("under {wanted}"), reached }
}
