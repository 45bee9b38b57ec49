//! Which values does a schema allow? Each of its bounds as a phrase.

use serde_json::Value;

use super::schema::{Document, list, text};

/// The bounds of a schema; those of a list's items and a map's values begin with `each`.
pub(super) fn rules(document: &Document, schema: &Value) -> Vec<String> {
    let mut rules = Vec::new();
    let values = values(document, schema, 4);
    if !values.is_empty() {
        rules.push(one_of(&values));
    }
    rules.extend(schema.get("const").map(|value| format!("always {}", code(value))));
    rules.extend(range(schema, "minimum", "maximum", ""));
    rules.extend(schema.get("exclusiveMinimum").map(|least| format!("more than {least}")));
    rules.extend(schema.get("exclusiveMaximum").map(|most| format!("less than {most}")));
    rules.extend(schema.get("multipleOf").map(|step| format!("a multiple of {step}")));
    rules.extend(range(schema, "minLength", "maxLength", "characters: "));
    rules.extend(range(schema, "minItems", "maxItems", "items: "));
    rules.extend(range(schema, "minProperties", "maxProperties", "entries: "));
    rules.extend(pattern(schema).map(|pattern| format!("matches {pattern}")));
    let keys = schema.get("propertyNames").and_then(pattern);
    rules.extend(keys.map(|pattern| format!("keys match {pattern}")));
    for inner in ["items", "additionalProperties"].iter().filter_map(|key| schema.get(key)) {
        if inner.get("$ref").is_none() {
            rules.extend(self::rules(document, inner).into_iter().map(|rule| format!("each: {rule}")));
        }
    }
    let told = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
    rules.extend(told("uniqueItems").then(|| "no item twice".to_owned()));
    let default = schema.get("default").filter(|value| !value.is_null());
    rules.extend(default.map(|value| format!("{} by default", code(value))));
    rules.extend(told("writeOnly").then(|| "never answered".to_owned()));
    rules.extend(told("readOnly").then(|| "only answered".to_owned()));
    rules.extend(told("deprecated").then(|| "deprecated".to_owned()));
    rules
}

/// The values of an enumeration, also where it is named or one of several.
fn values<'d>(document: &'d Document, schema: &'d Value, depth: u8) -> Vec<&'d Value> {
    let schema = document.resolve(schema);
    let own = list(schema, "enum").iter();
    let variants = ["oneOf", "anyOf", "allOf"].iter().flat_map(|key| list(schema, key)).filter(|_| depth > 0);
    own.chain(variants.flat_map(|variant| values(document, variant, depth - 1))).collect()
}

fn one_of(values: &[&Value]) -> String {
    let all: Vec<String> = values.iter().map(|value| code(value)).collect();
    match all.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => all.concat(),
    }
}

fn range(schema: &Value, least: &str, most: &str, unit: &str) -> Option<String> {
    match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => Some(format!("{unit}{least} to {most}")),
        (Some(least), None) => Some(format!("{unit}at least {least}")),
        (None, Some(most)) => Some(format!("{unit}at most {most}")),
        (None, None) => None,
    }
}

fn pattern(schema: &Value) -> Option<String> {
    Some(text(schema, "pattern")).filter(|pattern| !pattern.is_empty()).map(|pattern| format!("`{pattern}`"))
}

/// A value as code; the quotes of a text are left out.
fn code(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}
