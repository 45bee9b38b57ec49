//! What does a file of tokens say, record by record?
//!
//! Each is the import body of the REST with `app_id` and `connector` beside, or what the library toucan-connectors
//! keeps of a grant. A fault is told by number and reason; nothing of the file is quoted, it holds tokens.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;

/// One connection to import.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    /// Counts lines, or the items of a list.
    pub(super) line: usize,
    pub(super) app: String,
    pub(super) connector: String,
    pub(super) body: Map<String, Value>,
}

/// A record that cannot be imported.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: usize,
    /// Where it belongs, as far as that was read.
    pub(super) place: Place,
    pub(super) reason: String,
}

/// The names in a line; only those that are well formed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Place {
    pub(super) app: Option<String>,
    pub(super) connector: Option<String>,
    pub(super) flow: Option<String>,
}

const FIELDS: [&str; 8] =
    ["access_token", "refresh_token", "expires_in", "expires_at", "scope", "flow", "extra", "replace"];

/// What a token answer also has, and nobody needs here.
const LEFT_OUT: [&str; 4] = ["token_type", "id_token", "state", "refresh_token_expires_in"];

/// What toucan-connectors writes where a consent has begun and nothing came of it.
const PLACEHOLDER: &str = "__UNKNOWN__";

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const YEAR_2000: i64 = 946_684_800;
const YEAR_10000: i64 = 253_402_300_800;

/// Every record: those of the lines, or of one JSON value that may be a list.
pub(super) fn read(text: &[u8], replace: bool) -> Vec<Result<Record, Fault>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let values: Vec<(usize, Option<Value>)> = match serde_json::from_slice::<Value>(text) {
        Ok(Value::Array(items)) => (1..).zip(items.into_iter().map(Some)).collect(),
        Ok(value) => vec![(1, Some(value))],
        Err(_) => {
            let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let lines = (1..).zip(lines).filter(|(_, line)| !line.is_empty());
            // The parser's message may quote a token; the line's number says enough.
            lines.map(|(at, line)| (at, serde_json::from_slice(line).ok())).collect()
        }
    };
    let records = values.into_iter().map(|(line, value)| {
        let place = value.as_ref().map(place).unwrap_or_default();
        let read = value.ok_or_else(|| "is not JSON".to_owned()).and_then(|value| record(value, replace));
        read.map(|(app, connector, body)| Record { line, app, connector, body }).map_err(|reason| Fault {
            line,
            place,
            reason,
        })
    });
    records.collect()
}

type Parts = (String, String, Map<String, Value>);

fn place(value: &Value) -> Place {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let flow = text("flow").or_else(|| text("auth_flow_id"));
    Place {
        app: text("app_id").and_then(|app| AppId::parse(app).ok()).map(Into::into),
        connector: text("connector").and_then(|one| ConnectorId::parse(one).ok()).map(Into::into),
        flow: flow.and_then(Flow::parse).map(String::from),
    }
}

/// A field's name is told where it looks like one: a token has capitals or digits.
fn shown(name: &str) -> Option<&str> {
    let is_plain =
        (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_plain.then_some(name)
}

fn record(value: Value, replace: bool) -> Result<Parts, String> {
    let Value::Object(mut body) = value else { return Err("is no object".to_owned()) };
    body.retain(|name, value| !value.is_null() && !LEFT_OUT.contains(&name.as_str()));
    let app = text(&mut body, "app_id").ok_or("needs an `app_id`")?;
    let app = AppId::parse(&app).map_err(|_| "has an `app_id` that no app can have")?;
    let connector = text(&mut body, "connector").ok_or("needs a `connector`")?;
    let connector =
        ConnectorId::parse(&connector).map_err(|_| "has a `connector` that no connector can be called")?;
    translate(&mut body)?;
    if let Some(name) = body.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let field = shown(name).map_or_else(|| "a field".to_owned(), |name| format!("the field `{name}`"));
        return Err(format!("has {field}, which an import does not take"));
    }
    check(&body)?;
    if replace {
        body.insert("replace".to_owned(), true.into());
    }
    Ok((app.into(), connector.into(), body))
}

/// Makes what toucan-connectors writes into what the REST takes.
fn translate(body: &mut Map<String, Value>) -> Result<(), &'static str> {
    if let Some(flow) = body.remove("auth_flow_id")
        && body.insert("flow".to_owned(), flow).is_some()
    {
        return Err("has both `flow` and `auth_flow_id`");
    }
    if let Some(url) = body.remove("instance_url") {
        let extra = body.entry("extra").or_insert_with(|| json!({}));
        extra.as_object_mut().ok_or("`extra` must be an object")?.insert("instance_url".to_owned(), url);
    }
    if let Some(seconds) = body.get("expires_at").filter(|value| value.is_number()) {
        let at = moment(seconds)?;
        // Beside a moment, it is the life the token had when it was new.
        body.remove("expires_in");
        body.insert("expires_at".to_owned(), at.into());
    }
    Ok(())
}

