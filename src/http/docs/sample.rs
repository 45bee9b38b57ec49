//! How is an operation called from a shell? A line for curl, with words in capitals where the reader's values belong.

use serde_json::{Map, Value};

use super::schema::{Document, entries, list, text};

/// The media type of forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The command for an operation; its parameters are those of the path as well.
pub(super) fn curl(
    document: &Document,
    public_url: &str,
    (method, path): (&str, &str),
    operation: &Value,
    parameters: &[&Value],
) -> String {
    let mut url = format!("{public_url}{path}");
    let mut headers = Vec::new();
    let mut glue = '?';
    for parameter in parameters {
        let name = text(parameter, "name");
        let required = parameter.get("required").and_then(Value::as_bool).unwrap_or_default();
        match text(parameter, "in") {
            "path" => url = url.replace(&format!("{{{name}}}"), &placeholder(name)),
            "query" if required => {
                url.push_str(&format!("{glue}{name}={}", placeholder(name)));
                glue = '&';
            }
            "header" if required => headers.push(quoted(&format!("{name}: {}", placeholder(name)))),
            _ => {}
        }
    }
    let mut words = vec!["curl".to_owned()];
    let body = body(document, operation);
    let implied = if body.is_some() { "POST" } else { "GET" };
    if method != implied {
        words.push(format!("-X {method}"));
    }
    words.push(quoted(&url));
    words.extend(credentials(document, operation).map(|words| format!("\\\n  {words}")));
    words.extend(headers.into_iter().map(|header| format!("\\\n  -H {header}")));
    words.extend(body.into_iter().flatten().map(|words| format!("\\\n  {words}")));
    words.join(" ")
}

/// What says who calls: the last way the operation names, which is no header at all where that is the only one.
fn credentials(document: &Document, operation: &Value) -> Option<&'static str> {
    let schemes = document.0.pointer("/components/securitySchemes")?;
    let ways = operation.get("security").or_else(|| document.0.get("security"))?.as_array()?;
    let names = ways.iter().filter_map(Value::as_object).flat_map(Map::keys);
    let scheme = names.last().and_then(|name| schemes.get(name))?;
    match (text(scheme, "type"), text(scheme, "scheme")) {
        ("http", "basic") => Some("-u \"$JETON_CLIENT_ID:$JETON_CLIENT_SECRET\""),
        ("http", "bearer") => Some("-H \"Authorization: Bearer $TOKEN\""),
        _ => None,
    }
}

fn body(document: &Document, operation: &Value) -> Option<Vec<String>> {
    let body = document.resolve(operation.get("requestBody")?);
    let (media, content) = entries(body, "content").next()?;
    let example = example(document, content.get("schema").unwrap_or(&Value::Null), "value", 6);
    if media == FORM {
        let pair = |(name, value): (&String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("--data-urlencode {}", quoted(&format!("{name}={value}")))
        };
        return Some(example.as_object().into_iter().flatten().map(pair).collect());
    }
    Some(vec![
        format!("-H {}", quoted(&format!("Content-Type: {media}"))),
        format!("-d {}", quoted(&example.to_string())),
    ])
}

/// A value that a schema may allow: what it names itself, else a word in capitals. Of an object what is required, or one
/// field where nothing is.
fn example(document: &Document, schema: &Value, name: &str, depth: u8) -> Value {
    let schema = document.resolve(schema);
    let told = ["example", "const", "default"].iter().find_map(|key| schema.get(key));
    let told = told.or_else(|| list(schema, "examples").first()).or_else(|| list(schema, "enum").first());
    if let Some(told) = told.filter(|told| !told.is_null()) {
        return told.clone();
    }
    let mut variants = ["oneOf", "anyOf"].iter().flat_map(|key| list(schema, key));
    if let Some(one) = variants.find(|one| text(one, "type") != "null" && depth > 0) {
        return example(document, one, name, depth - 1);
    }
    let types = schema.get("type");
    let is = |one: &str| {
        types.is_some_and(|types| {
            *types == one || types.as_array().is_some_and(|all| all.contains(&one.into()))
        })
    };
    if is("object") || schema.get("properties").is_some() || schema.get("allOf").is_some() {
        return Value::Object(object(document, schema, depth));
    }
    if is("integer") || is("number") {
        return schema.get("minimum").cloned().unwrap_or_else(|| 1.into());
    }
    if is("array") {
        let item = schema.get("items").filter(|_| depth > 0);
        return item.map(|item| example(document, item, name, depth - 1)).into_iter().collect();
    }
    match text(schema, "format") {
        _ if is("boolean") => true.into(),
        "date-time" => "2030-01-01T00:00:00Z".into(),
        _ => placeholder(name).into(),
    }
}

fn object(document: &Document, schema: &Value, depth: u8) -> Map<String, Value> {
    let mut object = Map::new();
    if depth == 0 {
        return object;
    }
    for part in list(schema, "allOf") {
        object.extend(self::object(document, document.resolve(part), depth - 1));
    }
    let required = list(schema, "required");
    for (name, property) in entries(schema, "properties") {
        let is_wanted = required.iter().any(|one| one == name.as_str());
        if is_wanted || (required.is_empty() && object.is_empty()) {
            object.insert(name.clone(), example(document, property, name, depth - 1));
        }
    }
    object
}

fn placeholder(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// One word of a shell, whatever it holds.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/=,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
