//! How is a result shown: as a table for people, or as JSON for programs?

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Prints one value as JSON.
pub(super) fn json(out: &mut impl Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

/// Prints items as a table of those columns that some item has.
pub(super) fn table(out: &mut impl Write, items: &[Value], columns: &[&str]) -> io::Result<()> {
    let has = |column: &&&str| items.iter().any(|item| item.get(**column).is_some());
    let columns: Vec<_> = columns.iter().filter(has).collect();
    if columns.is_empty() {
        return writeln!(out, "none");
    }
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.replace('_', " ").to_uppercase()));
    for item in items {
        table.add_row(columns.iter().map(|column| item.get(**column).map(cell).unwrap_or_default()));
    }
    print(out, &table)
}

/// Prints one value, a line for each of its fields; those of an inner object are named after it: `delivery.state`.
pub(super) fn record(out: &mut impl Write, value: &Value) -> io::Result<()> {
    let Some(fields) = value.as_object() else {
        return if value.is_null() { Ok(()) } else { writeln!(out, "{}", cell(value)) };
    };
    let mut table = plain();
    add_lines(&mut table, "", fields);
    print(out, &table)
}

fn add_lines(table: &mut Table, prefix: &str, fields: &Map<String, Value>) {
    for (name, value) in fields {
        let name = printable(&format!("{prefix}{name}"));
        match value {
            Value::Object(inner) if !inner.is_empty() => add_lines(table, &format!("{name}."), inner),
            _ => {
                table.add_row([name, cell(value)]);
            }
        }
    }
}

/// Text without characters that would steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Tells a person something beside the result. Where standard error is closed there is nobody to tell.
pub(super) fn tell(line: &str) {
    writeln!(io::stderr(), "{}", printable(line)).ok();
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

fn print(out: &mut impl Write, table: &Table) -> io::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
    }
    Ok(())
}

/// In words: an empty list is not nothing said, and what is inside an object has its name before it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => whole_seconds(text).unwrap_or_else(|| printable(text)),
        Value::Array(items) => {
            let is_flat = items.iter().all(|item| !item.is_object() && !item.is_array());
            joined(items.iter().map(cell), if is_flat { ", " } else { "; " })
        }
        Value::Object(fields) => {
            let told = fields.iter().filter(|(_, value)| !value.is_null());
            joined(told.map(|(name, value)| format!("{} {}", words(name), cell(value))), ", ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn words(name: &str) -> String {
    printable(&name.replace('_', " "))
}

fn joined(parts: impl Iterator<Item = String>, glue: &str) -> String {
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(glue) }
}

/// A time as people read it, without parts of a second.
fn whole_seconds(text: &str) -> Option<String> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    at.to_offset(UtcOffset::UTC).replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn printed(print: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_the_columns_that_exist() {
        let items = [
            json!({"id": "acme", "state": "active", "scopes": ["a", "b"]}),
            json!({"id": "globex\u{1b}[2J", "state": null}),
        ];
        insta::assert_snapshot!(
            printed(|out| table(out, &items, &["id", "name", "state", "scopes"])),
            @r"
        ID          STATE   SCOPES
        acme        active  a, b
        globex [2J  -
        "
        );
        assert_eq!(printed(|out| table(out, &[], &["id"])), "none\n");
    }

    #[test]
    fn times_are_in_whole_seconds() {
        let value = json!({"until": "2026-11-24T10:00:00.123456789Z", "at": ["2026-11-24T12:00:00.9+02:00"]});
        insta::assert_snapshot!(printed(|out| record(out, &value)), @r"
        at     2026-11-24T10:00:00Z
        until  2026-11-24T10:00:00Z
        ");
        assert!(printed(|out| json(out, &value)).contains("10:00:00.123456789Z"));
    }

    #[test]
    fn a_record_has_a_line_for_each_field() {
        let value = json!({"client_id": "c1", "warnings": ["unconfined"], "role": null, "allow": []});
        insta::assert_snapshot!(printed(|out| record(out, &value)), @r"
        allow      none
        client_id  c1
        role       -
        warnings   unconfined
        ");
        assert_eq!(printed(|out| record(out, &Value::Null)), "");
    }

    #[test]
    fn what_is_inside_is_told_in_words() {
        let secrets =
            json!([{"secret_id": "s1", "created_at": "2026-11-24T10:00:00.5Z"}, {"secret_id": "s2"}]);
        let delivery =
            json!({"state": "delivered", "drift": {"code": "missing", "detail": "not there"}, "form": null});
        let value = json!({"delivery": delivery, "params": {}, "secrets": secrets, "shared\u{1b}": {"a\u{1b}": true}});
        insta::assert_snapshot!(printed(|out| record(out, &value)), @r"
        delivery.drift.code    missing
        delivery.drift.detail  not there
        delivery.form          -
        delivery.state         delivered
        params                 none
        secrets                created at 2026-11-24T10:00:00Z, secret id s1; secret id s2
        shared .a              true
        ");
        let items = [
            json!({"id": "a", "last_error": {"code": "timeout", "at": "2026-11-24T10:00:00Z"}, "allow": []}),
            json!({"id": "b", "last_error": null, "allow": ["acme/*", "globex/github"]}),
        ];
        insta::assert_snapshot!(printed(|out| table(out, &items, &["id", "last_error", "allow"])), @r"
        ID  LAST ERROR                             ALLOW
        a   at 2026-11-24T10:00:00Z, code timeout  none
        b   -                                      acme/*, globex/github
        ");
    }
}