/// Seconds since 1970, a fraction cut off, as RFC 3339.
fn moment(seconds: &Value) -> Result<String, &'static str> {
    const BEYOND: &str = "`expires_at` must be seconds since 1970, of this millennium (not milliseconds)";
    // A number that is no integer is cut at its point: its text is exact where a cast is not.
    let whole = seconds.as_i64().or_else(|| {
        let number = seconds.as_f64().filter(|number| number.is_finite())?;
        format!("{:.0}", number.trunc()).parse().ok()
    });
    let whole = whole.filter(|at| (YEAR_2000..YEAR_10000).contains(at)).ok_or(BEYOND)?;
    let at = OffsetDateTime::from_unix_timestamp(whole).map_err(|_| BEYOND)?;
    at.format(&Rfc3339).map_err(|_| BEYOND)
}

fn check(body: &Map<String, Value>) -> Result<(), &'static str> {
    let token = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if token("access_token").is_empty() {
        return Err("needs an `access_token`: was the consent ever finished?");
    }
    if [token("access_token"), token("refresh_token")].contains(&PLACEHOLDER) {
        return Err("has a placeholder for a token: the consent was never finished");
    }
    if !["refresh_token", "scope", "flow"].into_iter().all(|name| body.get(name).is_none_or(Value::is_string))
    {
        return Err("`refresh_token`, `scope` and `flow` must be texts");
    }
    if body.get("flow").is_some_and(|flow| Flow::parse(flow.as_str().unwrap_or_default()).is_none()) {
        return Err("has a `flow` that is not 1 to 64 of the characters A-Z a-z 0-9 . _ -");
    }
    let at = body.get("expires_at");
    if at.is_some_and(|at| OffsetDateTime::parse(at.as_str().unwrap_or_default(), &Rfc3339).is_err()) {
        return Err("`expires_at` must be a time such as 2026-11-24T10:00:00Z, or seconds since 1970");
    }
    let life = body.get("expires_in");
    if life.is_some_and(|life| life.as_u64().is_none_or(|life| life == 0)) {
        return Err("`expires_in` must be the seconds that are left");
    }
    if at.is_some() && life.is_some() {
        return Err("has both `expires_in` and `expires_at`");
    }
    Ok(())
}

