//! `jeton connection import`: how do tokens that were got elsewhere move in?
//!
//! The whole file is read and checked before anything is sent, and no message quotes it: it holds tokens.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde_json::{Deserializer, Map, Value, json};

use crate::cli::remote::{Call, Remote, failing};
use crate::cli::{Error, input, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// JSON or JSON lines, each with `app_id`, `connector` and the import body; - is standard input
    file: PathBuf,
    /// Check the file and show what would be imported; nothing is sent
    #[arg(long)]
    dry_run: bool,
    /// Replace connections that exist
    #[arg(long)]
    replace: bool,
    /// Make the apps that do not exist
    #[arg(long)]
    create_apps: bool,
}

/// One connection to import.
struct Record {
    app: String,
    connector: String,
    body: Map<String, Value>,
}

const FIELDS: [&str; 8] =
    ["access_token", "refresh_token", "expires_in", "expires_at", "scope", "flow", "extra", "replace"];

const COLUMNS: [&str; 6] = ["app_id", "connector", "flow", "result", "error", "trace_id"];

pub(super) async fn run(remote: &Remote, args: Args) -> Result<(), Error> {
    let records = parse(&input::text(&args.file)?, &args.file, args.replace)?;
    if args.dry_run {
        let rows = records.iter().map(|record| record.row("would be imported")).collect();
        return remote.show_items(rows, &COLUMNS);
    }
    if args.create_apps {
        create_apps(remote, &records).await?;
    }
    let mut rows = Vec::new();
    let mut first_code = None;
    for record in &records {
        let row = match record.send(remote).await {
            Ok(()) => record.row("imported"),
            Err(error) => {
                first_code.get_or_insert(error.exit_code());
                record.refused(&error)
            }
        };
        rows.push(row);
        progress(rows.len(), records.len());
    }
    let failed = rows.iter().filter(|row| row.get("error").is_some_and(|error| !error.is_null())).count();
    remote.show_items(rows, &COLUMNS)?;
    match first_code {
        Some(code) => Err(Error::Incomplete { failed, all: records.len(), code }),
        None => Ok(()),
    }
}

impl Record {
    async fn send(&self, remote: &Remote) -> Result<(), jeton_client::Error> {
        let path = ["apps", &self.app, "connections", &self.connector, "import"];
        remote.ask(Call::post(&path, Value::Object(self.body.clone()))).await.map(|_| ())
    }

    fn row(&self, result: &str) -> Value {
        let flow = self.body.get("flow").cloned().unwrap_or_else(|| "default".into());
        json!({"app_id": self.app, "connector": self.connector, "flow": flow, "result": result, "error": null})
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

async fn create_apps(remote: &Remote, records: &[Record]) -> Result<(), Error> {
    let apps: BTreeSet<_> = records.iter().map(|record| record.app.as_str()).collect();
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

fn parse(text: &str, file: &Path, replace: bool) -> Result<Vec<Record>, Error> {
    let malformed = |place: String, reason: &str| Error::Malformed { place, reason: reason.to_owned() };
    let mut records = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        // The parser's message may quote a token; its place says enough.
        let value = value.map_err(|error| {
            malformed(format!("{}, line {}", input::name(file), error.line()), "not JSON from here on")
        })?;
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let place = format!("{}, record {}", input::name(file), records.len() + 1);
            records.push(record(value, replace).map_err(|reason| malformed(place, reason))?);
        }
    }
    match records.is_empty() {
        true => Err(malformed(input::name(file), "no records in it")),
        false => Ok(records),
    }
}

fn record(value: Value, replace: bool) -> Result<Record, &'static str> {
    let Value::Object(mut body) = value else { return Err("must be an object") };
    let app = take_text(&mut body, "app_id").ok_or("needs an `app_id`")?;
    let connector = take_text(&mut body, "connector").ok_or("needs a `connector`")?;
    if body.keys().any(|name| !FIELDS.contains(&name.as_str())) {
        return Err("has a field that an import does not take");
    }
    let is_text = |name: &str| body.get(name).is_none_or(|value| value.is_null() || value.is_string());
    if body.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("needs an `access_token`");
    }
    if !["refresh_token", "expires_at", "scope", "flow"].into_iter().all(is_text) {
        return Err("`refresh_token`, `expires_at`, `scope` and `flow` must be texts");
    }
    if body.get("expires_in").is_some_and(|v| !v.is_null())
        && body.get("expires_at").is_some_and(|v| !v.is_null())
    {
        return Err("has both `expires_in` and `expires_at`");
    }
    if replace {
        body.insert("replace".to_owned(), true.into());
    }
    Ok(Record { app, connector, body })
}

fn take_text(body: &mut Map<String, Value>, name: &str) -> Option<String> {
    match body.remove(name)? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Record>, Error> {
        parse(text, Path::new("old.jsonl"), true)
    }

    #[test]
    fn lines_an_object_and_a_list_are_read() {
        let one = r#"{"app_id":"a","connector":"github","access_token":"t","expires_in":60}"#;
        for (text, count) in [
            (one.to_owned(), 1),
            (format!("{one}\n{one}\n"), 2),
            (format!("[{one},\n{one}]"), 2),
            (one.replace(',', ",\n"), 1),
        ] {
            let records = read(&text).unwrap();
            assert_eq!(records.len(), count, "{text}");
            assert_eq!((records[0].app.as_str(), records[0].connector.as_str()), ("a", "github"));
            let body = json!({"access_token": "t", "expires_in": 60, "replace": true});
            assert_eq!(Value::Object(records[0].body.clone()), body);
        }
    }

    #[test]
    fn one_bad_record_refuses_the_file_without_quoting_it() {
        let good = r#"{"app_id":"a","connector":"github","access_token":"canary"}"#;
        for (bad, why) in [
            (r#"{"app_id":"a","connector":"g"}"#, "old.jsonl, record 2: needs an `access_token`"),
            (r#"{"connector":"g","access_token":"canary"}"#, "old.jsonl, record 2: needs an `app_id`"),
            (r#"{"app_id":"a","connector":"g","access_token":"canary","canary":1}"#, "record 2: has a field"),
            (r#"{"app_id":"a","connector":"g","access_token":"x","expires_in":1,"expires_at":"y"}"#, "both"),
            (r#"{"app_id":"a","access_token":"canary"#, "old.jsonl, line 2: not JSON"),
            ("canary", "line 2"),
        ] {
            let line = read(&format!("{good}\n{bad}")).err().unwrap().line();
            assert!(line.contains(why) && !line.contains("canary"), "{line}");
        }
        assert!(read("").err().unwrap().line().contains("no records"));
    }
}
