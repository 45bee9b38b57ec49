//! `jeton connection import`: how do tokens that were got elsewhere move in?
//!
//! The whole file is read before anything is sent; a bad line is told and the others go.

mod record;

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::remote::{Call, Remote, failing};
use crate::cli::{Error, input, output};

use self::record::{Fault, Record};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// JSON or JSON lines, each with `app_id`, `connector` and the import body; - is standard input
    file: PathBuf,
    /// Check the form of each line; nothing is sent, and no app or connector looked up
    #[arg(long)]
    dry_run: bool,
    /// Replace connections that exist
    #[arg(long)]
    replace: bool,
    /// Make the apps that do not exist
    #[arg(long)]
    create_apps: bool,
}

const COLUMNS: [&str; 7] = ["line", "app_id", "connector", "flow", "result", "error", "trace_id"];

/// What became of the records.
#[derive(Default)]
struct Tally {
    rows: Vec<Value>,
    refused: usize,
    bad: usize,
    /// Exit code of the first refusal.
    code: Option<u8>,
}

pub(super) async fn run(remote: &Remote, args: Args) -> Result<(), Error> {
    let records = record::read(&input::bytes(&args.file)?, args.replace);
    if records.is_empty() {
        let reason = "no records in it".to_owned();
        return Err(Error::Malformed { place: input::name(&args.file), reason });
    }
    if args.create_apps && !args.dry_run {
        create_apps(remote, records.iter().flatten()).await?;
    }
    let mut tally = Tally::default();
    let all = records.len();
    for record in &records {
        match record {
            Err(fault) => tally.note_fault(fault),
            Ok(record) if args.dry_run => tally.rows.push(record.row("well formed")),
            Ok(record) => tally.note(record, record.send(remote).await),
        }
        progress(tally.rows.len(), all);
    }
    let done = match args.dry_run {
        true => "well formed; nothing was sent, and whether the apps and connectors exist was not asked",
        false => "imported",
    };
    tally.conclude(remote, all, done)
}

impl Tally {
    fn note(&mut self, record: &Record, sent: Result<(), jeton_client::Error>) {
        self.rows.push(match sent {
            Ok(()) => record.row("imported"),
            Err(error) => {
                self.refused += 1;
                self.code.get_or_insert(error.exit_code());
                record.refused(&error)
            }
        });
    }

    fn note_fault(&mut self, fault: &Fault) {
        self.bad += 1;
        let Fault { line, place, reason } = fault;
        self.rows.push(
            json!({"line": line, "app_id": place.app, "connector": place.connector, "flow": place.flow,
            "result": "bad line", "error": reason}),
        );
    }

    fn conclude(self, remote: &Remote, all: usize, done: &str) -> Result<(), Error> {
        let Self { rows, refused, bad, code } = self;
        remote.show_items(rows, &COLUMNS)?;
        if refused + bad > 0 {
            return Err(Error::Incomplete { refused, bad, all, code: code.unwrap_or(1) });
        }
        writeln!(std::io::stderr(), "jeton: {all} connection(s) {done}").ok();
        Ok(())
    }
}

impl Record {
    async fn send(&self, remote: &Remote) -> Result<(), jeton_client::Error> {
        let path = ["apps", &self.app, "connections", &self.connector, "import"];
        remote.ask(Call::post(&path, Value::Object(self.body.clone()))).await.map(|_| ())
    }

    fn row(&self, result: &str) -> Value {
        let Self { line, app, connector, body } = self;
        let flow = body.get("flow").cloned().unwrap_or_else(|| "default".into());
        json!({"line": line, "app_id": app, "connector": connector, "flow": flow, "result": result, "error": null})
    }

    fn refused(&self, error: &jeton_client::Error) -> Value {
        let mut row = self.row("refused");
        if let Some(fields) = row.as_object_mut() {
            fields.insert("error".to_owned(), output::printable(&error.to_string()).into());
            let trace_id = error.problem().and_then(|problem| problem.trace_id.clone());
            fields.insert("trace_id".to_owned(), trace_id.into());
        }
        row
    }
}

async fn create_apps(remote: &Remote, records: impl Iterator<Item = &Record>) -> Result<(), Error> {
    let apps: BTreeSet<_> = records.map(|record| record.app.as_str()).collect();
    for app in apps {
        let doing = format!("cannot make the app {app}");
        match remote.ask(Call::get(&["apps", app])).await {
            Ok(_) => {}
            Err(error) if error.problem().is_some_and(|problem| problem.code == "app_not_found") => {
                let body = json!({"id": app, "name": app});
                remote.ask(Call::post(&["apps"], body)).await.map_err(failing(doing))?;
            }
            Err(error) => return Err(failing(doing)(error)),
        }
    }
    Ok(())
}

fn progress(done: usize, all: usize) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let end = if done == all { "\n" } else { "" };
        write!(err, "\r{done} of {all}{end}").ok();
    }
}