fn text(body: &mut Map<String, Value>, name: &str) -> Option<String> {
    match body.remove(name)? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Result<Record, Fault> {
        let mut read = read(text.as_bytes(), true);
        assert_eq!(read.len(), 1, "{text}");
        read.remove(0)
    }

    #[test]
    fn lines_an_object_and_a_list_are_read() {
        let one = r#"{"app_id":"a","connector":"GitHub","access_token":"t","expires_in":60}"#;
        for (text, count) in [
            (one.to_owned(), 1),
            (format!("\u{feff}{one}\r\n\n{one}\n"), 2),
            (format!("[{one},\n{one}]"), 2),
            (one.replace(',', ",\n"), 1),
        ] {
            let records: Vec<Record> = read(text.as_bytes(), true).into_iter().map(Result::unwrap).collect();
            assert_eq!(records.len(), count, "{text}");
            assert_eq!((records[0].app.as_str(), records[0].connector.as_str()), ("a", "github"));
            let body = json!({"access_token": "t", "expires_in": 60, "replace": true});
            assert_eq!(Value::Object(records[0].body.clone()), body);
        }
    }

    #[test]
    fn what_toucan_connectors_keeps_is_understood() {
        let kept = r#"{"app_id":"acme","connector":"salesforce","auth_flow_id":"5f3c-9","access_token":"t",
            "refresh_token":"r","token_type":"Bearer","expires_in":3600,"expires_at":1795514400.75,"scope":"api",
            "id_token":"x","state":null,"instance_url":"https://eu1.example.com"}"#;
        let body = json!({"access_token": "t", "refresh_token": "r", "expires_at": "2026-11-24T10:00:00Z",
            "scope": "api", "flow": "5f3c-9", "extra": {"instance_url": "https://eu1.example.com"}, "replace": true});
        assert_eq!(Value::Object(one(kept).unwrap().body), body);
        let whole = kept.replace(".75", "");
        assert_eq!(Value::Object(one(&whole).unwrap().body), body);
    }

    #[test]
    fn a_bad_line_is_named_by_number_and_reason_and_the_others_are_read() {
        let good = r#"{"app_id":"a","connector":"github","access_token":"canary"}"#;
        for (bad, why) in [
            (r#"{"app_id":"a","connector":"g"}"#, "needs an `access_token`"),
            (r#"{"connector":"g","access_token":"canary"}"#, "needs an `app_id`"),
            (r#"{"app_id":"canary!","connector":"g","access_token":"x"}"#, "no app can have"),
            (r#"{"app_id":"a","access_token":"canary"}"#, "needs a `connector`"),
            (r#"{"app_id":"a","connector":"g","access_token":"canary","canary9":1}"#, "has a field"),
            (
                r#"{"app_id":"a","connector":"g","access_token":"canary","expire_at":1}"#,
                "has the field `expire_at`",
            ),
            (r#"{"app_id":"a","connector":"g","access_token":"__UNKNOWN__"}"#, "never finished"),
            (
                r#"{"app_id":"a","connector":"g","access_token":"x","expires_in":1,"expires_at":"2026-11-24T10:00:00Z"}"#,
                "both",
            ),
            (
                r#"{"app_id":"a","connector":"g","access_token":"x","expires_at":1795514400000}"#,
                "milliseconds",
            ),
            (r#"{"app_id":"a","connector":"g","access_token":"x","expires_at":true}"#, "must be a time"),
            (r#"{"app_id":"a","connector":"g","access_token":"x","expires_in":-3}"#, "seconds that are left"),
            (r#"{"app_id":"a","connector":"g","access_token":"x","flow":"a","auth_flow_id":"b"}"#, "both"),
            (r#"{"app_id":"a","connector":"g","access_token":"x","flow":"a b"}"#, "1 to 64"),
            (r#"{"app_id":"a","connector":"g","access_token":["canary"]}"#, "needs an `access_token`"),
            (r#"{"app_id":"a","access_token":"canary"#, "is not JSON"),
            ("canary", "is not JSON"),
            ("7", "is no object"),
        ] {
            let read = read(format!("{good}\n\n{bad}\n{good}").as_bytes(), true);
            assert_eq!(read.len(), 3, "{bad}");
            let fault = read[1].as_ref().unwrap_err();
            assert!(fault.line == 3 && fault.reason.contains(why), "{fault:?} for {bad}");
            assert!(read[0].is_ok() && read[2].as_ref().unwrap().line == 4);
        }
        assert!(read(b"\n \n", true).is_empty());
    }

    #[test]
    fn a_line_that_is_no_text_stops_no_other() {
        let good = br#"{"app_id":"a","connector":"github","access_token":"canary"}"#;
        let read = read(&[&good[..], b"{\"app_id\":\"\xff\"}", good].join(&b"\n"[..]), true);
        assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(read[1].as_ref().unwrap_err().reason, "is not JSON");
    }

    /// JSON of any kind, now and then with names that mean something.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let names: Vec<&str> =
            FIELDS.into_iter().chain(LEFT_OUT).chain(["app_id", "connector", "auth_flow_id"]).collect();
        let name = prop_oneof![proptest::sample::select(names).prop_map(str::to_owned), "[a-z_]{1,8}"];
        prop_oneof![
            leaf.clone(),
            proptest::collection::btree_map(name, leaf, 0..8).prop_map(|fields| fields.into_iter().collect()),
        ]
    }

    proptest! {
        #[test]
        fn every_line_is_a_record_or_a_fault(lines in proptest::collection::vec(anything(), 2..6), noise in "[^\n\r]{0,20}") {
            let text: String = lines.iter().map(|line| format!("{line}\n")).chain([format!("x{noise}")]).collect();
            let read = read(text.as_bytes(), false);
            prop_assert_eq!(read.len(), lines.len() + 1);
            for (at, outcome) in (1..).zip(&read) {
                match outcome {
                    Ok(record) => {
                        prop_assert_eq!(record.line, at);
                        prop_assert!(record.body.keys().all(|name| FIELDS.contains(&name.as_str())));
                        prop_assert!(record.body["access_token"].is_string());
                    }
                    Err(fault) => prop_assert_eq!(fault.line, at),
                }
            }
        }

        #[test]
        fn a_moment_in_seconds_is_that_moment(at in YEAR_2000..YEAR_10000, fraction in 0_u32..1_000, float in any::<bool>()) {
            let seconds = if float { format!("{at}.{fraction:03}") } else { at.to_string() };
            let text = format!(r#"{{"app_id":"a","connector":"g","access_token":"t","expires_at":{seconds}}}"#);
            let record = one(&text).unwrap();
            let read = OffsetDateTime::parse(record.body["expires_at"].as_str().unwrap(), &Rfc3339).unwrap();
            prop_assert_eq!(read.unix_timestamp(), at);
        }
    }
}
