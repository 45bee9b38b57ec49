//! What serde says about a malformed value, as a problem that repeats no value.

use serde_path_to_error::{Path, Segment};

use crate::http::problem::Problem;

/// How a place is named: `/a/0` in a body, the bare name in a form or query.
#[derive(Clone, Copy)]
pub(super) enum Naming {
    Pointer,
    Parameter,
}

/// Turns an error of serde at `path` into `invalid_request`.
pub(super) fn problem(path: &Path, message: &str, naming: Naming) -> Problem {
    let mut place: Vec<String> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => Some(key.clone()),
            Segment::Unknown => None,
        })
        .collect();
    let (field, detail) = explain(message);
    if let Some(field) = field
        && place.last() != Some(&field)
    {
        place.push(field);
    }
    let pointer = match naming {
        Naming::Parameter => place.join("."),
        Naming::Pointer => {
            place.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
        }
    };
    Problem::invalid(&pointer, detail)
}

/// The field an error is about, and a sentence without what was sent: serde's own sentences quote it.
fn explain(message: &str) -> (Option<String>, String) {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let quoted = || message.split('`').nth(1).map(str::to_owned);
    let expected = || kind(message.rsplit_once("expected ").map_or("another value", |(_, rest)| rest));
    if message.starts_with("missing field") {
        (quoted(), "is missing".to_owned())
    } else if message.starts_with("unknown field") {
        (quoted(), "is not known here".to_owned())
    } else if message.starts_with("duplicate field") {
        (quoted(), "is repeated".to_owned())
    } else if ["invalid type", "invalid value", "unknown variant", "invalid length"]
        .iter()
        .any(|start| message.starts_with(start))
    {
        (None, format!("must be {}", expected()))
    } else {
        (None, message.to_owned())
    }
}

/// What serde calls by the name of a Rust type, in the words of JSON.
fn kind(expected: &str) -> &str {
    let mut letters = expected.chars();
    let integer = matches!(letters.next(), Some('u' | 'i')) && letters.as_str().parse::<u8>().is_ok();
    match expected {
        _ if integer => "a whole number in range",
        _ if expected.starts_with("struct ") => "an object",
        other => other,
    }
}
