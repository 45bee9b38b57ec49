//! What does a schema of the document say? Its type in words, and its fields.
//!
//! Nothing is taken for granted: what is missing or unknown is left out, and references may lead in circles.

use serde_json::{Map, Value};

use super::rules::rules;

/// How deep inline schemas and references are followed.
const DEPTH: u8 = 6;
const LOCAL: &str = "#/components/schemas/";

/// An OpenAPI document.
pub(super) struct Document(pub(super) Value);

/// A piece of a type: words, or the name of a schema with its anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) anchor: Option<String>,
}

/// A field of an object, or a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// With those of the inline objects around it: `owner.name`, `items[].id`.
    pub(super) name: String,
    pub(super) kind: Vec<Part>,
    pub(super) required: bool,
    /// Bounds, values, defaults.
    pub(super) rules: Vec<String>,
    pub(super) description: String,
}

impl Field {
    /// A form has no null: a field is there or not.
    pub(super) fn forget_null(&mut self) {
        if let Some(last) = self.kind.last_mut() {
            last.text.truncate(last.text.trim_end_matches(" or null").len());
        }
    }
}

/// A text of an object; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A list of an object; empty where there is none.
pub(super) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entries of an object in an object; none where there is none.
pub(super) fn entries<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// What can stand in an `id` and in a fragment as it is.
pub(super) fn anchor(kind: &str, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    format!("{kind}-{}", name.chars().map(plain).collect::<String>())
}

impl Document {
    /// What a reference within the document leads to; the value itself where it is none.
    pub(super) fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let mut at = value;
        for _ in 0..DEPTH {
            let Some(next) = text(at, "$ref").strip_prefix('#').and_then(|path| self.0.pointer(path)) else {
                break;
            };
            at = next;
        }
        at
    }

    /// The type of a schema.
    pub(super) fn kind(&self, schema: &Value) -> Vec<Part> {
        let mut parts = Vec::new();
        put_kind(schema, DEPTH, &mut parts);
        // A name that nothing has is no link.
        for part in parts.iter_mut().filter(|part| part.anchor.is_some()) {
            let known = self.0.pointer(&format!("/components/schemas/{}", part.text)).is_some();
            part.anchor = part.anchor.take().filter(|_| known);
        }
        parts
    }

    /// The fields of a schema, those of inline objects among them; schemas with a name of their own are only named.
    pub(super) fn fields(&self, schema: &Value) -> Vec<Field> {
        let mut found = Vec::new();
        self.collect("", schema, DEPTH, &mut found);
        found
    }

    fn collect(&self, prefix: &str, schema: &Value, depth: u8, found: &mut Vec<Field>) {
        if depth == 0 {
            return;
        }
        let schema = self.resolve(schema);
        list(schema, "allOf").iter().for_each(|part| self.collect(prefix, part, depth - 1, found));
        let before = found.len();
        for variant in ["oneOf", "anyOf"].iter().flat_map(|key| list(schema, key)) {
            self.collect_inline(prefix, variant, depth, found);
        }
        // What one variant wants, another may not have.
        found.iter_mut().skip(before).for_each(|field| field.required = false);
        let required = list(schema, "required");
        for (name, property) in entries(schema, "properties") {
            let full = format!("{prefix}{name}");
            let is_required = required.iter().any(|one| one == name.as_str());
            found.push(self.field(&full, property, is_required));
            self.collect_inline(&format!("{full}."), property, depth, found);
            if let Some(items) = property.get("items") {
                self.collect_inline(&format!("{full}[]."), items, depth, found);
            }
        }
        if let Some(items) = schema.get("items") {
            self.collect_inline(&format!("{prefix}[]."), items, depth, found);
        }
    }

    fn collect_inline(&self, prefix: &str, schema: &Value, depth: u8, found: &mut Vec<Field>) {
        if schema.get("$ref").is_none() && schema.get("items").is_none() {
            self.collect(prefix, schema, depth - 1, found);
        }
    }

    /// One field or parameter.
    pub(super) fn field(&self, name: &str, schema: &Value, required: bool) -> Field {
        Field {
            name: name.to_owned(),
            kind: self.kind(schema),
            required,
            rules: rules(self, schema),
            description: text(schema, "description").to_owned(),
        }
    }
}

fn say(parts: &mut Vec<Part>, words: &str) {
    match parts.last_mut() {
        Some(Part { text, anchor: None }) => text.push_str(words),
        _ => parts.push(Part { text: words.to_owned(), anchor: None }),
    }
}

fn put_kind(schema: &Value, depth: u8, parts: &mut Vec<Part>) {
    let reference = text(schema, "$ref");
    if let Some(name) = reference.strip_prefix(LOCAL) {
        return parts.push(Part { text: name.to_owned(), anchor: Some(anchor("schema", name)) });
    }
    let several = |key| Some(list(schema, key)).filter(|all| !all.is_empty());
    let joined = several("oneOf").or_else(|| several("anyOf")).map(|all| (all, " or "));
    match joined.or_else(|| several("allOf").map(|all| (all, " and "))) {
        _ if depth == 0 => say(parts, "anything"),
        Some((all, word)) => put_joined(all, word, depth, parts),
        None => put_type(schema, depth, parts),
    }
}

fn put_joined(all: &[Value], word: &str, depth: u8, parts: &mut Vec<Part>) {
    let is_null = |one: &&Value| text(one, "type") == "null";
    let (nulls, others): (Vec<_>, Vec<_>) = all.iter().partition(is_null);
    for (index, one) in others.into_iter().chain(nulls).enumerate() {
        if index > 0 {
            say(parts, word);
        }
        put_kind(one, depth - 1, parts);
    }
}

fn put_type(schema: &Value, depth: u8, parts: &mut Vec<Part>) {
    let mut types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ => vec!["anything"],
    };
    types.sort_by_key(|one| *one == "null");
    for (index, one) in types.into_iter().enumerate() {
        if index > 0 {
            say(parts, " or ");
        }
        let (inner, word) = match one {
            "array" => (schema.get("items"), "list"),
            "object" => {
                (schema.get("additionalProperties"), if has_fields(schema) { "object" } else { "map" })
            }
            _ => (None, one),
        };
        match inner.filter(|inner| inner.as_object().is_some_and(|inner| !inner.is_empty())) {
            Some(inner) => {
                say(parts, &format!("{word} of "));
                put_kind(inner, depth - 1, parts);
            }
            None => say(parts, if word == "map" { "object" } else { word }),
        }
        let format = text(schema, "format");
        if one == "string" && !format.is_empty() {
            say(parts, &format!(" ({format})"));
        }
    }
}

fn has_fields(schema: &Value) -> bool {
    entries(schema, "properties").next().is_some()
}
