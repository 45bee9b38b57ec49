//! `jeton doctor`: what is wrong with this installation, and what is to be done?

use std::io::Write;

use serde_json::json;

use super::server_args::{ServerArgs, nature};
use super::{Error, output};
use crate::app::doctor::{Check, Remedy, Verdict, examine};
use crate::telemetry;

/// Look at configuration, database, keys, clock, disk and providers, and say what to do
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Call no provider
    #[arg(long)]
    offline: bool,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    telemetry::start_quietly();
    let checks = examine(args.server.read(Vec::new()), &nature(), args.offline).await;
    let mut out = std::io::stdout().lock();
    if args.json {
        output::json(&mut out, &json!({ "checks": checks }))?;
    } else {
        for check in &checks {
            writeln!(out, "{}", output::printable(&line(check)))?;
        }
    }
    out.flush()?;
    conclude(&checks)
}

/// One line: how it is, what, what was seen, what to do.
fn line(check: &Check) -> String {
    let advice = check.advice.iter().fold(String::new(), |all, advice| format!("{all}. {advice}"));
    let line = format!("{:<8} {:<17} {}{advice}", check.verdict.as_str(), check.check, check.says);
    if line.ends_with(['?', '.', '!']) { line } else { format!("{line}.") }
}

fn conclude(checks: &[Check]) -> Result<(), Error> {
    let failures = checks.iter().filter(|check| check.verdict == Verdict::Failure);
    let failed = failures.clone().count();
    let configure = failures.clone().any(|check| check.remedy == Some(Remedy::Configure));
    match failed {
        0 => Ok(()),
        1.. => Err(Error::Ailing { failed, passing: !configure }),
    }
}
